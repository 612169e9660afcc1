// Dropout on the CPU.
#pragma once

#include <ATen/core/Tensor.h>

// Zeroes the share `p` of all numbers and scales the rest by 1 / (1 - p), differentiable. Which ones depends on one number
// of libtorch's generator and on where in memory a number lies.
at::Tensor dropped(const at::Tensor& x, double p);
