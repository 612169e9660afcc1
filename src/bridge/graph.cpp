// Work of a GPU as a CUDA graph. It is part of a library of its own, since libtorch's header for it needs CUDA's:
// scripts/cuda-library compiles it, and cuda_library.rs opens it beside libtorch's library for CUDA, which has everything that
// is called here.
#include "guard.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>

namespace {

struct Graph {
  at::cuda::CUDAGraph work;
  std::optional<c10::cuda::CUDAStreamGuard> recording;  // to its stream, until the recording has ended
};

}  // namespace

extern "C" {

// From here on the calling thread's work is recorded instead of done, as torch.cuda.graph has it: by a stream of its own, and
// after all that was begun before. libtorch's generator of the GPU is recorded with it: a replay draws what the work would
// draw then.
char* signet_graph_begin(int64_t gpu, Graph** graph) {
  return guarded([&] {
    c10::cuda::CUDAGuard device(static_cast<c10::DeviceIndex>(gpu));
    c10::cuda::device_synchronize();
    auto made = std::make_unique<Graph>();
    made->recording.emplace(c10::cuda::getStreamFromPool(false, static_cast<c10::DeviceIndex>(gpu)));
    made->work.capture_begin();
    *graph = made.release();
  });
}

char* signet_graph_end(Graph* graph) {
  return guarded([&] {
    graph->work.capture_end();
    graph->recording.reset();
  });
}

char* signet_graph_replay(Graph* graph) {
  return guarded([&] { graph->work.replay(); });
}

// Also of a recording that failed, which has to end before the thread goes on.
void signet_graph_free(Graph* graph) {
  if (graph->recording) free(guarded([&] { graph->work.capture_end(); }));
  delete graph;
}

}  // extern "C"
