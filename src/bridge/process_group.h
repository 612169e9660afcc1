// Processes that exchange tensors, by libtorch's own c10d. What one of them holds is the same for Gloo and for NCCL.
#pragma once

#include "guard.h"

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

// A place for short texts under keys, which one of the processes holds.
struct Store {
  c10::intrusive_ptr<c10d::Store> keys;
};

// The processes, as one of them sees them.
struct Group {
  c10::intrusive_ptr<c10d::Backend> backend;
};
