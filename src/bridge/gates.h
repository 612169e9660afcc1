// One step of a recurrent layer for one row of a batch, forward and backward. Plain arithmetic without a branch, which
// compilers turn into vectors.
#pragma once

#include "kernels.h"

#include <cmath>
#include <cstdint>
#include <cstring>

enum class Cell : int64_t { tanh, relu, lstm, gru };

// e^x within two units in the last place: x = n ln 2 + r, and a polynomial of degree 6 for r. The constants are those
// of Cephes' expf (S. Moshier, netlib.org/cephes).
INLINE float exponential(float x) {
  x = x < -87.f ? -87.f : x;
  x = x > 88.f ? 88.f : x;
  const float magic = 12582912.f;  // 1.5 * 2^23: a sum with it has the nearest whole number in its low bits
  const float sum = x * 1.44269504088896341f + magic;
  int32_t bits;
  std::memcpy(&bits, &sum, sizeof bits);
  const float n = sum - magic;
  float r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.f;
  const int32_t power = (int32_t)((uint32_t)(bits + 127) << 23);  // 2^n; the upper bits of `magic` fall out
  float scale;
  std::memcpy(&scale, &power, sizeof scale);
  return p * scale;
}

INLINE float logistic(float x) { return 1.f / (1.f + exponential(-x)); }
INLINE double logistic(double x) { return 1 / (1 + std::exp(-x)); }

// Cephes' tanhf: a polynomial near zero, an exponential elsewhere.
INLINE float tangent(float x) {
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float near = p * z * x + x;
  const float far = std::copysign(1.f - 2.f / (exponential(2.f * std::fabs(x)) + 1.f), x);
  return std::fabs(x) < 0.625f ? near : far;
}
INLINE double tangent(double x) { return std::tanh(x); }

// What a step reads and writes, a row for each image. Before the step `gates` holds sums, then activations, and after
// the backward step the gradients of the sums; its columns are those of `columns_of`.
template <class T>
struct Step {
  Matrix<T> gates;
  Matrix<const T> h_before, c_before;
  Matrix<T> h, c;                 // forward; a row of c is the cell's state and, behind it, its tangent
  Matrix<const T> dy;             // backward: the gradient of this step's output
  Matrix<T> dh, dc;               // backward: what comes back through time, in and out
};

// Columns of the gate buffer, in units of the hidden size. An LSTM has i, f, g, o. A GRU has n, r, z, m, where m is
// U_n h + its bias, so that the last three get the recurrent product.
inline int64_t columns_of(Cell cell) { return cell == Cell::lstm || cell == Cell::gru ? 4 : 1; }

template <Cell cell, class T>
INLINE void forward_row(int64_t n, T* __restrict a, const T* __restrict h_before, const T* __restrict c_before,
                        T* __restrict c, T* __restrict h) {
  for (int64_t j = 0; j < n; j++) {
    if constexpr (cell == Cell::tanh) {
      h[j] = a[j] = tangent(a[j]);
    } else if constexpr (cell == Cell::relu) {
      h[j] = a[j] = a[j] > 0 ? a[j] : T(0);
    } else if constexpr (cell == Cell::lstm) {
      const T in = logistic(a[j]), forget = logistic(a[n + j]), fresh = tangent(a[2 * n + j]), out = logistic(a[3 * n + j]);
      const T state = forget * c_before[j] + in * fresh, shown = tangent(state);
      a[j] = in;
      a[n + j] = forget;
      a[2 * n + j] = fresh;
      a[3 * n + j] = out;
      c[j] = state;
      c[n + j] = shown;
      h[j] = out * shown;
    } else {
      const T reset = logistic(a[n + j]), keep = logistic(a[2 * n + j]), fresh = tangent(a[j] + reset * a[3 * n + j]);
      a[j] = fresh;
      a[n + j] = reset;
      a[2 * n + j] = keep;
      h[j] = fresh + keep * (h_before[j] - fresh);
    }
  }
}

template <Cell cell, class T>
INLINE void backward_row(int64_t n, T* __restrict a, const T* __restrict h_before, const T* __restrict c_before,
                         const T* __restrict c, const T* __restrict dy, T* __restrict dh, T* __restrict dc) {
  for (int64_t j = 0; j < n; j++) {
    const T d = dy[j] + dh[j];
    if constexpr (cell == Cell::tanh) {
      a[j] = d * (1 - a[j] * a[j]);
    } else if constexpr (cell == Cell::relu) {
      a[j] = a[j] > 0 ? d : T(0);
    } else if constexpr (cell == Cell::lstm) {
      const T in = a[j], forget = a[n + j], fresh = a[2 * n + j], out = a[3 * n + j], shown = c[n + j];
      const T e = dc[j] + d * out * (1 - shown * shown);
      a[j] = e * fresh * in * (1 - in);
      a[n + j] = e * c_before[j] * forget * (1 - forget);
      a[2 * n + j] = e * in * (1 - fresh * fresh);
      a[3 * n + j] = d * shown * out * (1 - out);
      dc[j] = e * forget;
    } else {
      const T fresh = a[j], reset = a[n + j], keep = a[2 * n + j], m = a[3 * n + j];
      const T e = d * (1 - keep) * (1 - fresh * fresh);
      a[j] = e;
      a[n + j] = e * m * reset * (1 - reset);
      a[2 * n + j] = d * (h_before[j] - fresh) * keep * (1 - keep);
      a[3 * n + j] = e * reset;
      dh[j] = d * keep;
    }
  }
}

// Calls `rows` with the cell as a constant.
template <class Rows>
INLINE void for_cell(Cell cell, const Rows& rows) {
  switch (cell) {
    case Cell::tanh: return rows(std::integral_constant<Cell, Cell::tanh>());
    case Cell::relu: return rows(std::integral_constant<Cell, Cell::relu>());
    case Cell::lstm: return rows(std::integral_constant<Cell, Cell::lstm>());
    case Cell::gru: return rows(std::integral_constant<Cell, Cell::gru>());
  }
}

// `count` rows of one step, each `n` hidden numbers wide.
template <class T>
INLINE void forward_rows(Cell cell, int64_t count, int64_t n, const Step<T>& step) {
  for_cell(cell, [&](auto kind) __attribute__((always_inline)) {
    for (int64_t row = 0; row < count; row++)
      forward_row<decltype(kind)::value>(n, step.gates[row], step.h_before[row], step.c_before[row], step.c[row], step.h[row]);
  });
}
template <class T>
INLINE void backward_rows(Cell cell, int64_t count, int64_t n, const Step<T>& step) {
  for_cell(cell, [&](auto kind) __attribute__((always_inline)) {
    for (int64_t row = 0; row < count; row++)
      backward_row<decltype(kind)::value>(n, step.gates[row], step.h_before[row], step.c_before[row],
                                          const_cast<const T*>(step.c[row]), step.dy[row], step.dh[row], step.dc[row]);
  });
}
CLONES static void forward_step(Cell cell, int64_t count, int64_t n, const Step<float>& step) { forward_rows(cell, count, n, step); }
CLONES static void forward_step(Cell cell, int64_t count, int64_t n, const Step<double>& step) { forward_rows(cell, count, n, step); }
CLONES static void backward_step(Cell cell, int64_t count, int64_t n, const Step<float>& step) { backward_rows(cell, count, n, step); }
CLONES static void backward_step(Cell cell, int64_t count, int64_t n, const Step<double>& step) { backward_rows(cell, count, n, step); }
