/* Counts how often a process waits for the GPU, and adds the number to the file that WAITS names when it ends. For LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static long waits;

static void *theirs(const char *name) {
  void *library = dlopen("libcudart.so.13", RTLD_LAZY);
  void *found = library ? dlsym(library, name) : NULL;
  if (!found) abort();
  return found;
}

#define COUNTED(name, types, values)                                  \
  int name types {                                                    \
    static int(*real) types;                                          \
    __atomic_add_fetch(&waits, 1, __ATOMIC_RELAXED);                  \
    if (!real) real = (int(*) types)theirs(#name);                    \
    return real values;                                               \
  }

COUNTED(cudaDeviceSynchronize, (void), ())
COUNTED(cudaStreamSynchronize, (void *stream), (stream))
COUNTED(cudaEventSynchronize, (void *event), (event))
COUNTED(cudaMemcpy, (void *to, const void *from, size_t count, int kind), (to, from, count, kind))

/* How signet ends: without the destructors of libraries. */
void _exit(int code) {
  const char *name = getenv("WAITS");
  FILE *file = name ? fopen(name, "a") : NULL;
  if (file) {
    fprintf(file, "%ld\n", waits);
    fclose(file);
  }
  syscall(SYS_exit_group, code);
  __builtin_unreachable();
}
