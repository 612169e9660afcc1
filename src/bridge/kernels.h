// What loops over numbers stand on: clones by instruction set, blocks of work for threads, matrix products.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>
#include <algorithm>
#include <cstring>
#include <type_traits>

// Compiled once for each instruction set, chosen when the program starts. Elsewhere there is one version.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif

// A clone has to see the whole loop to make vectors of it.
#define INLINE __attribute__((always_inline)) inline

// Eight numbers as one: compilers take larger vectors apart number by number where there are no such registers.
typedef float floats __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t whole __attribute__((vector_size(32), aligned(4), may_alias));
constexpr int64_t LANES = 8;

// A number or a vector of them, from memory and to it, wherever it lies: a template's argument loses the attributes that
// would say so.
template <class V, class T>
INLINE V load(const T* from) {
  V value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <class V, class T>
INLINE void store(T* to, V value) {
  std::memcpy(to, &value, sizeof value);
}

// MKL's, where libtorch is built with it; null otherwise.
extern "C" {
__attribute__((weak)) int MKL_Set_Num_Threads_Local(int threads);
__attribute__((weak)) void sgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n,
                                  const int* k, const float* alpha, const float* a, const int* lda, const float* b,
                                  const int* ldb, const float* beta, float* c, const int* ldc);
__attribute__((weak)) void dgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n,
                                  const int* k, const double* alpha, const double* a, const int* lda, const double* b,
                                  const int* ldb, const double* beta, double* c, const int* ldc);
}

// Keeps the products of this thread to it: two threads of MKL change bits at some shapes.
struct SingleThreadedProducts {
  int before = MKL_Set_Num_Threads_Local ? MKL_Set_Num_Threads_Local(1) : 0;
  ~SingleThreadedProducts() {
    if (MKL_Set_Num_Threads_Local) MKL_Set_Num_Threads_Local(before);
  }
};

// Calls work(from, to) for each block of `size` numbers below `count`, the last of which may be shorter. Threads share
// the blocks; where these begin and end does not depend on how many threads there are, and so no bit does.
template <class Work>
void in_blocks(int64_t count, int64_t size, const Work& work) {
  at::parallel_for(0, (count + size - 1) / size, 1, [&](int64_t first, int64_t last) {
    SingleThreadedProducts single;
    for (int64_t block = first; block < last; block++) work(block * size, std::min(count, (block + 1) * size));
  });
}

// A matrix in memory: its first number, and how many numbers lie between the starts of two rows.
template <class T>
struct Matrix {
  T* data;
  int64_t stride;
  INLINE T* operator[](int64_t row) const { return data + row * stride; }
};

enum class Side { plain, transposed };
constexpr int64_t FEW_PRODUCTS = 1024;

INLINE void blas(const char* ta, const char* tb, const int* m, const int* n, const int* k, const float* a,
                 const int* lda, const float* b, const int* ldb, const float* beta, float* c, const int* ldc) {
  const float one = 1;
  sgemm_(ta, tb, m, n, k, &one, a, lda, b, ldb, beta, c, ldc);
}
INLINE void blas(const char* ta, const char* tb, const int* m, const int* n, const int* k, const double* a,
                 const int* lda, const double* b, const int* ldb, const double* beta, double* c, const int* ldc) {
  const double one = 1;
  dgemm_(ta, tb, m, n, k, &one, a, lda, b, ldb, beta, c, ldc);
}

// c [m, n] = a [m, k] b [k, n] + beta c, where a may lie transposed in memory. MKL's call costs a third of a microsecond
// less than libtorch's operator, and oneDNN's, for sums of few products, a quarter less than MKL's. The operator takes
// their place where there is no MKL, or for a test that wants it `portable`.
template <class T>
void product(Side a_side, int64_t m, int64_t n, int64_t k, Matrix<const T> a, Matrix<const T> b, T beta, Matrix<T> c,
             bool portable) {
  if (!portable && sgemm_) {
    if constexpr (std::is_same_v<T, float>) {
      if (a_side == Side::plain && k <= FEW_PRODUCTS && (beta == 0 || beta == 1))
        return at::native::cpublas::brgemm(m, n, k, a.stride, b.stride, c.stride, beta == 1, a.data, b.data, c.data, false);
    }
    // BLAS counts by columns, in which our matrices are transposed: it is told C' = B' A'.
    const int rows = n, columns = m, inner = k, lda = b.stride, ldb = a.stride, ldc = c.stride;
    blas("N", a_side == Side::plain ? "N" : "T", &rows, &columns, &inner, b.data, &lda, a.data, &ldb, &beta, c.data, &ldc);
    return;
  }
  at::InferenceMode no_graph;
  const auto options = at::CppTypeToScalarType<T>::value;
  auto view = [&](const T* data, int64_t rows, int64_t columns, int64_t stride) {
    return at::from_blob(const_cast<T*>(data), {rows, columns}, {stride, 1}, options);
  };
  auto left = a_side == Side::plain ? view(a.data, m, k, a.stride) : view(a.data, k, m, a.stride).t();
  auto result = view(c.data, m, n, c.stride);
  at::addmm_out(result, result, left, view(b.data, k, n, b.stride), beta, 1);
}
