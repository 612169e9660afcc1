// An affine change of place of every image of a batch, each by a map of its own. No gradient flows through it.
#include "guard.h"
#include "kernels.h"
#include "upload.h"

#include <cmath>

namespace {

// Where a pixel of the result comes from, in pixels: across * column + down * row + start, along one axis.
struct Line {
  double across, down, start;
};

// `map` as torch.nn.functional.affine_grid has it without align_corners: the row of a 2 x 3 matrix for coordinates from
// -1 to 1 between the outer edges of an image of height x width, on an axis of `side` pixels.
Line in_pixels(const double* map, int64_t height, int64_t width, int64_t side) {
  const double edge = map[0] * (1.0 / width - 1) + map[1] * (1.0 / height - 1) + map[2];
  return {map[0] * side / width, map[1] * side / height, (edge + 1) * side / 2 - 0.5};
}

// Pixels of a row whose places are found together.
constexpr int64_t PIXELS = 64;

// Where the four neighbours of each place lie, counted in numbers: the upper left one, and how far the others are from it.
// Those beyond the last pixel count nothing, and are not there.
struct Neighbours {
  int32_t first[PIXELS], next[PIXELS], below[PIXELS];
  float east[PIXELS], south[PIXELS];
};

// Bilinear; beyond the edge the edge goes on. Pixels have `channels` numbers in 0..1, one after the other. Each loop does
// one thing for many pixels, so that all but the one that fetches numbers become vectors.
CLONES void warp(int32_t channels, int32_t height, int32_t width, Line x, Line y, const float* __restrict from,
                 float* __restrict to) {
  const double right = width - 1, bottom = height - 1;
  Neighbours at;
  float corners[4][PIXELS];
  for (int32_t row = 0; row < height; row++)
    for (int32_t start = 0; start < width; start += PIXELS) {
      const int32_t count = std::min<int32_t>(PIXELS, width - start);
      for (int32_t i = 0; i < count; i++) {
        const double column = start + i;
        double across = x.across * column + x.down * row + x.start, down = y.across * column + y.down * row + y.start;
        across = std::min(std::max(across, 0.0), right);
        down = std::min(std::max(down, 0.0), bottom);
        const int32_t left = across, top = down;
        at.east[i] = across - left;
        at.south[i] = down - top;
        at.first[i] = (top * width + left) * channels;
        at.next[i] = left < width - 1 ? channels : 0;
        at.below[i] = top < height - 1 ? width * channels : 0;
      }
      for (int32_t c = 0; c < channels; c++) {
        for (int32_t i = 0; i < count; i++) {
          const float *upper = from + at.first[i] + c, *lower = upper + at.below[i];
          corners[0][i] = upper[0];
          corners[1][i] = upper[at.next[i]];
          corners[2][i] = lower[0];
          corners[3][i] = lower[at.next[i]];
        }
        for (int32_t i = 0; i < count; i++) {
          const float upper = corners[0][i] + (corners[1][i] - corners[0][i]) * at.east[i];
          const float lower = corners[2][i] + (corners[3][i] - corners[2][i]) * at.east[i];
          to[i * channels + c] = std::min(std::max(upper + (lower - upper) * at.south[i], 0.f), 1.f);
        }
      }
      to += count * channels;
    }
}

Tensor warp_on_cpu(const Tensor& images, const double* maps) {
  const auto x = images.contiguous(at::MemoryFormat::ChannelsLast);
  const int64_t channels = x.size(1), height = x.size(2), width = x.size(3), numbers = channels * height * width;
  auto y = at::empty_like(x);
  const float* from = x.const_data_ptr<float>();
  float* to = y.data_ptr<float>();
  in_blocks(x.size(0), 1, [&](int64_t image, int64_t) {
    const double *map = maps + 6 * image, same[6] = {1, 0, 0, 0, 1, 0};
    const float* own = from + image * numbers;
    if (std::equal(map, map + 6, same)) {
      std::copy(own, own + numbers, to + image * numbers);
      return;
    }
    warp(channels, height, width, in_pixels(map, height, width, width), in_pixels(map + 3, height, width, height), own,
         to + image * numbers);
  });
  return y;
}

Tensor warp_by_libtorch(const Tensor& x, const double* maps) {
  const int64_t images = x.size(0), bilinear = 0, border = 1;
  auto theta = at::from_blob(const_cast<double*>(maps), {images, 2, 3}, at::kDouble).to(x.scalar_type());
  if (x.is_cuda()) theta = uploaded(theta, x.device());
  const auto grid = at::affine_grid_generator(theta, x.sizes(), false);
  // Laid out as all batches are, whichever of them is warped.
  return at::grid_sampler(x, grid, bilinear, border, false).clamp(0, 1).contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace

extern "C" {

char* signet_warp(const Tensor* x, const double* maps, Tensor** y) {
  return guarded_without_gradients([&] {
    const bool ours = x->is_cpu() && x->scalar_type() == at::kFloat && x->numel() / x->size(0) <= INT32_MAX;
    *y = new Tensor((ours ? warp_on_cpu : warp_by_libtorch)(*x, maps));
  });
}

}  // extern "C"
