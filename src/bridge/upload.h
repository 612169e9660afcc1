// Copies from the CPU to a GPU that nobody waits for.
#pragma once

#include <ATen/ATen.h>

// A copy of a tensor on the CPU. A copy from pinned memory is the GPU's own business; libtorch keeps that memory until it
// is done. From other memory the CPU would wait for it, and for all that the GPU was told before.
inline at::Tensor uploaded(const at::Tensor& x, at::Device device) {
  return x.pin_memory().to(device, x.scalar_type(), /*non_blocking=*/true);
}
