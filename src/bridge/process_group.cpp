// Processes that exchange tensors: a store for short texts, and a group by Gloo, whose functions are those of every backend.
#define USE_C10D_GLOO
#include "process_group.h"

#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

namespace {

using std::chrono::milliseconds;

// Does what `begin` begins and waits for its end, `patience` milliseconds at the most.
template <class Options, class Begin>
char* exchanged(int64_t patience, Begin begin) {
  return guarded_without_gradients([&] {
    Options options;
    options.timeout = milliseconds(patience);
    begin(options)->wait(options.timeout);
  });
}

}  // namespace

extern "C" {

// The store at `host` and `port`, which this process is to `serve` or joins.
char* signet_store_open(const char* host, uint16_t port, bool serve, int64_t patience, Store** store) {
  return guarded([&] {
    // c10d would tell of lost processes in C++ frames on standard error; outside of Python it heeds this once it is asked to.
    setenv("TORCH_CPP_LOG_LEVEL", "FATAL", 0);
    c10::initLogging();
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = serve;
    options.waitWorkers = false;
    options.timeout = milliseconds(patience);
    *store = new Store{c10::make_intrusive<c10d::TCPStore>(host, options)};
  });
}

char* signet_store_set(Store* store, const char* key, const uint8_t* value, size_t length) {
  return guarded([&] { store->keys->set(key, std::vector<uint8_t>(value, value + length)); });
}

// The value of `key` in memory that the caller frees, or null where there is none yet.
char* signet_store_get(Store* store, const char* key, uint8_t** value, size_t* length) {
  return guarded([&] {
    if (!store->keys->check({key})) return;
    auto found = store->keys->get(key);
    *value = static_cast<uint8_t*>(malloc(found.size() + 1));
    *length = found.size();
    memcpy(*value, found.data(), found.size());
  });
}

void signet_store_close(Store* store) { delete store; }

// Joins the `world` processes that meet in the `store` under `prefix`, as the one called `rank`; they reach it at `address`, or
// by the network interface called `interface` if that is not empty.
char* signet_group_gloo(Store* store, const char* prefix, int rank, int world, const char* address,
                        const char* interface, int64_t patience, Group** group) {
  return guarded([&] {
    using Gloo = c10d::ProcessGroupGloo;
    auto options = Gloo::Options::create_default(milliseconds(patience));
    options->devices = {*interface ? Gloo::createDeviceForInterface(interface) : Gloo::createDeviceForHostname(address)};
    auto keys = c10::make_intrusive<c10d::PrefixStore>(prefix, store->keys);
    *group = new Group{c10::make_intrusive<Gloo>(keys, rank, world, options)};
  });
}

// Writes the `own` numbers of each process, `[n]`, into `all`, `[world, n]`.
char* signet_group_all_gather(Group* group, Tensor* all, Tensor* own, int64_t patience) {
  return exchanged<c10d::AllgatherOptions>(patience, [&](auto& options) {
    auto flat = all->view(-1);
    return group->backend->_allgather_base(flat, *own, options);
  });
}

// Makes `x` the sum of those of all processes.
char* signet_group_all_reduce(Group* group, Tensor* x, int64_t patience) {
  return exchanged<c10d::AllreduceOptions>(patience, [&](auto& options) {
    std::vector<Tensor> list{*x};
    return group->backend->allreduce(list, options);
  });
}

// Makes `x` that of rank 0.
char* signet_group_broadcast(Group* group, Tensor* x, int64_t patience) {
  return exchanged<c10d::BroadcastOptions>(patience, [&](auto& options) {
    std::vector<Tensor> list{*x};
    return group->backend->broadcast(list, options);
  });
}

// Leaves the group, which the others notice at once.
void signet_group_leave(Group* group) { delete group; }

}  // extern "C"
