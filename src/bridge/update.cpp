// One update of all parameters: norm of the gradients, divergence, clipping, penalty and step. On the CPU these are two
// passes over memory that threads share; elsewhere they are libtorch's kernels, which wait for nothing and read every number
// that changes from step to step from the device.
#include "guard.h"
#include "kernels.h"

#include <cmath>

namespace {

enum Kind : int64_t { kSgd, kAdam, kAdamw, kRmsprop };

}  // namespace

// What an optimiser does; `update.rs` has the same.
struct Rule {
  int64_t kind;
  double beta1, beta2, eps, weight_decay, momentum;
  double max_norm;  // 0 for no clipping
  bool nesterov;
};

namespace {

constexpr int64_t PIECE = 1 << 14;  // numbers of a tensor that are updated together

// The numbers [from, to) of a tensor.
struct Piece {
  size_t tensor;
  int64_t from, to;
};

std::vector<Piece> pieces_of(const std::vector<Tensor>& tensors) {
  std::vector<Piece> all;
  for (size_t i = 0; i < tensors.size(); i++)
    for (int64_t from = 0; from < tensors[i].numel(); from += PIECE)
      all.push_back({i, from, std::min(tensors[i].numel(), from + PIECE)});
  return all;
}

// Calls work(number) for each piece. Threads share groups of them with about as many numbers each: a network has many
// tensors with next to none.
template <class Work>
void for_each_piece(const std::vector<Piece>& pieces, const Work& work) {
  std::vector<size_t> starts;
  int64_t numbers = PIECE;
  for (size_t i = 0; i < pieces.size(); i++) {
    if (numbers >= PIECE) {
      starts.push_back(i);
      numbers = 0;
    }
    numbers += pieces[i].to - pieces[i].from;
  }
  starts.push_back(pieces.size());
  in_blocks(starts.size() - 1, 1, [&](int64_t group, int64_t) {
    for (size_t i = starts[group]; i < starts[group + 1]; i++) work(i);
  });
}

// The sum of squares, in an order that is the same for every instruction set and number of threads.
CLONES double squares(const float* g, int64_t count) {
  constexpr int64_t LANES = 16;
  double part[LANES] = {};
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES)
    for (int64_t j = 0; j < LANES; j++) part[j] += (double)g[i + j] * g[i + j];
  for (; i < count; i++) part[0] += (double)g[i] * g[i];
  double sum = 0;
  for (double one : part) sum += one;
  return sum;
}

// The numbers of a rule as the loops below want them. What is near 1 comes with its distance from 1, which as a difference
// of two float32 would be a hundred thousandth off.
struct Factors {
  float clip, penalty, keep, lr, fresh1, beta2, fresh2, eps, momentum, root;
  bool nesterov;
};

// torch.optim.Adam and AdamW; `lr` is corrected for the first average, `root` for the second.
CLONES void adam(const Factors& f, int64_t count, float* __restrict p, const float* __restrict g, float* __restrict m,
                 float* __restrict v) {
  for (int64_t i = 0; i < count; i++) {
    const float d = g[i] * f.clip + f.penalty * p[i];
    m[i] += (d - m[i]) * f.fresh1;
    v[i] = v[i] * f.beta2 + d * d * f.fresh2;
    p[i] = p[i] * f.keep - f.lr * m[i] / (std::sqrt(v[i]) / f.root + f.eps);
  }
}

// torch.optim.SGD without and with momentum.
CLONES void descend(const Factors& f, int64_t count, float* __restrict p, const float* __restrict g) {
  for (int64_t i = 0; i < count; i++) p[i] -= f.lr * (g[i] * f.clip + f.penalty * p[i]);
}
CLONES void roll(const Factors& f, int64_t count, float* __restrict p, const float* __restrict g,
                 float* __restrict m) {
  const float ahead = f.nesterov ? f.momentum : 1, own = f.nesterov ? 1 : 0;
  for (int64_t i = 0; i < count; i++) {
    const float d = g[i] * f.clip + f.penalty * p[i];
    m[i] = f.momentum * m[i] + d;
    p[i] -= f.lr * (own * d + ahead * m[i]);
  }
}

// torch.optim.RMSprop without and with momentum.
CLONES void rmsprop(const Factors& f, int64_t count, float* __restrict p, const float* __restrict g,
                    float* __restrict v) {
  for (int64_t i = 0; i < count; i++) {
    const float d = g[i] * f.clip + f.penalty * p[i];
    v[i] = v[i] * f.beta2 + d * d * f.fresh2;
    p[i] -= f.lr * d / (std::sqrt(v[i]) + f.eps);
  }
}
CLONES void rmsprop_rolling(const Factors& f, int64_t count, float* __restrict p, const float* __restrict g,
                            float* __restrict m, float* __restrict v) {
  for (int64_t i = 0; i < count; i++) {
    const float d = g[i] * f.clip + f.penalty * p[i];
    v[i] = v[i] * f.beta2 + d * d * f.fresh2;
    m[i] = f.momentum * m[i] + d / (std::sqrt(v[i]) + f.eps);
    p[i] -= f.lr * m[i];
  }
}

// The parameters with all that belongs to each of them.
struct Parameters {
  std::vector<Tensor> values, gradients, first, second, steps;
};

float* numbers(const std::vector<Tensor>& tensors, const Piece& piece) {
  return tensors[piece.tensor].data_ptr<float>() + piece.from;
}

void step_on_cpu(const Rule& rule, double lr, float clip, Parameters& all, const std::vector<Piece>& pieces) {
  const bool decoupled = rule.kind == kAdamw;
  const Factors common{clip,
                       float(decoupled ? 0 : rule.weight_decay),
                       float(decoupled ? 1 - lr * rule.weight_decay : 1),
                       float(lr),
                       float(1 - rule.beta1),
                       float(rule.beta2),
                       float(1 - rule.beta2),
                       float(rule.eps),
                       float(rule.momentum),
                       1,
                       rule.nesterov};
  for (auto& step : all.steps) step.data_ptr<float>()[0] += 1;
  for_each_piece(pieces, [&](size_t number) {
    const Piece& piece = pieces[number];
    const int64_t count = piece.to - piece.from;
    float* p = numbers(all.values, piece);
    const float* g = numbers(all.gradients, piece);
    Factors own = common;
    switch (Kind(rule.kind)) {
      case kSgd:
        if (all.first.empty()) return descend(own, count, p, g);
        return roll(own, count, p, g, numbers(all.first, piece));
      case kAdam:
      case kAdamw: {
        const double step = all.steps[piece.tensor].data_ptr<float>()[0];
        own.lr = lr / (1 - std::pow(rule.beta1, step));
        own.root = std::sqrt(1 - std::pow(rule.beta2, step));
        return adam(own, count, p, g, numbers(all.first, piece), numbers(all.second, piece));
      }
      case kRmsprop:
        if (rule.momentum > 0)
          return rmsprop_rolling(own, count, p, g, numbers(all.first, piece), numbers(all.second, piece));
        return rmsprop(own, count, p, g, numbers(all.second, piece));
    }
  });
}

void on_cpu(const Rule& rule, Parameters& all, const Tensor& lr, const Tensor& loss, Tensor& diverged) {
  for (auto& gradient : all.gradients) gradient = gradient.contiguous();
  const auto pieces = pieces_of(all.values);
  std::vector<double> sums(pieces.size());
  for_each_piece(pieces, [&](size_t number) {
    const Piece& piece = pieces[number];
    sums[number] = squares(numbers(all.gradients, piece), piece.to - piece.from);
  });
  double sum = 0;
  for (double one : sums) sum += one;
  const double norm = std::sqrt(sum);
  float& stopped = diverged.data_ptr<float>()[0];
  if (!std::isfinite(norm) || !std::isfinite(loss.item<double>())) stopped = 1;
  if (stopped != 0) return;
  const double clip = rule.max_norm > 0 ? std::min(1.0, rule.max_norm / (norm + 1e-6)) : 1;
  step_on_cpu(rule, lr.item<double>(), float(clip), all, pieces);
}

// torch.optim.RMSprop; libtorch has no fused kernel for it.
void rmsprop_by_libtorch(const Rule& rule, Parameters& all, const Tensor& lr, const Tensor& skip) {
  auto skipped = skip.to(at::kBool);
  auto put = [&](Tensor& place, const Tensor& value) { place.copy_(at::where(skipped, place, value)); };
  for (size_t i = 0; i < all.values.size(); i++) {
    Tensor &p = all.values[i], &v = all.second[i];
    auto g = rule.weight_decay == 0 ? all.gradients[i] : all.gradients[i].add(p, rule.weight_decay);
    put(v, v.mul(rule.beta2).addcmul_(g, g, 1 - rule.beta2));
    auto root = v.sqrt().add_(rule.eps);
    if (rule.momentum > 0) {
      put(all.first[i], all.first[i].mul(rule.momentum).addcdiv_(g, root));
      put(p, p - all.first[i] * lr);
    } else {
      put(p, p - g / root * lr);
    }
  }
}

void by_libtorch(const Rule& rule, Parameters& all, const Tensor& lr, const Tensor& loss, Tensor& diverged) {
  auto& [p, g, m, v, t] = all;
  auto norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(g, 2.0)), 2.0);
  auto bad = at::isfinite(norm).logical_and(at::isfinite(loss.detach())).logical_not();
  diverged.copy_(at::maximum(diverged, bad.to(at::kFloat)));
  if (rule.max_norm > 0) at::_foreach_mul_(g, (rule.max_norm / (norm + 1e-6)).clamp_max(1.0));
  auto adam = [&](auto kernel) {
    at::_foreach_add_(t, 1);
    kernel(p, g, m, v, at::TensorList{}, t, lr, rule.beta1, rule.beta2, rule.weight_decay, rule.eps, false, false,
           std::optional<Tensor>{}, diverged);
    at::_foreach_sub_(t, std::vector<Tensor>(t.size(), diverged));
  };
  switch (Kind(rule.kind)) {
    case kSgd:
      return at::_fused_sgd_(p, g, m, rule.weight_decay, rule.momentum, lr, 0.0, rule.nesterov, false, false,
                             {}, diverged);
    case kAdam: return adam([](auto&&... all) { at::_fused_adam_(all...); });
    case kAdamw: return adam([](auto&&... all) { at::_fused_adamw_(all...); });
    case kRmsprop: return rmsprop_by_libtorch(rule, all, lr, diverged);
  }
}

}  // namespace

extern "C" {

char* signet_update(const Rule* rule, Tensor* const* parameters, Tensor* const* gradients, size_t count,
                    Tensor* const* first, size_t first_count, Tensor* const* second, size_t second_count,
                    Tensor* const* steps, size_t steps_count, const Tensor* lr, const Tensor* loss, Tensor* diverged,
                    bool portable) {
  return guarded_without_gradients([&] {
    Parameters all{list(parameters, count), list(gradients, count), list(first, first_count),
                   list(second, second_count), list(steps, steps_count)};
    for (size_t i = 0; i < count; i++)
      TORCH_CHECK(all.values[i].sizes() == all.gradients[i].sizes(), "gradient ", i, " has another shape than its parameter");
    (diverged->is_cpu() && !portable ? on_cpu : by_libtorch)(*rule, all, *lr, *loss, *diverged);
  });
}

}  // extern "C"
