// What every C++ file of the bridge stands on. A function of the bridge returns null, or a message that the caller frees
// with free(). No CUDA header is needed but in graph.cpp: all other calls go through the dispatcher.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <cstring>
#include <exception>
#include <vector>

using at::Tensor;

// Does `work`, and turns what it throws into a message. Gradients are recorded where the caller has them recorded.
template <typename Work>
char* guarded(Work work) {
  try {
    work();
    return nullptr;
  } catch (const c10::Error& error) {
    return strdup(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return strdup(error.what());
  }
}

// The same for work that no gradient is to flow through, such as an update of the weights.
template <typename Work>
char* guarded_without_gradients(Work work) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    work();
  });
}

// `count` tensors as libtorch takes them.
inline std::vector<Tensor> list(Tensor* const* tensors, size_t count) {
  std::vector<Tensor> listed;
  listed.reserve(count);
  for (size_t i = 0; i < count; i++) listed.push_back(*tensors[i]);
  return listed;
}
