// Gradients as libtorch keeps them beside the parameters.
#include "guard.h"

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

} // extern "C"
