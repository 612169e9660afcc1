// libtorch brings gloo, without the headers that its ProcessGroupGloo.hpp includes. That holds what is gloo's by pointer alone,
// so that the names are enough.
#pragma once

#include <chrono>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

}  // namespace gloo
