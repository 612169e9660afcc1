// Max pooling with ReLU over square windows side by side, of numbers as they are or normalised on the way, and back.
#pragma once

#include "kernels.h"

constexpr int64_t POOL_ROWS = 16;  // of the result that are computed together
constexpr int32_t NOWHERE = -1;    // no number of the window is above zero

// The sides of an image and of its windows, in pixels; what does not fill a window at the far edges is left out.
struct Windows {
  int64_t size, channels, height, width;
  int64_t rows() const { return height / size; }
  int64_t columns() const { return width / size; }
  int64_t line() const { return width * channels; }  // numbers between the starts of two rows of an image
  // Where the windows number `row`, counted over all images, begin.
  int64_t start(int64_t row) const { return (row / rows() * height + row % rows() * size) * line(); }
};

// Numbers are compared as they are.
struct AsTheyAre {
  static constexpr bool is_of_input = true;
  template <class V>
  INLINE V operator()(V x, int64_t) const {
    return x;
  }
};

// Numbers are compared after batch norm, with the values of each channel.
struct Normalized {
  static constexpr bool is_of_input = false;
  const float *mean, *factor, *shift;
  template <class V>
  INLINE V operator()(V x, int64_t c) const {
    return (x - load<V>(mean + c)) * load<V>(factor + c) + load<V>(shift + c);
  }
};

// ReLU of the largest of a window's numbers, which of them it was, and what it was in the input. The first of equals
// wins and a NaN always, as in PyTorch. For one channel, or as many as there are in a vector.
template <class V, class I, class Change>
INLINE void pool_window(const Windows& windows, const Change& change, int64_t c, const float* x, float* y, int32_t* index,
                        float* input) {
  V best = change(load<V>(x + c), c), raw = load<V>(x + c);
  I where{};
  for (int64_t i = 0; i < windows.size; i++)
    for (int64_t j = 0; j < windows.size; j++) {
      const V from = load<V>(x + i * windows.line() + j * windows.channels + c), one = change(from, c);
      const I better = (one > best) | (one != one);
      best = better ? one : best;
      where = better ? I{} + int32_t(i * windows.size + j) : where;
      if constexpr (!Change::is_of_input) raw = better ? from : raw;
    }
  const I dead = best <= V{};
  store<V>(y + c, dead ? V{} : best);
  store<I>(index + c, dead ? I{} + NOWHERE : where);
  if constexpr (!Change::is_of_input) store<V>(input + c, raw);
}

template <class Change>
CLONES void pool_row(const Windows& windows, const Change& change, const float* x, float* y, int32_t* index, float* input) {
  const int64_t channels = windows.channels;
  for (int64_t w = 0; w < windows.columns(); w++) {
    int64_t c = 0;
    for (; c + LANES <= channels; c += LANES) pool_window<floats, whole>(windows, change, c, x, y, index, input);
    for (; c < channels; c++) pool_window<float, int32_t>(windows, change, c, x, y, index, input);
    x += windows.size * channels, y += channels, index += channels;
    if constexpr (!Change::is_of_input) input += channels;
  }
}

// Pooling alone hands a gradient on.
struct HandedOn {
  template <class V>
  INLINE V operator()(V dy, int64_t, int64_t) const {
    return dy;
  }
};

// Batch norm's gradient, of a number that lies `at` numbers behind `x`.
struct OfNormalized {
  const float *x, *mean, *common, *slope, *factor;
  template <class V>
  INLINE V operator()(V dy, int64_t at, int64_t c) const {
    return (dy - load<V>(common + c) - (load<V>(x + at) - load<V>(mean + c)) * load<V>(slope + c)) * load<V>(factor + c);
  }
};

// The gradient of a window goes to the number that was the largest.
template <class V, class I, class Change>
INLINE void spread_window(const Windows& windows, const Change& change, int64_t start, int64_t c, const float* dy,
                          const int32_t* index, float* dx) {
  const I where = load<I>(index + c);
  const V d = load<V>(dy + c);
  for (int64_t i = 0; i < windows.size; i++)
    for (int64_t j = 0; j < windows.size; j++) {
      const int64_t at = start + i * windows.line() + j * windows.channels + c;
      const I here = where == int32_t(i * windows.size + j);
      store<V>(dx + at, change(here ? d : V{}, at, c));
    }
}

// None goes to pixels outside of all windows.
template <class Change>
INLINE void spread_none(int64_t pixels, int64_t channels, const Change& change, int64_t start, float* dx) {
  for (int64_t pixel = 0; pixel < pixels; pixel++, start += channels)
    for (int64_t c = 0; c < channels; c++) dx[start + c] = change(0.f, start + c, c);
}

// What a row of windows gives to its image, whose memory behind `dx` it fills up to the next row of windows.
template <class Change>
CLONES void spread_row(const Windows& windows, const Change& change, bool is_last, const float* dy, const int32_t* index,
                       float* dx) {
  const int64_t channels = windows.channels, covered = windows.columns() * windows.size;
  for (int64_t w = 0; w < windows.columns(); w++, dy += channels, index += channels) {
    const int64_t start = w * windows.size * channels;
    int64_t c = 0;
    for (; c + LANES <= channels; c += LANES) spread_window<floats, whole>(windows, change, start, c, dy, index, dx);
    for (; c < channels; c++) spread_window<float, int32_t>(windows, change, start, c, dy, index, dx);
  }
  for (int64_t i = 0; i < windows.size; i++)
    spread_none(windows.width - covered, channels, change, i * windows.line() + covered * channels, dx);
  if (is_last)
    spread_none((windows.height - windows.rows() * windows.size) * windows.width, channels, change,
                windows.size * windows.line(), dx);
}
