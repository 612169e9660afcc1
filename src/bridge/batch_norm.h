// Batch norm in training (Ioffe and Szegedy, 2015): sums over the rows of a batch, a number for each channel in each row,
// and what follows from them. Sums of float32 are short, and sums of those are float64.
#pragma once

#include "guard.h"
#include "kernels.h"

#include <cmath>
#include <vector>

constexpr int64_t ROWS = 256;  // that are summed together

// Rows of few channels are taken several at a time, so that a loop over a line is long enough to be fast.
struct Lines {
  int64_t channels, rows, width;  // numbers in a row, rows in a line, numbers in a line
  explicit Lines(int64_t channels)
      : channels(channels), rows(std::max<int64_t>(1, 64 / channels)), width(channels * rows) {}

  // A value for each channel, repeated for a whole line.
  std::vector<float> repeat(const std::vector<double>& values) const {
    std::vector<float> line(width);
    for (int64_t j = 0; j < width; j++) line[j] = values[j % channels];
    return line;
  }
};

// Calls add(line, width, from) for every line of `count` rows; the last may be shorter.
template <class Add>
INLINE void for_lines(const Lines& lines, int64_t count, const Add& add) {
  const int64_t numbers = count * lines.channels;
  for (int64_t from = 0; from < numbers; from += lines.width) add(from, std::min(lines.width, numbers - from));
}

// The sums of f(x) over `count` rows for each channel.
template <class Value>
INLINE void sum_channels(const Lines& lines, int64_t count, float* __restrict line, double* out, const Value& value) {
  std::fill(line, line + lines.width, 0.f);
  for_lines(lines, count, [&](int64_t from, int64_t width) __attribute__((always_inline)) {
    for (int64_t j = 0; j < width; j++) line[j] += value(from + j, j);
  });
  std::fill(out, out + lines.channels, 0.0);
  for (int64_t j = 0; j < lines.width; j++) out[j % lines.channels] += line[j];
}

// Mean and sum of squared deviations of `count` rows.
CLONES void moments(const Lines& lines, int64_t count, const float* __restrict x, float* __restrict line,
                    float* __restrict centre, double* mean, double* squares) {
  sum_channels(lines, count, line, mean, [&](int64_t i, int64_t) __attribute__((always_inline)) { return x[i]; });
  for (int64_t c = 0; c < lines.channels; c++) mean[c] /= count;
  for (int64_t j = 0; j < lines.width; j++) centre[j] = mean[j % lines.channels];
  sum_channels(lines, count, line, squares, [&](int64_t i, int64_t j) __attribute__((always_inline)) {
    const float off = x[i] - centre[j];
    return off * off;
  });
  // The centre is rounded: what that adds is taken off again.
  for (int64_t c = 0; c < lines.channels; c++) squares[c] -= count * (mean[c] - centre[c]) * (mean[c] - centre[c]);
}

CLONES void scale(const Lines& lines, int64_t count, const float* __restrict x, const float* __restrict mean,
                  const float* __restrict factor, const float* __restrict shift, float* __restrict y) {
  for_lines(lines, count, [&](int64_t from, int64_t width) __attribute__((always_inline)) {
    for (int64_t j = 0; j < width; j++) y[from + j] = (x[from + j] - mean[j]) * factor[j] + shift[j];
  });
}

// Sums of dy and of dy (x - mean).
CLONES void gradient_sums(const Lines& lines, int64_t count, const float* __restrict x, const float* __restrict dy,
                          const float* __restrict mean, float* __restrict line, double* plain, double* weighted) {
  sum_channels(lines, count, line, plain, [&](int64_t i, int64_t) __attribute__((always_inline)) { return dy[i]; });
  sum_channels(lines, count, line, weighted,
               [&](int64_t i, int64_t j) __attribute__((always_inline)) { return dy[i] * (x[i] - mean[j]); });
}

CLONES void gradient(const Lines& lines, int64_t count, const float* __restrict x, const float* __restrict dy,
                     const float* __restrict mean, const float* __restrict common, const float* __restrict slope,
                     const float* __restrict factor, float* __restrict dx) {
  for_lines(lines, count, [&](int64_t from, int64_t width) __attribute__((always_inline)) {
    for (int64_t j = 0; j < width; j++)
      dx[from + j] = (dy[from + j] - common[j] - (x[from + j] - mean[j]) * slope[j]) * factor[j];
  });
}

// What a mean loses in the loops, which subtract it as a float32; that is made good behind them.
double rounding(double mean) { return mean - float(mean); }

// What a batch is normalised by: (x - mean) * inverse, for each channel.
struct Normalization {
  std::vector<double> mean, inverse;
};

// The same with scale and shift: (x - float(mean)) * factor + shift.
struct Affine {
  std::vector<double> factor, shift;
  Affine(const Normalization& by, const Tensor& weight, const Tensor& bias) : factor(by.mean.size()), shift(by.mean.size()) {
    const float *w = weight.const_data_ptr<float>(), *b = bias.const_data_ptr<float>();
    for (size_t c = 0; c < factor.size(); c++) {
      factor[c] = by.inverse[c] * w[c];
      shift[c] = b[c] - rounding(by.mean[c]) * factor[c];
    }
  }
};

// The normalisation of the batch `x`, towards which the running statistics move.
inline Normalization normalization_of(const Tensor& x, Tensor& running_mean, Tensor& running_var, double momentum,
                                      double eps) {
  const int64_t channels = x.size(1), rows = x.numel() / channels, blocks = (rows + ROWS - 1) / ROWS;
  const Lines lines(channels);
  const float* px = x.const_data_ptr<float>();
  std::vector<double> means(blocks * channels), squares(blocks * channels);
  in_blocks(rows, ROWS, [&](int64_t from, int64_t to) {
    std::vector<float> line(lines.width), centre(lines.width);
    const int64_t at = from / ROWS * channels;
    moments(lines, to - from, px + from * channels, line.data(), centre.data(), &means[at], &squares[at]);
  });
  // Chan, Golub and LeVeque (1979): moments of two sets from those of each.
  std::vector<double> mean(channels, 0), square(channels, 0), inverse(channels);
  double seen = 0;
  for (int64_t block = 0; block < blocks; block++) {
    const double more = std::min(ROWS, rows - block * ROWS), all = seen + more;
    for (int64_t c = 0; c < channels; c++) {
      const double off = means[block * channels + c] - mean[c];
      mean[c] += off * more / all;
      square[c] += squares[block * channels + c] + off * off * seen * more / all;
    }
    seen = all;
  }
  float *of_mean = running_mean.data_ptr<float>(), *of_var = running_var.data_ptr<float>();
  for (int64_t c = 0; c < channels; c++) {
    inverse[c] = 1 / std::sqrt(square[c] / rows + eps);
    of_mean[c] = (1 - momentum) * of_mean[c] + momentum * mean[c];
    of_var[c] = (1 - momentum) * of_var[c] + momentum * square[c] / (rows - 1);
  }
  return {mean, inverse};
}

// The gradients of weight and bias, and what that of the input is made of:
// dx = (dy - common - (x - float(mean)) * slope) * factor.
struct Gradients {
  Tensor weight, bias;
  std::vector<double> common, slope, factor;

  // From dy and x in those rows of the batch, `some`, where dy is not zero; the batch has `rows`.
  Gradients(const Normalization& by, const Tensor& weights, const float* x, const float* dy, int64_t some, int64_t rows)
      : weight(at::empty_like(weights)), bias(at::empty_like(weights)), common(by.mean.size()), slope(by.mean.size()),
        factor(by.mean.size()) {
    const int64_t channels = by.mean.size(), blocks = (some + ROWS - 1) / ROWS;
    const Lines lines(channels);
    const auto centre = lines.repeat(by.mean);
    std::vector<double> plain(blocks * channels), weighted(blocks * channels);
    in_blocks(some, ROWS, [&](int64_t from, int64_t to) {
      std::vector<float> line(lines.width);
      const int64_t at = from / ROWS * channels;
      gradient_sums(lines, to - from, x + from * channels, dy + from * channels, centre.data(), line.data(), &plain[at],
                    &weighted[at]);
    });
    for (int64_t block = 1; block < blocks; block++)
      for (int64_t c = 0; c < channels; c++) {
        plain[c] += plain[block * channels + c];
        weighted[c] += weighted[block * channels + c];
      }
    for (int64_t c = 0; c < channels; c++) {
      weighted[c] -= rounding(by.mean[c]) * plain[c];
      weight.data_ptr<float>()[c] = weighted[c] * by.inverse[c];
      bias.data_ptr<float>()[c] = plain[c];
      slope[c] = weighted[c] / rows * by.inverse[c] * by.inverse[c];
      common[c] = plain[c] / rows - rounding(by.mean[c]) * slope[c];
      factor[c] = by.inverse[c] * weights.const_data_ptr<float>()[c];
    }
  }
};
