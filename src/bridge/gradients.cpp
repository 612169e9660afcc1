// Gradients, and clipping without a synchronisation.
#include "guard.h"

#include <ATen/ATen.h>

extern "C" {

char* signet_gradients(Tensor* const* parameters, Tensor** gradients, size_t count) {
  return guarded_without_gradients([&] {
    for (size_t i = 0; i < count; i++) {
      const Tensor& gradient = parameters[i]->grad();
      TORCH_CHECK(gradient.defined(), "parameter ", i, " has no gradient");
      gradients[i] = new Tensor(gradient);
    }
  });
}

char* signet_zero_grad(Tensor* const* parameters, size_t count) {
  return guarded_without_gradients([&] {
    for (size_t i = 0; i < count; i++) parameters[i]->mutable_grad().reset();
  });
}

char* signet_clip(Tensor* const* gradients, size_t count, double max_norm, const Tensor* loss, Tensor* diverged) {
  return guarded_without_gradients([&] {
    auto all = list(gradients, count);
    auto norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(all, 2.0)), 2.0);
    auto bad = at::isfinite(norm).logical_and(at::isfinite(loss->detach())).logical_not();
    diverged->copy_(at::maximum(*diverged, bad.to(at::kFloat)));
    if (max_norm > 0) at::_foreach_mul_(all, (max_norm / (norm + 1e-6)).clamp_max(1.0));
  });
}

} // extern "C"
