// Dropout whose mask is computed where it is needed, forward and backward, and never stored. libtorch draws a number after
// the other, which takes longer than a convolution of the same images.
#include "dropout.h"

#include "guard.h"
#include "kernels.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Counters that become random together, a vector of each word.
constexpr int64_t TOGETHER = 16;
// Numbers that they decide on.
constexpr int64_t GROUP = 4 * TOGETHER;
// Numbers of a block of work.
constexpr int64_t BLOCK = 256 * GROUP;

// Philox4x32-10 (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3", section 5): the counters from `first`
// on, each of which becomes four words of 32 random bits.
INLINE void philox(uint64_t key, uint64_t first, uint32_t (&words)[4][TOGETHER]) {
  for (int64_t i = 0; i < TOGETHER; i++) {
    words[0][i] = first + i;
    words[1][i] = (first + i) >> 32;
    words[2][i] = words[3][i] = 0;
  }
  uint32_t low = key, high = key >> 32;
  for (int round = 0; round < 10; round++) {
    for (int64_t i = 0; i < TOGETHER; i++) {
      const uint64_t a = uint64_t(0xD2511F53) * words[0][i], b = uint64_t(0xCD9E8D57) * words[2][i];
      words[0][i] = uint32_t(b >> 32) ^ words[1][i] ^ low;
      words[1][i] = b;
      words[2][i] = uint32_t(a >> 32) ^ words[3][i] ^ high;
      words[3][i] = a;
    }
    low += 0x9E3779B9;
    high += 0xBB67AE85;
  }
}

// What dropout makes of numbers in memory: those whose word is below `least` are dropped.
struct Mask {
  uint64_t key;
  uint32_t least;
  float scale;

  Mask(uint64_t key, double p) : key(key), least(std::min(p * 0x1p32, 0x1p32 - 1)), scale(1 / (1 - p)) {}

  Tensor of(const Tensor& x) const;
};

// Number 64 g + 16 w + i is decided by word w of counter 16 g + i. `from` is a multiple of 64.
CLONES void mask_numbers(Mask mask, int64_t from, int64_t to, const float* __restrict x, float* __restrict y) {
  uint32_t words[4][TOGETHER];
  for (; from < to; from += GROUP) {
    philox(mask.key, from / 4, words);
    const uint32_t* word = words[0];
    const int64_t count = std::min(GROUP, to - from);
    for (int64_t i = 0; i < count; i++) y[from + i] = word[i] < mask.least ? 0 : x[from + i] * mask.scale;
  }
}

Tensor Mask::of(const Tensor& x) const {
  auto y = at::empty_like(x);
  const float* from = x.const_data_ptr<float>();
  float* to = y.data_ptr<float>();
  in_blocks(x.numel(), BLOCK, [&](int64_t first, int64_t last) { mask_numbers(*this, first, last, from, to); });
  return y;
}

// One number of libtorch's generator, which is seeded before every step.
uint64_t drawn() {
  auto* generator = at::get_generator_or_default<at::CPUGeneratorImpl>(std::nullopt, at::detail::getDefaultCPUGenerator());
  std::lock_guard<std::mutex> lock(generator->mutex_);
  return generator->random64();
}

struct Dropout : Function<Dropout> {
  static Tensor forward(AutogradContext* context, const Tensor& x, double p) {
    const uint64_t key = drawn();
    const auto dense = x.is_non_overlapping_and_dense() ? x : x.contiguous();
    context->saved_data["key"] = static_cast<int64_t>(key);
    context->saved_data["p"] = p;
    context->saved_data["strides"] = dense.strides().vec();
    return Mask(key, p).of(dense);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const Mask mask(context->saved_data["key"].toInt(), context->saved_data["p"].toDouble());
    // As the numbers themselves lay.
    const auto strides = context->saved_data["strides"].toIntVector();
    const Tensor& dy = gradients[0];
    return {mask.of(dy.strides() == strides ? dy : at::empty_strided(dy.sizes(), strides, dy.options()).copy_(dy)), Tensor()};
  }
};

}  // namespace

Tensor dropped(const Tensor& x, double p) {
  const bool ours = x.is_cpu() && x.scalar_type() == at::kFloat && !x.is_mkldnn();
  return ours ? Dropout::apply(x, p) : at::dropout(x, p, true);
}

extern "C" {

char* signet_dropout(const Tensor* x, double p, Tensor** y) {
  return guarded([&] { *y = new Tensor(dropped(*x, p)); });
}

}  // extern "C"
