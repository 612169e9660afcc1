// Switches for determinism, TF32 and bf16 autocast.
#include "guard.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <ATen/cpu/Utils.h>
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
  });
}

char* signet_set_tf32(bool wanted) {
  return guarded([&] {
    auto& context = at::globalContext();
    // libtorch's own defaults differ: off for products of matrices (unless the environment says otherwise), on in cuDNN.
    context.setAllowTF32CuBLAS(wanted);
    context.setAllowTF32CuDNN(wanted);
    // Products of bfloat16 are summed in float32; by default parts of a sum are handed on in bfloat16.
    context.setAllowBF16ReductionCuBLAS(false);
  });
}

char* signet_has_tf32(bool* cublas, bool* cudnn) {
  return guarded([&] {
    *cublas = at::globalContext().allowTF32CuBLAS();
    *cudnn = at::globalContext().allowTF32CuDNN();
  });
}

bool signet_cpu_computes_bf16() {
  const auto known = at::cpu::get_cpu_capabilities();
  auto has = [&](const char* name) {
    const auto found = known.find(name);
    return found != known.end() && found->second.isBool() && found->second.toBool();
  };
  return has("avx512_bf16") || has("amx_bf16") || has("bf16");
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
