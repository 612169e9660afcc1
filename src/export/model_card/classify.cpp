// What an image shows: classify IMAGE
#include <torch/script.h>

#define STB_IMAGE_IMPLEMENTATION
#include "stb_image.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

const int channels = {{ input.channels }}, height = {{ input.height }}, width = {{ input.width }};
const char* classes[] = { {{- classes_cpp|safe -}} };

// One direction of a resize by a triangle filter: of each of `lines` lines of `length` pixels, the `extent` from `start` on
// becomes `size` pixels. What were lines are columns then, so that a second call resizes the other direction.
std::vector<float> resize(const std::vector<float>& pixels, int lines, int length, double start, double extent, int size) {
  std::vector<float> resized(size_t(size) * lines * channels);
  double ratio = extent / size, reach = std::max(ratio, 1.0);
  for (int i = 0; i < size; i++) {
    double middle = start + (i + 0.5) * ratio, sum = 0;
    int first = std::max(0, int(std::floor(middle - reach))), end = std::min(length, int(std::ceil(middle + reach)));
    std::vector<double> weights;
    for (int j = first; j < end; j++) {
      weights.push_back(std::max(0.0, 1 - std::abs(j + 0.5 - middle) / reach));
      sum += weights.back();
    }
    for (int line = 0; line < lines; line++) {
      for (int c = 0; c < channels; c++) {
        double level = 0;
        for (int j = first; j < end; j++) level += weights[j - first] * pixels[(size_t(line) * length + j) * channels + c];
        resized[(size_t(i) * lines + line) * channels + c] = level / sum;
      }
    }
  }
  return resized;
}

int main(int count, char** arguments) {
  int w, h, found;
  unsigned char* rgba = count == 2 ? stbi_load(arguments[1], &w, &h, &found, 4) : nullptr;
  if (!rgba) {
    std::fprintf(stderr, "no image; call classify IMAGE\n");
    return 1;
  }
  std::vector<float> pixels;  // [h, w, channels], 0 to 255
  for (size_t at = 0; at < size_t(w) * h; at++) {
{%- if let Some(behind) = behind %}
    const double behind[] = { {{- behind|safe -}} }, opacity = rgba[4 * at + 3] / 255.0;
    double color[3];
    for (int c = 0; c < 3; c++) color[c] = std::round(opacity * rgba[4 * at + c] + (1 - opacity) * behind[c]);
{%- else %}
    const double color[] = {double(rgba[4 * at]), double(rgba[4 * at + 1]), double(rgba[4 * at + 2])};
{%- endif %}
{%- if gray %}
    pixels.push_back(std::round(0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]));
{%- else %}
    pixels.insert(pixels.end(), color, color + 3);
{%- endif %}
  }
{%- if stretch %}
  float low = *std::min_element(pixels.begin(), pixels.end()), high = *std::max_element(pixels.begin(), pixels.end());
  for (float& level : pixels) level = std::floor((level - low) * 255 / std::max(high - low, 1.f) + 0.5f);
{%- endif %}
{%- if fit == "crop" %}
  double inner_w = std::min<double>(w, double(h) * width / height), inner_h = std::min<double>(h, double(w) * height / width);
  pixels = resize(pixels, h, w, (w - inner_w) / 2, inner_w, width);       // [width, h, channels]
  pixels = resize(pixels, width, h, (h - inner_h) / 2, inner_h, height);  // [height, width, channels]
{%- else if fit == "pad" %}
  int inner_w = std::clamp(int(std::nearbyint(double(w) * height / h)), 1, width);
  int inner_h = std::clamp(int(std::nearbyint(double(h) * width / w)), 1, height);
  pixels = resize(pixels, h, w, 0, w, inner_w);        // [inner_w, h, channels]
  pixels = resize(pixels, inner_w, h, 0, h, inner_h);  // [inner_h, inner_w, channels]
  int left = std::nearbyint((width - inner_w) / 2.0), top = std::nearbyint((height - inner_h) / 2.0);
{%- else %}
  pixels = resize(pixels, h, w, 0, w, width);       // [width, h, channels]
  pixels = resize(pixels, width, h, 0, h, height);  // [height, width, channels]
{%- endif %}
  auto x = torch::empty({1, channels, height, width});
  auto levels = x.accessor<float, 4>();
{%- if fit == "pad" %}
  const float margin[] = { {{- margin|safe -}} };
{%- endif %}
  for (int c = 0; c < channels; c++) {
    for (int row = 0; row < height; row++) {
      for (int column = 0; column < width; column++) {
{%- if fit == "pad" %}
        int i = row - top, j = column - left;
        bool inside = 0 <= i && i < inner_h && 0 <= j && j < inner_w;
        float level = inside ? pixels[(i * inner_w + j) * channels + c] : margin[c];
{%- else %}
        float level = pixels[(row * width + column) * channels + c];
{%- endif %}
        levels[0][c][row][column] = std::round(level) / 255;
      }
    }
  }
  torch::NoGradGuard no_grad;
  auto model = torch::jit::load("model.pt");
  auto probabilities = model.forward({x}).toTensor().softmax(1)[0];
  int64_t best = probabilities.argmax().item<int64_t>();
  std::printf("%s  %.2f %%\n", classes[best], 100 * probabilities[best].item<double>());
}
