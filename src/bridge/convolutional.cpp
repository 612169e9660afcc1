// What a convolutional network computes on the CPU beside oneDNN's convolutions, differentiable: batch norm, max pooling
// with ReLU, and the weight gradient of a convolution of few channels. All of it on float32 whose channels lie innermost
// in memory; anything else goes to libtorch.
//
// Pieces of work are as large as said below however many threads there are, so no bit depends on those.
#include "guard.h"
#include "kernels.h"

#include <ATen/autocast_mode.h>
#include <cmath>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

bool is_ours(const Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && !x.is_mkldnn() &&
         (x.dim() == 2 ? x.is_contiguous() : x.dim() == 4 && x.is_contiguous(at::MemoryFormat::ChannelsLast));
}

// In the layout of `like`.
Tensor laid_out(const Tensor& x, const Tensor& like) {
  return x.contiguous(like.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
}

// Eight numbers as one: compilers take larger vectors apart number by number where there are no such registers.
typedef float floats __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t whole __attribute__((vector_size(32), aligned(4), may_alias));
constexpr int64_t LANES = 8;

// ---- Batch norm

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

// Batch norm in training (Ioffe and Szegedy, 2015): normalised by the batch's own mean and variance.
struct BatchNorm : Function<BatchNorm> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias,
                        Tensor running_mean, Tensor running_var, double momentum, double eps) {
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
    std::vector<double> mean(channels, 0), square(channels, 0), inverse(channels), factor(channels), shift(channels);
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
    const float *w = weight.const_data_ptr<float>(), *b = bias.const_data_ptr<float>();
    float *of_mean = running_mean.data_ptr<float>(), *of_var = running_var.data_ptr<float>();
    for (int64_t c = 0; c < channels; c++) {
      inverse[c] = 1 / std::sqrt(square[c] / rows + eps);
      factor[c] = inverse[c] * w[c];
      shift[c] = b[c] - rounding(mean[c]) * factor[c];
      of_mean[c] = (1 - momentum) * of_mean[c] + momentum * mean[c];
      of_var[c] = (1 - momentum) * of_var[c] + momentum * square[c] / (rows - 1);
    }
    auto y = at::empty_like(x);
    float* py = y.data_ptr<float>();
    const auto centre = lines.repeat(mean), by = lines.repeat(factor), to_bias = lines.repeat(shift);
    in_blocks(rows, ROWS, [&](int64_t from, int64_t to) {
      scale(lines, to - from, px + from * channels, centre.data(), by.data(), to_bias.data(), py + from * channels);
    });
    context->save_for_backward({x, weight});
    context->saved_data["mean"] = mean;
    context->saved_data["inverse"] = inverse;
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1];
    const auto mean = context->saved_data["mean"].toDoubleVector(), inverse = context->saved_data["inverse"].toDoubleVector();
    const auto dy = laid_out(gradients[0], x);
    const int64_t channels = x.size(1), rows = x.numel() / channels, blocks = (rows + ROWS - 1) / ROWS;
    const Lines lines(channels);
    const float *px = x.const_data_ptr<float>(), *pd = dy.const_data_ptr<float>();
    const auto centre = lines.repeat(mean);
    std::vector<double> plain(blocks * channels), weighted(blocks * channels);
    in_blocks(rows, ROWS, [&](int64_t from, int64_t to) {
      std::vector<float> line(lines.width);
      const int64_t at = from / ROWS * channels;
      gradient_sums(lines, to - from, px + from * channels, pd + from * channels, centre.data(), line.data(), &plain[at],
                    &weighted[at]);
    });
    for (int64_t block = 1; block < blocks; block++)
      for (int64_t c = 0; c < channels; c++) {
        plain[c] += plain[block * channels + c];
        weighted[c] += weighted[block * channels + c];
      }
    auto d_weight = at::empty_like(weight), d_bias = at::empty_like(weight), dx = at::empty_like(x);
    std::vector<double> common(channels), slope(channels), factor(channels);
    for (int64_t c = 0; c < channels; c++) {
      weighted[c] -= rounding(mean[c]) * plain[c];
      d_weight.data_ptr<float>()[c] = weighted[c] * inverse[c];
      d_bias.data_ptr<float>()[c] = plain[c];
      slope[c] = weighted[c] / rows * inverse[c] * inverse[c];
      common[c] = plain[c] / rows - rounding(mean[c]) * slope[c];
      factor[c] = inverse[c] * weight.const_data_ptr<float>()[c];
    }
    const auto off = lines.repeat(common), tilt = lines.repeat(slope), by = lines.repeat(factor);
    float* out = dx.data_ptr<float>();
    in_blocks(rows, ROWS, [&](int64_t from, int64_t to) {
      const int64_t at = from * channels;
      gradient(lines, to - from, px + at, pd + at, centre.data(), off.data(), tilt.data(), by.data(), out + at);
    });
    return {dx, d_weight, d_bias, Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

// ---- Max pooling and ReLU

constexpr int64_t POOL_ROWS = 16;  // of the result that are computed together
constexpr int32_t NOWHERE = -1;    // no number of the window is above zero

// One window: the largest of size * size numbers for each channel, and which it was; the first of equals wins and a NaN
// always, as in PyTorch. `line` lies between the starts of two rows of the image.
INLINE void pool_window(int64_t size, int64_t channels, int64_t line, const float* x, float* y, int32_t* index) {
  int64_t c = 0;
  for (; c + LANES <= channels; c += LANES) {
    floats best = *reinterpret_cast<const floats*>(x + c);
    whole where{};
    for (int64_t i = 0; i < size; i++)
      for (int64_t j = 0; j < size; j++) {
        const floats one = *reinterpret_cast<const floats*>(x + i * line + j * channels + c);
        const whole better = (one > best) | (one != one);
        best = better ? one : best;
        where = better ? whole{} + int32_t(i * size + j) : where;
      }
    const whole dead = best <= floats{};
    *reinterpret_cast<floats*>(y + c) = dead ? floats{} : best;
    *reinterpret_cast<whole*>(index + c) = dead ? whole{} + NOWHERE : where;
  }
  for (; c < channels; c++) {
    float best = x[c];
    int32_t where = 0;
    for (int64_t i = 0; i < size; i++)
      for (int64_t j = 0; j < size; j++) {
        const float one = x[i * line + j * channels + c];
        if (one > best || one != one) best = one, where = i * size + j;
      }
    y[c] = best <= 0 ? 0 : best;
    index[c] = best <= 0 ? NOWHERE : where;
  }
}
CLONES void pool_row(int64_t windows, int64_t size, int64_t channels, int64_t line, const float* x, float* y,
                     int32_t* index) {
  for (int64_t w = 0; w < windows; w++)
    pool_window(size, channels, line, x + w * size * channels, y + w * channels, index + w * channels);
}

// The gradient of one window: all of it goes to the number that was the largest.
INLINE void spread_window(int64_t size, int64_t channels, int64_t line, const float* dy, const int32_t* index, float* dx) {
  int64_t c = 0;
  for (; c + LANES <= channels; c += LANES) {
    const whole where = *reinterpret_cast<const whole*>(index + c), d = *reinterpret_cast<const whole*>(dy + c);
    for (int64_t i = 0; i < size; i++)
      for (int64_t j = 0; j < size; j++)
        *reinterpret_cast<whole*>(dx + i * line + j * channels + c) = d & (where == whole{} + int32_t(i * size + j));
  }
  for (; c < channels; c++)
    for (int64_t i = 0; i < size; i++)
      for (int64_t j = 0; j < size; j++) dx[i * line + j * channels + c] = index[c] == i * size + j ? dy[c] : 0.f;
}
CLONES void spread_row(int64_t windows, int64_t size, int64_t channels, int64_t line, const float* dy,
                       const int32_t* index, float* dx) {
  for (int64_t w = 0; w < windows; w++)
    spread_window(size, channels, line, dy + w * channels, index + w * channels, dx + w * size * channels);
}

// ReLU of the largest number of each window; what does not fill a window at the far edges is left out.
struct PoolRelu : Function<PoolRelu> {
  static Tensor forward(AutogradContext* context, const Tensor& x, int64_t size) {
    const int64_t images = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3);
    const int64_t rows = height / size, columns = width / size, line = width * channels;
    auto y = at::empty({images, channels, rows, columns}, x.options(), at::MemoryFormat::ChannelsLast);
    auto index = at::empty({images, rows, columns, channels}, x.options().dtype(at::kInt));
    const float* px = x.const_data_ptr<float>();
    float* py = y.data_ptr<float>();
    int32_t* pi = index.data_ptr<int32_t>();
    in_blocks(images * rows, POOL_ROWS, [&](int64_t from, int64_t to) {
      for (int64_t row = from; row < to; row++) {
        const int64_t at = row * columns * channels;
        pool_row(columns, size, channels, line, px + (row / rows * height + row % rows * size) * line, py + at, pi + at);
      }
    });
    context->save_for_backward({index});
    context->saved_data["sides"] = std::vector<int64_t>{height, width, size};
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto index = context->get_saved_variables()[0];
    const auto sides = context->saved_data["sides"].toIntVector();
    const int64_t images = index.size(0), rows = index.size(1), columns = index.size(2), channels = index.size(3);
    const int64_t height = sides[0], width = sides[1], size = sides[2], line = width * channels;
    const auto dy = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    auto dx = at::empty({images, channels, height, width}, dy.options(), at::MemoryFormat::ChannelsLast);
    const bool whole_windows = rows * size == height && columns * size == width;
    if (!whole_windows) dx.zero_();
    const float* pd = dy.const_data_ptr<float>();
    const int32_t* pi = index.const_data_ptr<int32_t>();
    float* px = dx.data_ptr<float>();
    in_blocks(images * rows, POOL_ROWS, [&](int64_t from, int64_t to) {
      for (int64_t row = from; row < to; row++) {
        const int64_t at = row * columns * channels;
        spread_row(columns, size, channels, line, pd + at, pi + at, px + (row / rows * height + row % rows * size) * line);
      }
    });
    return {dx, Tensor()};
  }
};

// ---- The gradients of weight and bias of a convolution of few channels

constexpr int64_t CHANNELS = 4;  // the most, beyond which oneDNN is faster
constexpr int64_t IMAGES = 4;    // that are summed together

// A kernel cut into blocks of rows by lengths, whose sums stay in registers together. One row of a kernel lies in
// memory as it lies in an image: kernel * channels numbers one after the other. Blocks that stand out are not read.
struct Blocks {
  int64_t kernel, length;      // rows of the kernel, numbers in one
  int64_t rows, width;         // of a block
  int64_t down, across;        // blocks
  Blocks(int64_t kernel, int64_t channels)
      : kernel(kernel), length(kernel * channels), rows(length <= 3 ? 3 : length <= 5 ? 2 : 1),
        width(length <= 3 ? 3 : length <= 5 ? 5 : 9), down((kernel + rows - 1) / rows),
        across((length + width - 1) / width) {}
  int64_t count() const { return down * across; }
  int64_t taps() const { return rows * width; }
};

// What `pixels` of one row of the result give to the sums of a block: dy has a row of `filters` numbers for each pixel,
// and x moves on by `step` from one to the next.
template <int rows, int width>
INLINE void sum_block(int64_t pixels, int64_t filters, int64_t step, int64_t line, const float* dy, const float* x,
                      float* sums) {
  floats sum[rows * width] = {};
  for (int64_t pixel = 0; pixel < pixels; pixel++, dy += filters, x += step) {
    const floats d = *reinterpret_cast<const floats*>(dy);
    for (int row = 0; row < rows; row++)
      for (int i = 0; i < width; i++) sum[row * width + i] += d * x[row * line + i];
  }
  for (int tap = 0; tap < rows * width; tap++) *reinterpret_cast<floats*>(sums + tap * LANES) += sum[tap];
}
CLONES void sum_taps(const Blocks& blocks, int64_t pixels, int64_t filters, int64_t step, int64_t line, const float* dy,
                     const float* x, float* sums) {
  if (blocks.rows == 3) return sum_block<3, 3>(pixels, filters, step, line, dy, x, sums);
  if (blocks.rows == 2) return sum_block<2, 5>(pixels, filters, step, line, dy, x, sums);
  sum_block<1, 9>(pixels, filters, step, line, dy, x, sums);
}

// The same for the bias, which every pixel meets with a 1.
CLONES void sum_pixels(int64_t pixels, int64_t filters, const float* dy, float* sums) {
  floats sum{};
  for (int64_t pixel = 0; pixel < pixels; pixel++, dy += filters) sum += *reinterpret_cast<const floats*>(dy);
  *reinterpret_cast<floats*>(sums) += sum;
}

struct Convolution : Function<Convolution> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias,
                        int64_t stride, int64_t padding) {
    context->save_for_backward({x, weight});
    context->saved_data["stride"] = stride;
    context->saved_data["padding"] = padding;
    context->saved_data["biased"] = bias.has_value();
    return at::conv2d(x, weight, bias, {stride, stride}, {padding, padding});
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1];
    const int64_t stride = context->saved_data["stride"].toInt(), padding = context->saved_data["padding"].toInt();
    const auto dy = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    Tensor dx;
    if (context->needs_input_grad(0))
      dx = std::get<0>(at::convolution_backward(dy, x, weight, at::OptionalIntArrayRef(), {stride, stride},
                                                {padding, padding}, {1, 1}, false, {0, 0}, 1, {true, false, false}));
    auto [d_weight, d_bias] = parameter_gradients(x, weight, dy, stride, padding);
    return {dx, d_weight, context->saved_data["biased"].toBool() ? d_bias : Tensor(), Tensor(), Tensor()};
  }

  static std::pair<Tensor, Tensor> parameter_gradients(const Tensor& x, const Tensor& weight, const Tensor& dy,
                                                       int64_t stride, int64_t padding) {
    const int64_t filters = weight.size(0), channels = weight.size(1), kernel = weight.size(2);
    const int64_t images = x.size(0), height = x.size(2), width = x.size(3), rows = dy.size(2), columns = dy.size(3);
    const int64_t line = (width + 2 * padding) * channels;
    const Blocks blocks(kernel, channels);
    // Filters are filled up to whole vectors.
    const int64_t lanes = (filters + LANES - 1) / LANES * LANES;
    const float *px = x.const_data_ptr<float>(), *pd = dy.const_data_ptr<float>();
    const int64_t groups = (images + IMAGES - 1) / IMAGES, each = (blocks.count() * blocks.taps() + 1) * lanes;
    std::vector<float> sums(groups * each, 0);
    in_blocks(images, IMAGES, [&](int64_t first, int64_t last) {
      // Blocks that stand out read behind the last row.
      std::vector<float> padded((height + 2 * padding + blocks.rows) * line + blocks.width, 0), filled(lanes == filters ? 0 : columns * lanes, 0);
      float* own = sums.data() + first / IMAGES * each;
      for (int64_t image = first; image < last; image++) {
        for (int64_t row = 0; row < height; row++) {
          const float* from = px + (image * height + row) * width * channels;
          std::copy(from, from + width * channels, padded.data() + (row + padding) * line + padding * channels);
        }
        for (int64_t row = 0; row < rows; row++) {
          const float *d = pd + (image * rows + row) * columns * filters, *at = padded.data() + row * stride * line;
          if (!filled.empty()) {
            for (int64_t pixel = 0; pixel < columns; pixel++)
              std::copy(d + pixel * filters, d + (pixel + 1) * filters, filled.data() + pixel * lanes);
            d = filled.data();
          }
          float* sum = own;
          for (int64_t lane = 0; lane < lanes; lane += LANES) {
            for (int64_t down = 0; down < blocks.down; down++)
              for (int64_t across = 0; across < blocks.across; across++, sum += blocks.taps() * LANES)
                sum_taps(blocks, columns, lanes, stride * channels, line, d + lane,
                         at + down * blocks.rows * line + across * blocks.width, sum);
            sum_pixels(columns, lanes, d + lane, sum);
            sum += LANES;
          }
        }
      }
    });
    for (int64_t group = 1; group < groups; group++)
      for (int64_t i = 0; i < each; i++) sums[i] += sums[group * each + i];
    auto result = at::empty({filters, channels, kernel, kernel}, weight.options());
    auto d_bias = at::empty({filters}, weight.options());
    float *out = result.data_ptr<float>(), *to_bias = d_bias.data_ptr<float>();
    for (int64_t filter = 0; filter < filters; filter++) {
      // All blocks of a vector of filters, and then what goes to their biases.
      const float* own = sums.data() + filter / LANES * (blocks.count() * blocks.taps() + 1) * LANES + filter % LANES;
      to_bias[filter] = own[blocks.count() * blocks.taps() * LANES];
      for (int64_t row = 0; row < kernel; row++)
        for (int64_t i = 0; i < blocks.length; i++) {
          const int64_t block = row / blocks.rows * blocks.across + i / blocks.width;
          const int64_t tap = row % blocks.rows * blocks.width + i % blocks.width;
          const int64_t column = i / channels, channel = i % channels;
          out[((filter * channels + channel) * kernel + row) * kernel + column] = own[(block * blocks.taps() + tap) * LANES];
        }
    }
    return {result, d_bias};
  }
};

}  // namespace

extern "C" {

char* signet_batch_norm(const Tensor* x, const Tensor* weight, const Tensor* bias, Tensor* running_mean,
                        Tensor* running_var, bool train, double momentum, double eps, Tensor** y) {
  return guarded([&] {
    *y = new Tensor(train && is_ours(*x)
                        ? BatchNorm::apply(*x, *weight, *bias, *running_mean, *running_var, momentum, eps)
                        : at::batch_norm(*x, *weight, *bias, *running_mean, *running_var, train, momentum, eps, true));
  });
}

char* signet_pool_relu(const Tensor* x, int64_t size, Tensor** y) {
  return guarded([&] {
    *y = new Tensor(is_ours(*x) ? PoolRelu::apply(*x, size) : at::relu(at::max_pool2d(*x, {size, size}, {size, size})));
  });
}

char* signet_conv2d(const Tensor* x, const Tensor* weight, const Tensor* bias, int64_t stride, int64_t padding,
                    int64_t groups, Tensor** y) {
  return guarded([&] {
    const std::optional<Tensor> maybe = bias ? std::optional<Tensor>(*bias) : std::nullopt;
    const bool ours = groups == 1 && x->size(1) <= CHANNELS && is_ours(*x) && weight->scalar_type() == at::kFloat &&
                      !at::autocast::is_autocast_enabled(at::kCPU);
    *y = new Tensor(ours ? Convolution::apply(*x, *weight, maybe, stride, padding)
                         : at::conv2d(*x, *weight, maybe, {stride, stride}, {padding, padding}, {1, 1}, groups));
  });
}

}  // extern "C"
