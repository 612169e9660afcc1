// What libtorch says of itself.
#include "guard.h"

#include <ATen/Version.h>

extern "C" {

// A copy that the caller frees with free(), as it does with messages.
char* signet_cpu_capability() { return strdup(at::get_cpu_capability().c_str()); }

} // extern "C"
