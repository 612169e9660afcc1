// One step of an optimiser over all parameters. `skip` is 0, or 1 to leave everything as it is.
#include "guard.h"

#include <ATen/ATen.h>

extern "C" {

char* signet_adam(Tensor* const* parameters, Tensor* const* gradients, Tensor* const* averages,
                  Tensor* const* squares, Tensor* const* steps, size_t count, bool decoupled, double lr,
                  double beta1, double beta2, double weight_decay, double eps, const Tensor* skip) {
  return guarded_without_gradients([&] {
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
  return guarded_without_gradients([&] {
    auto p = list(parameters, count), g = list(gradients, count), b = list(momenta, momentum_count);
    at::_fused_sgd_(p, g, b, weight_decay, momentum, lr, 0.0, nesterov, false, first, {}, *skip);
  });
}

// torch.optim.RMSprop; libtorch has no fused kernel for it.
char* signet_rmsprop(Tensor* const* parameters, Tensor* const* gradients, Tensor* const* squares,
                     Tensor* const* momenta, size_t count, double lr, double alpha, double eps, double momentum,
                     double weight_decay, const Tensor* skip) {
  return guarded_without_gradients([&] {
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

} // extern "C"
