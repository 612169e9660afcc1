// Pixels on their way into a network. No gradient flows through them.
#include "guard.h"
#include "kernels.h"

#include <array>

namespace {

// Numbers of a pattern: a multiple of three and of the widest vectors, so that channels lie alike in all patterns; and of a
// block, which is what a thread takes.
constexpr int64_t PATTERN = 48, BLOCK = 512 * PATTERN;

// For each number of a pattern, what is subtracted from it, and what it is divided by then.
struct Pattern {
  float mean[PATTERN], std[PATTERN];
};

CLONES void of_floats(int64_t count, const Pattern& pattern, const float* __restrict x, float* __restrict y) {
  const int64_t whole = count - count % PATTERN;
  for (int64_t start = 0; start < whole; start += PATTERN)
    for (int64_t i = 0; i < PATTERN; i++) y[start + i] = (x[start + i] - pattern.mean[i]) / pattern.std[i];
  for (int64_t i = whole; i < count; i++) y[i] = (x[i] - pattern.mean[i - whole]) / pattern.std[i - whole];
}

// What becomes of each byte, in each channel.
using Table = std::array<float, 256>;

void of_bytes(int64_t count, int64_t channels, const Table* tables, const uint8_t* x, float* y) {
  if (channels == 1)
    for (int64_t i = 0; i < count; i++) y[i] = tables[0][x[i]];
  else
    for (int64_t i = 0; i < count; i++) y[i] = tables[i % channels][x[i]];
}

// [B, C, H, W] with the channels of a pixel side by side, of which there are as many as fit a pattern.
bool is_ours(const Tensor& x) {
  const bool kind = x.scalar_type() == at::kFloat || x.scalar_type() == at::kByte;
  if (!x.is_cpu() || !kind || x.dim() != 4 || x.numel() == 0 || PATTERN % x.size(1) != 0) return false;
  // The strides of an only channel say nothing.
  return x.size(1) == 1 ? x.is_contiguous() : x.is_contiguous(at::MemoryFormat::ChannelsLast);
}

Tensor by_libtorch(const Tensor& x, const Tensor& mean, const Tensor& std) {
  if (x.scalar_type() != at::kByte) return (x - mean) / std;
  // By a tensor of the same device: by a number, CUDA multiplies by 1/255, which is rounded.
  const Tensor most = at::full({}, 255, x.options().dtype(at::kFloat));
  return (x.to(at::kFloat).div_(most) - mean) / std;
}

Tensor on_cpu(const Tensor& x, const Tensor& mean, const Tensor& std) {
  const int64_t channels = x.size(1);
  const Tensor of_mean = mean.to(at::kCPU, at::kFloat).contiguous(), of_std = std.to(at::kCPU, at::kFloat).contiguous();
  const float *means = of_mean.const_data_ptr<float>(), *stds = of_std.const_data_ptr<float>();
  const Tensor y = at::empty_like(x, x.options().dtype(at::kFloat));
  float* to = y.mutable_data_ptr<float>();
  if (x.scalar_type() == at::kFloat) {
    Pattern pattern;
    for (int64_t i = 0; i < PATTERN; i++) {
      pattern.mean[i] = means[i % channels];
      pattern.std[i] = stds[i % channels];
    }
    const float* from = x.const_data_ptr<float>();
    in_blocks(x.numel(), BLOCK, [&](int64_t start, int64_t end) {
      of_floats(end - start, pattern, from + start, to + start);
    });
    return y;
  }
  std::vector<Table> tables(channels);
  for (int64_t c = 0; c < channels; c++)
    for (int byte = 0; byte < 256; byte++) tables[c][byte] = (byte / 255.0f - means[c]) / stds[c];
  const uint8_t* from = x.const_data_ptr<uint8_t>();
  in_blocks(x.numel(), BLOCK, [&](int64_t start, int64_t end) {
    of_bytes(end - start, channels, tables.data(), from + start, to + start);
  });
  return y;
}

}  // namespace

extern "C" {

char* signet_normalize(const Tensor* x, const Tensor* mean, const Tensor* std, Tensor** y) {
  return guarded_without_gradients([&] { *y = new Tensor((is_ours(*x) ? on_cpu : by_libtorch)(*x, *mean, *std)); });
}

}  // extern "C"
