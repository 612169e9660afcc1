// Processes with a GPU each, by NCCL. It is part of the library for CUDA, as graph.cpp is.
#define USE_C10D_NCCL
#include "process_group.h"

#include <c10/cuda/CUDAGuard.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

extern "C" {

// Joins the `world` processes that meet in the `store` under `prefix`, as the one called `rank`, with the GPU of that number.
char* signet_group_nccl(Store* store, const char* prefix, int rank, int world, int64_t gpu, int64_t patience,
                        Group** group) {
  return guarded([&] {
    using Nccl = c10d::ProcessGroupNCCL;
    // A process that waits for one that is gone is to hear of it; torchrun sets the same.
    setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "1", 0);
    const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(gpu));
    c10::cuda::CUDAGuard guard(device);
    auto options = Nccl::Options::create();
    options->timeout = std::chrono::milliseconds(patience);
    auto keys = c10::make_intrusive<c10d::PrefixStore>(prefix, store->keys);
    auto nccl = c10::make_intrusive<Nccl>(keys, rank, world, options);
    nccl->eagerConnectSingleDevice(device);
    *group = new Group{nccl};
  });
}

}  // extern "C"
