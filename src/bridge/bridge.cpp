// What libtorch can do and tch does not bind: fused optimisers, clipping without a synchronisation,
// switches for determinism and precision, bf16 autocast. Every function returns null, or a message that
// the caller frees with signet_free. No CUDA header is needed: all calls go through the dispatcher.
#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Version.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <vector>

using at::Tensor;

namespace {

template <typename Work>
char* guarded(Work work) {
  try {
    at::NoGradGuard no_grad;
    work();
    return nullptr;
  } catch (const c10::Error& error) {
    return strdup(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return strdup(error.what());
  }
}

std::vector<Tensor> list(Tensor* const* tensors, size_t count) {
  std::vector<Tensor> listed;
  listed.reserve(count);
  for (size_t i = 0; i < count; i++) listed.push_back(*tensors[i]);
  return listed;
}

} // namespace

extern "C" {

void signet_free(char* message) { std::free(message); }

char* signet_gradients(Tensor* const* parameters, Tensor** gradients, size_t count) {
  return guarded([&] {
    for (size_t i = 0; i < count; i++) {
      const Tensor& gradient = parameters[i]->grad();
      TORCH_CHECK(gradient.defined(), "parameter ", i, " has no gradient");
      gradients[i] = new Tensor(gradient);
    }
  });
}

char* signet_forget_gradients(Tensor* const* parameters, size_t count) {
  return guarded([&] {
    for (size_t i = 0; i < count; i++) parameters[i]->mutable_grad().reset();
  });
}

char* signet_clip(Tensor* const* gradients, size_t count, double max_norm, const Tensor* loss, Tensor* diverged) {
  return guarded([&] {
    auto all = list(gradients, count);
    auto norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(all, 2.0)), 2.0);
    auto bad = at::isfinite(norm).logical_and(at::isfinite(loss->detach())).logical_not();
    diverged->copy_(at::maximum(*diverged, bad.to(at::kFloat)));
    if (max_norm > 0) at::_foreach_mul_(all, (max_norm / (norm + 1e-6)).clamp_max(1.0));
  });
}

char* signet_adam(Tensor* const* parameters, Tensor* const* gradients, Tensor* const* averages,
                  Tensor* const* squares, Tensor* const* steps, size_t count, bool decoupled, double lr,
                  double beta1, double beta2, double weight_decay, double eps, const Tensor* skip) {
  return guarded([&] {
    auto p = list(parameters, count), g = list(gradients, count), m = list(averages, count),
         v = list(squares, count), t = list(steps, count);
    at::_foreach_add_(t, 1);
    if (decoupled) {
      at::_fused_adamw_(p, g, m, v, {}, t, lr, beta1, beta2, weight_decay, eps, false, false, {}, *skip);
    } else {
      at::_fused_adam_(p, g, m, v, {}, t, lr, beta1, beta2, weight_decay, eps, false, false, {}, *skip);
    }
    for (auto& step : t) step.sub_(*skip);
  });
}

char* signet_sgd(Tensor* const* parameters, Tensor* const* gradients, Tensor* const* momenta, size_t count,
                 size_t momentum_count, double lr, double momentum, double weight_decay, bool nesterov,
                 bool first, const Tensor* skip) {
  return guarded([&] {
    auto p = list(parameters, count), g = list(gradients, count), b = list(momenta, momentum_count);
    at::_fused_sgd_(p, g, b, weight_decay, momentum, lr, 0.0, nesterov, false, first, {}, *skip);
  });
}

// torch.optim.RMSprop; libtorch has no fused kernel for it.
char* signet_rmsprop(Tensor* const* parameters, Tensor* const* gradients, Tensor* const* squares,
                     Tensor* const* momenta, size_t count, double lr, double alpha, double eps, double momentum,
                     double weight_decay, const Tensor* skip) {
  return guarded([&] {
    auto skipped = skip->to(at::kBool);
    auto put = [&](Tensor& place, const Tensor& value) { place.copy_(at::where(skipped, place, value)); };
    for (size_t i = 0; i < count; i++) {
      Tensor &p = *parameters[i], &v = *squares[i];
      auto g = weight_decay == 0 ? *gradients[i] : gradients[i]->add(p, weight_decay);
      put(v, v.mul(alpha).addcmul_(g, g, 1 - alpha));
      auto root = v.sqrt().add_(eps);
      if (momentum > 0) {
        put(*momenta[i], momenta[i]->mul(momentum).addcdiv_(g, root));
        put(p, p.add(*momenta[i], -lr));
      } else {
        put(p, p.addcdiv(g, root, -lr));
      }
    }
  });
}

char* signet_repeatable(bool wanted) {
  return guarded([&] {
    // cuBLAS reads this at its first call and is not repeatable without it; a user's own choice stays.
    if (wanted) setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
    auto& context = at::globalContext();
    context.setDeterministicAlgorithms(wanted, false);
    context.setDeterministicFillUninitializedMemory(false);
    context.setDeterministicCuDNN(wanted);
    context.setBenchmarkCuDNN(false);
    context.setDeterministicMkldnn(wanted);
    context.setAllowTF32CuDNN(false);
  });
}

// A copy that the caller frees with signet_free, as it does with messages.
char* signet_cpu_capability() { return strdup(at::get_cpu_capability().c_str()); }

char* signet_autocast(bool cuda, bool on) {
  return guarded([&] {
    auto device = cuda ? at::kCUDA : at::kCPU;
    if (on) {
      at::autocast::set_autocast_dtype(device, at::kBFloat16);
      at::autocast::set_autocast_enabled(device, true);
      at::autocast::increment_nesting();
    } else {
      if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
      at::autocast::set_autocast_enabled(device, false);
    }
  });
}

} // extern "C"
