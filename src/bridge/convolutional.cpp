// What a convolutional network computes on the CPU beside oneDNN's convolutions, differentiable: batch norm, max pooling
// with ReLU, both at once, and the weight gradient of a convolution of few channels. All of it on float32 whose channels
// lie innermost in memory; anything else goes to libtorch.
//
// Pieces of work are as large as said below however many threads there are, so no bit depends on those.
#include "batch_norm.h"
#include "few_channels.h"
#include "guard.h"
#include "pooling.h"

#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

bool is_ours(const Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && !x.is_mkldnn() &&
         (x.dim() == 2 ? x.is_contiguous() : x.dim() == 4 && x.is_contiguous(at::MemoryFormat::ChannelsLast));
}

// With its channels innermost, which the result of a convolution then has too. The strides of an only channel say nothing,
// but libtorch goes by them. Where nothing is learned images stay as they lie: an exported model goes by that, too, and
// shall compute the same.
Tensor channels_last(const Tensor& x) {
  const auto lying = x.contiguous(at::MemoryFormat::ChannelsLast);
  return x.size(1) > 1 ? lying : lying.view({x.size(0), x.size(2), x.size(3), 1}).permute({0, 3, 1, 2});
}

// In the layout of `like`.
Tensor laid_out(const Tensor& x, const Tensor& like) {
  return x.contiguous(like.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
}

std::vector<float> rounded(const std::vector<double>& values) { return {values.begin(), values.end()}; }

void save(AutogradContext* context, const Normalization& by) {
  context->saved_data["mean"] = by.mean;
  context->saved_data["inverse"] = by.inverse;
}
Normalization saved_normalization(AutogradContext* context) {
  return {context->saved_data["mean"].toDoubleVector(), context->saved_data["inverse"].toDoubleVector()};
}

struct BatchNorm : Function<BatchNorm> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias,
                        Tensor running_mean, Tensor running_var, double momentum, double eps) {
    const auto by = normalization_of(x, running_mean, running_var, momentum, eps);
    const Affine affine(by, weight, bias);
    const int64_t channels = x.size(1);
    const Lines lines(channels);
    const auto centre = lines.repeat(by.mean), factor = lines.repeat(affine.factor), shift = lines.repeat(affine.shift);
    auto y = at::empty_like(x);
    const float* px = x.const_data_ptr<float>();
    float* py = y.data_ptr<float>();
    in_blocks(x.numel() / channels, ROWS, [&](int64_t from, int64_t to) {
      const int64_t at = from * channels;
      scale(lines, to - from, px + at, centre.data(), factor.data(), shift.data(), py + at);
    });
    context->save_for_backward({x, weight});
    save(context, by);
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor& x = saved[0];
    const auto by = saved_normalization(context);
    const auto dy = laid_out(gradients[0], x);
    const int64_t channels = x.size(1), rows = x.numel() / channels;
    const float *px = x.const_data_ptr<float>(), *pd = dy.const_data_ptr<float>();
    const Gradients of(by, saved[1], px, pd, rows, rows);
    const Lines lines(channels);
    const auto centre = lines.repeat(by.mean), common = lines.repeat(of.common), slope = lines.repeat(of.slope),
               factor = lines.repeat(of.factor);
    auto dx = at::empty_like(x);
    float* out = dx.data_ptr<float>();
    in_blocks(rows, ROWS, [&](int64_t from, int64_t to) {
      const int64_t at = from * channels;
      gradient(lines, to - from, px + at, pd + at, centre.data(), common.data(), slope.data(), factor.data(), out + at);
    });
    return {dx, of.weight, of.bias, Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

Windows windows_of(const Tensor& x, int64_t size) { return {size, x.size(1), x.size(2), x.size(3)}; }

// ReLU of the largest number of each window, which of them it was, and what it was before a `change` that asks for that.
template <class Change>
std::tuple<Tensor, Tensor, Tensor> pool(const Tensor& x, const Windows& windows, const Change& change) {
  const int64_t images = x.size(0), rows = windows.rows(), numbers = windows.columns() * windows.channels;
  auto y = at::empty({images, windows.channels, rows, windows.columns()}, x.options(), at::MemoryFormat::ChannelsLast);
  auto index = at::empty({images, rows, numbers}, x.options().dtype(at::kInt));
  Tensor input = at::empty({Change::is_of_input ? 0 : images * rows, numbers}, x.options());
  const float* px = x.const_data_ptr<float>();
  float *py = y.data_ptr<float>(), *pi = input.data_ptr<float>();
  int32_t* which = index.data_ptr<int32_t>();
  in_blocks(images * rows, POOL_ROWS, [&](int64_t from, int64_t to) {
    for (int64_t row = from; row < to; row++) {
      const int64_t at = row * numbers;
      pool_row(windows, change, px + windows.start(row), py + at, which + at, Change::is_of_input ? nullptr : pi + at);
    }
  });
  return {y, index, input};
}

// The gradient of the images, whose gradient `dy` went to the numbers at `index`; `change` makes one for the images whose
// rows start so far behind the first number of all.
template <class Change>
Tensor spread(const Tensor& dy, const Tensor& index, const Windows& windows, const Change& change) {
  const int64_t images = dy.size(0), rows = windows.rows(), numbers = windows.columns() * windows.channels;
  auto dx = at::empty({images, windows.channels, windows.height, windows.width}, dy.options(), at::MemoryFormat::ChannelsLast);
  const float* pd = dy.const_data_ptr<float>();
  const int32_t* which = index.const_data_ptr<int32_t>();
  float* px = dx.data_ptr<float>();
  in_blocks(images * rows, POOL_ROWS, [&](int64_t from, int64_t to) {
    for (int64_t row = from; row < to; row++) {
      const int64_t start = windows.start(row);
      spread_row(windows, change(start), row % rows == rows - 1, pd + row * numbers, which + row * numbers, px + start);
    }
  });
  return dx;
}

struct PoolRelu : Function<PoolRelu> {
  static Tensor forward(AutogradContext* context, const Tensor& x, int64_t size) {
    auto [y, index, _] = pool(x, windows_of(x, size), AsTheyAre());
    context->save_for_backward({index});
    context->saved_data["sides"] = std::vector<int64_t>{size, x.size(1), x.size(2), x.size(3)};
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto sides = context->saved_data["sides"].toIntVector();
    const auto dy = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    const auto index = context->get_saved_variables()[0];
    return {spread(dy, index, {sides[0], sides[1], sides[2], sides[3]}, [](int64_t) { return HandedOn(); }), Tensor()};
  }
};

// Batch norm, then max pooling with ReLU: what lies between is as large as the input, and is not written to memory.
struct NormPoolRelu : Function<NormPoolRelu> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias,
                        Tensor running_mean, Tensor running_var, double momentum, double eps, int64_t size) {
    const auto by = normalization_of(x, running_mean, running_var, momentum, eps);
    const Affine affine(by, weight, bias);
    const auto mean = rounded(by.mean), factor = rounded(affine.factor), shift = rounded(affine.shift);
    auto [y, index, input] = pool(x, windows_of(x, size), Normalized{mean.data(), factor.data(), shift.data()});
    context->save_for_backward({x, weight, index, input});
    context->saved_data["size"] = size;
    save(context, by);
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &index = saved[2], &input = saved[3];
    const auto by = saved_normalization(context);
    const auto windows = windows_of(x, context->saved_data["size"].toInt());
    const int64_t channels = windows.channels;
    auto dy = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    // As it lies in memory, and zero where no number of the window was above zero.
    const auto lying = dy.permute({0, 2, 3, 1}).reshape(index.sizes()).masked_fill(index == NOWHERE, 0);
    const Gradients of(by, saved[1], input.const_data_ptr<float>(), lying.const_data_ptr<float>(),
                       input.numel() / channels, x.numel() / channels);
    const auto mean = rounded(by.mean), common = rounded(of.common), slope = rounded(of.slope), factor = rounded(of.factor);
    const float* px = x.const_data_ptr<float>();
    const auto dx = spread(dy, index, windows, [&](int64_t start) {
      return OfNormalized{px + start, mean.data(), common.data(), slope.data(), factor.data()};
    });
    return {dx, of.weight, of.bias, Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

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

char* signet_norm_pool_relu(const Tensor* x, const Tensor* weight, const Tensor* bias, Tensor* running_mean,
                            Tensor* running_var, double momentum, double eps, int64_t size, Tensor** y) {
  return guarded([&] {
    if (is_ours(*x)) {
      *y = new Tensor(NormPoolRelu::apply(*x, *weight, *bias, *running_mean, *running_var, momentum, eps, size));
      return;
    }
    const auto norm = at::batch_norm(*x, *weight, *bias, *running_mean, *running_var, true, momentum, eps, true);
    *y = new Tensor(at::relu(at::max_pool2d(norm, {size, size}, {size, size})));
  });
}

char* signet_conv2d(const Tensor* x, const Tensor* weight, const Tensor* bias, int64_t stride, int64_t padding,
                    int64_t groups, Tensor** y) {
  return guarded([&] {
    const std::optional<Tensor> maybe = bias ? std::optional<Tensor>(*bias) : std::nullopt;
    const Tensor lying = x->is_cpu() && x->dim() == 4 && at::GradMode::is_enabled() ? channels_last(*x) : *x;
    const bool ours = groups == 1 && is_ours(lying) && lying.size(1) <= CHANNELS && weight->scalar_type() == at::kFloat &&
                      !at::autocast::is_autocast_enabled(at::kCPU);
    *y = new Tensor(ours ? Convolution::apply(lying, *weight, maybe, stride, padding)
                         : at::conv2d(lying, *weight, maybe, {stride, stride}, {padding, padding}, {1, 1}, groups));
  });
}

}  // extern "C"
