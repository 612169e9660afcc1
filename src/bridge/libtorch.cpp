// What libtorch says of itself, and is told.
#include "guard.h"
#include "kernels.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>

#if AT_PARALLEL_OPENMP
#include <omp.h>

extern "C" __attribute__((weak)) void MKL_Set_Dynamic(int wanted);
#endif

extern "C" {

// A copy that the caller frees with free(), as it does with messages.
char* signet_cpu_capability() { return strdup(at::get_cpu_capability().c_str()); }

void signet_set_num_threads(int threads) {
#if AT_PARALLEL_OPENMP
  at::get_num_threads(); // which chooses a number where none was set, once a thread, and then leaves it
  omp_set_num_threads(threads);
  if (MKL_Set_Num_Threads_Local) MKL_Set_Num_Threads_Local(threads);
  if (MKL_Set_Dynamic) MKL_Set_Dynamic(0);
#else
  at::set_num_threads(threads);
#endif
}

} // extern "C"
