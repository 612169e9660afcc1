// The gradients of weight and bias of a convolution that few channels come into.
#pragma once

#include "guard.h"
#include "kernels.h"

#include <utility>
#include <vector>

constexpr int64_t CHANNELS = 4;  // the most, beyond which oneDNN is faster
constexpr int64_t IMAGES = 4;    // that are summed together

// A kernel cut into blocks of rows by lengths, whose sums stay in registers together. One row of a kernel lies in
// memory as it lies in an image: kernel * channels numbers one after the other. Blocks that stand out are not read.
struct Blocks {
  int64_t kernel, length;      // rows of the kernel, numbers in one
  int64_t rows, width;         // of a block
  int64_t down, across;        // blocks
  Blocks(int64_t kernel, int64_t channels)
      : kernel(kernel), length(kernel * channels), rows(length <= 3 ? 3 : length <= 5 ? 2 : 1),
        width(length <= 3 ? 3 : length <= 5 ? 5 : 9), down((kernel + rows - 1) / rows),
        across((length + width - 1) / width) {}
  int64_t count() const { return down * across; }
  int64_t taps() const { return rows * width; }
};

// What `pixels` of one row of the result give to the sums of a block: dy has a row of `filters` numbers for each pixel,
// and x moves on by `step` from one to the next.
template <int rows, int width>
INLINE void sum_block(int64_t pixels, int64_t filters, int64_t step, int64_t line, const float* dy, const float* x,
                      float* sums) {
  floats sum[rows * width] = {};
  for (int64_t pixel = 0; pixel < pixels; pixel++, dy += filters, x += step) {
    const floats d = *reinterpret_cast<const floats*>(dy);
    for (int row = 0; row < rows; row++)
      for (int i = 0; i < width; i++) sum[row * width + i] += d * x[row * line + i];
  }
  for (int tap = 0; tap < rows * width; tap++) *reinterpret_cast<floats*>(sums + tap * LANES) += sum[tap];
}
CLONES void sum_taps(const Blocks& blocks, int64_t pixels, int64_t filters, int64_t step, int64_t line, const float* dy,
                     const float* x, float* sums) {
  if (blocks.rows == 3) return sum_block<3, 3>(pixels, filters, step, line, dy, x, sums);
  if (blocks.rows == 2) return sum_block<2, 5>(pixels, filters, step, line, dy, x, sums);
  sum_block<1, 9>(pixels, filters, step, line, dy, x, sums);
}

// The same for the bias, which every pixel meets with a 1.
CLONES void sum_pixels(int64_t pixels, int64_t filters, const float* dy, float* sums) {
  floats sum{};
  for (int64_t pixel = 0; pixel < pixels; pixel++, dy += filters) sum += *reinterpret_cast<const floats*>(dy);
  *reinterpret_cast<floats*>(sums) += sum;
}

// Both, for square strides and paddings; x and dy lie channels last.
inline std::pair<Tensor, Tensor> parameter_gradients(const Tensor& x, const Tensor& weight, const Tensor& dy,
                                                     int64_t stride, int64_t padding) {
  const int64_t filters = weight.size(0), channels = weight.size(1), kernel = weight.size(2);
  const int64_t images = x.size(0), height = x.size(2), width = x.size(3), rows = dy.size(2), columns = dy.size(3);
  const int64_t line = (width + 2 * padding) * channels;
  const Blocks blocks(kernel, channels);
  // Filters are filled up to whole vectors.
  const int64_t lanes = (filters + LANES - 1) / LANES * LANES;
  const float *px = x.const_data_ptr<float>(), *pd = dy.const_data_ptr<float>();
  const int64_t groups = (images + IMAGES - 1) / IMAGES, each = (blocks.count() * blocks.taps() + 1) * lanes;
  std::vector<float> sums(groups * each, 0);
  in_blocks(images, IMAGES, [&](int64_t first, int64_t last) {
    // Blocks that stand out read behind the last row.
    std::vector<float> padded((height + 2 * padding + blocks.rows) * line + blocks.width, 0), filled(lanes == filters ? 0 : columns * lanes, 0);
    float* own = sums.data() + first / IMAGES * each;
    for (int64_t image = first; image < last; image++) {
      for (int64_t row = 0; row < height; row++) {
        const float* from = px + (image * height + row) * width * channels;
        std::copy(from, from + width * channels, padded.data() + (row + padding) * line + padding * channels);
      }
      for (int64_t row = 0; row < rows; row++) {
        const float *d = pd + (image * rows + row) * columns * filters, *at = padded.data() + row * stride * line;
        if (!filled.empty()) {
          for (int64_t pixel = 0; pixel < columns; pixel++)
            std::copy(d + pixel * filters, d + (pixel + 1) * filters, filled.data() + pixel * lanes);
          d = filled.data();
        }
        float* sum = own;
        for (int64_t lane = 0; lane < lanes; lane += LANES) {
          for (int64_t down = 0; down < blocks.down; down++)
            for (int64_t across = 0; across < blocks.across; across++, sum += blocks.taps() * LANES)
              sum_taps(blocks, columns, lanes, stride * channels, line, d + lane,
                       at + down * blocks.rows * line + across * blocks.width, sum);
          sum_pixels(columns, lanes, d + lane, sum);
          sum += LANES;
        }
      }
    }
  });
  for (int64_t group = 1; group < groups; group++)
    for (int64_t i = 0; i < each; i++) sums[i] += sums[group * each + i];
  auto result = at::empty({filters, channels, kernel, kernel}, weight.options());
  auto d_bias = at::empty({filters}, weight.options());
  float *out = result.data_ptr<float>(), *to_bias = d_bias.data_ptr<float>();
  for (int64_t filter = 0; filter < filters; filter++) {
    // All blocks of a vector of filters, and then what goes to their biases.
    const float* own = sums.data() + filter / LANES * (blocks.count() * blocks.taps() + 1) * LANES + filter % LANES;
    to_bias[filter] = own[blocks.count() * blocks.taps() * LANES];
    for (int64_t row = 0; row < kernel; row++)
      for (int64_t i = 0; i < blocks.length; i++) {
        const int64_t block = row / blocks.rows * blocks.across + i / blocks.width;
        const int64_t tap = row % blocks.rows * blocks.width + i % blocks.width;
        const int64_t column = i / channels, channel = i % channels;
        out[((filter * channels + channel) * kernel + row) * kernel + column] = own[(block * blocks.taps() + tap) * LANES];
      }
  }
  return {result, d_bias};
}
