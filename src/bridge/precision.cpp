// Switches for determinism, TF32 and bf16 autocast.
#include "guard.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <cstdlib>

extern "C" {

char* signet_set_deterministic(bool wanted) {
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
