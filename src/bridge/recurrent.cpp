// A recurrent layer on the CPU with the mathematics and parameters of torch.nn.RNN, LSTM and GRU, differentiable once.
//
// Time comes first inside: x is [T, B, inputs]. One product carries the inputs of all steps into a buffer of gates,
// [T, B, columns * hidden], which starts as the biases. Then each step adds its recurrent product, and one loop over the
// gates makes activations of them in place. The backward pass turns these into gradients in place, step by step, and
// takes one product over all steps for each weight.
//
// Threads take pieces of a batch through all of time, or of the output rows of a product. Pieces are as large as said
// below however many threads there are, so no bit depends on those.
#include "dropout.h"
#include "gates.h"
#include "guard.h"

#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr int64_t IMAGES = 16;    // that go through time together
constexpr int64_t INPUTS = 512;   // rows of an input product
constexpr int64_t OUTPUTS = 64;   // rows of the gradient of a weight
constexpr int TENSORS = 4;        // of a direction: weight_ih, weight_hh, bias_ih, bias_hh

// `count` gates from number `gate` of the weights on, and their column in the buffer.
struct Part {
  int64_t gate, count, column;
};

// Adds the columns [from, to) of `rows` rows up, a step at a time and then the steps: a long sum of few terms at a time
// is nearer to the true one.
template <class T>
CLONES void sum_rows(int64_t steps, int64_t rows, int64_t from, int64_t to, Matrix<const T> a, T* __restrict out) {
  std::vector<T> part(to - from);
  std::fill(out, out + (to - from), T(0));
  for (int64_t t = 0; t < steps; t++) {
    std::fill(part.begin(), part.end(), T(0));
    T* __restrict sum = part.data();
    for (int64_t b = 0; b < rows; b++) {
      const T* row = a[t * rows + b] + from;
      for (int64_t j = 0; j < to - from; j++) sum[j] += row[j];
    }
    for (int64_t j = 0; j < to - from; j++) out[j] += sum[j];
  }
}

// One direction of a layer.
template <class T>
struct Direction {
  Cell cell;
  bool reverse, portable;
  int64_t steps, batch, inputs, hidden, gates, columns;
  Matrix<const T> x, w_ih, w_hh;
  Matrix<T> buffer;  // of gates
  Matrix<T> cells;   // an LSTM's: state and its tangent
  Matrix<T> y;       // [T, B, hidden], beside that of the other direction
  std::vector<T> zeros;

  Direction(Cell cell, bool reverse, bool portable, const Tensor& input, at::TensorList w, const Tensor& held,
            const Tensor& states, const Tensor& output)
      : cell(cell), reverse(reverse), portable(portable), steps(input.size(0)), batch(input.size(1)),
        inputs(input.size(2)), hidden(w[1].size(1)), gates(w[1].size(0) / hidden), columns(columns_of(cell)),
        x{input.const_data_ptr<T>(), inputs}, w_ih{w[0].const_data_ptr<T>(), inputs},
        w_hh{w[1].const_data_ptr<T>(), hidden}, buffer{held.data_ptr<T>(), columns * hidden},
        cells{states.defined() ? states.data_ptr<T>() : nullptr, 2 * hidden},
        y{output.data_ptr<T>() + (reverse ? hidden : 0), output.size(2)}, zeros(2 * hidden, T(0)) {}

  // Of the input product. A GRU's new gate comes first in the buffer, and its m gets no input.
  std::vector<Part> parts() const {
    if (cell == Cell::gru) return {{0, 2, 1}, {2, 1, 0}};
    return {{0, gates, 0}};
  }
  // Where the recurrent product begins.
  int64_t recurrent() const { return cell == Cell::gru ? hidden : 0; }

  // Row of the first image of step `s`, counted in the order in which the direction goes.
  int64_t row(int64_t s) const { return (reverse ? steps - 1 - s : s) * batch; }

  // What step `s` reads and writes for the images from number `first` on.
  Step<T> step(int64_t s, int64_t first) const {
    Step<T> step{};
    const int64_t now = row(s) + first;
    step.gates = {buffer[now], buffer.stride};
    step.h_before = step.c_before = {zeros.data(), 0};
    step.h = {y[now], y.stride};
    if (s > 0) step.h_before = {y[row(s - 1) + first], y.stride};
    if (cells.data) {
      step.c = {cells[now], cells.stride};
      if (s > 0) step.c_before = {cells[row(s - 1) + first], cells.stride};
    }
    return step;
  }

  Tensor biases(at::TensorList w) const {
    if (cell != Cell::gru) return w[2] + w[3];
    auto in = w[2].chunk(3), back = w[3].chunk(3);  // r, z, n
    return at::cat({in[2], in[0] + back[0], in[1] + back[1], back[2]});
  }

  void forward(at::TensorList w) const {
    const auto start = biases(w), in = w[0].t().contiguous(), back = w[1].t().contiguous();
    const Matrix<const T> to_gates{in.template const_data_ptr<T>(), gates * hidden};
    const Matrix<const T> between_steps{back.template const_data_ptr<T>(), gates * hidden};
    const T* bias = start.template const_data_ptr<T>();
    in_blocks(steps * batch, INPUTS, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; i++) std::copy(bias, bias + columns * hidden, buffer[i]);
      for (const Part& part : parts())
        product<T>(Side::plain, to - from, part.count * hidden, inputs, {x[from], inputs},
                   {to_gates.data + part.gate * hidden, to_gates.stride}, 1,
                   {buffer[from] + part.column * hidden, buffer.stride}, portable);
    });
    in_blocks(batch, IMAGES, [&](int64_t first, int64_t last) {
      for (int64_t s = 0; s < steps; s++) {
        const auto now = step(s, first);
        if (s > 0)
          product<T>(Side::plain, last - first, gates * hidden, hidden, now.h_before, between_steps, 1,
                     {now.gates.data + recurrent(), buffer.stride}, portable);
        forward_step(cell, last - first, hidden, now);
      }
    });
  }

  // Turns activations into gradients of the gates' sums; dy is [T, B, hidden] of this direction.
  void backward_through_time(Matrix<const T> dy) const {
    in_blocks(batch, IMAGES, [&](int64_t first, int64_t last) {
      std::vector<T> dh((last - first) * hidden, T(0)), dc(cells.data ? dh.size() : 0, T(0));
      for (int64_t s = steps - 1; s >= 0; s--) {
        auto now = step(s, first);
        now.dy = {dy[row(s) + first], dy.stride};
        now.dh = {dh.data(), hidden};
        now.dc = {dc.data(), hidden};
        backward_step(cell, last - first, hidden, now);
        // A GRU has left there what goes past its gates.
        const T kept = cell == Cell::gru ? 1 : 0;
        if (s > 0)
          product<T>(Side::plain, last - first, hidden, gates * hidden,
                     {now.gates.data + recurrent(), buffer.stride}, w_hh, kept, now.dh, portable);
      }
    });
  }

  // The gradient of x, added to what is there if there is `more`.
  void input_gradient(Tensor& dx, bool more) const {
    const Matrix<T> out{dx.data_ptr<T>(), inputs};
    in_blocks(steps * batch, INPUTS, [&](int64_t from, int64_t to) {
      T kept = more ? 1 : 0;
      for (const Part& part : parts()) {
        product<T>(Side::plain, to - from, inputs, part.count * hidden,
                   {buffer[from] + part.column * hidden, buffer.stride}, {w_ih[part.gate * hidden], inputs}, kept,
                   {out[from], inputs}, portable);
        kept = 1;
      }
    });
  }

  // The gradients of the four tensors.
  variable_list weight_gradients(at::TensorList w) const {
    variable_list out;
    for (const Tensor& tensor : w) out.push_back(at::zeros_like(tensor));
    const Matrix<T> d_ih{out[0].data_ptr<T>(), inputs}, d_hh{out[1].data_ptr<T>(), hidden};
    T *b_ih = out[2].data_ptr<T>(), *b_hh = out[3].data_ptr<T>();
    const Matrix<const T> all{buffer.data, buffer.stride};
    for (const Part& part : parts())
      in_blocks(part.count * hidden, OUTPUTS, [&](int64_t from, int64_t to) {
        const int64_t to_row = part.gate * hidden + from, column = part.column * hidden + from;
        product<T>(Side::transposed, to - from, inputs, steps * batch, {all.data + column, all.stride}, x, 0,
                   {d_ih[to_row], inputs}, portable);
        sum_rows<T>(steps, batch, column, column + to - from, all, b_ih + to_row);
      });
    // Every step but the first meets the output of the step before it.
    const int64_t gates_from = reverse ? 0 : batch, outputs_from = reverse ? batch : 0;
    in_blocks(gates * hidden, OUTPUTS, [&](int64_t from, int64_t to) {
      const int64_t column = recurrent() + from;
      if (steps > 1)
        product<T>(Side::transposed, to - from, hidden, (steps - 1) * batch,
                   {all[gates_from] + column, all.stride}, {y[outputs_from], y.stride}, 0, {d_hh[from], hidden}, portable);
      if (cell == Cell::gru) sum_rows<T>(steps, batch, column, column + to - from, all, b_hh + from);
    });
    if (cell != Cell::gru) out[3].copy_(out[2]);
    return out;
  }
};

// One layer, in both directions if there are eight tensors: x [T, B, inputs] to y [T, B, directions * hidden].
struct Layer : Function<Layer> {
  static Tensor forward(AutogradContext* context, const Tensor& x, at::TensorList w, int64_t cell, bool portable) {
    const int64_t directions = w.size() / TENSORS, hidden = w[1].size(1), columns = columns_of(Cell(cell));
    auto y = at::empty({x.size(0), x.size(1), directions * hidden}, x.options());
    variable_list saved{x, y};
    saved.insert(saved.end(), w.begin(), w.end());
    for (int64_t d = 0; d < directions; d++) {
      auto gates = at::empty({x.size(0), x.size(1), columns * hidden}, x.options());
      auto cells = Cell(cell) == Cell::lstm ? at::empty({x.size(0), x.size(1), 2 * hidden}, x.options()) : Tensor();
      auto own = w.slice(d * TENSORS, TENSORS);
      AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "recurrent", [&] {
        Direction<scalar_t>(Cell(cell), d == 1, portable, x, own, gates, cells, y).forward(own);
      });
      saved.push_back(gates);
      saved.push_back(cells);
    }
    context->save_for_backward(saved);
    context->saved_data["cell"] = cell;
    context->saved_data["portable"] = portable;
    context->saved_data["spent"] = false;
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    TORCH_CHECK(!context->saved_data["spent"].toBool(), "a recurrent layer goes backward once");
    context->saved_data["spent"] = true;
    const auto cell = Cell(context->saved_data["cell"].toInt());
    const bool portable = context->saved_data["portable"].toBool();
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &y = saved[1];
    const auto dy = gradients[0].contiguous();
    // Two of a direction's are gates and cells.
    const int64_t directions = (saved.size() - 2) / (TENSORS + 2);
    variable_list out(1);
    if (context->needs_input_grad(0)) out[0] = at::empty_like(x);
    for (int64_t d = 0; d < directions; d++) {
      const auto own = at::TensorList(saved).slice(2 + d * TENSORS, TENSORS);
      const Tensor *held = &saved[2 + directions * TENSORS + 2 * d], *cells = held + 1;
      AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "recurrent", [&] {
        const Direction<scalar_t> one(cell, d == 1, portable, x, own, *held, *cells, y);
        one.backward_through_time({dy.const_data_ptr<scalar_t>() + d * one.hidden, dy.size(2)});
        if (out[0].defined()) one.input_gradient(out[0], d > 0);
        for (const Tensor& gradient : one.weight_gradients(own)) out.push_back(gradient);
      });
    }
    out.resize(out.size() + 2);  // cell and portable have none
    return out;
  }
};

}  // namespace

extern "C" {

// A stack of layers with dropout between them, batch first, from a zero state; `cell` is a Cell.
char* signet_recurrent(const Tensor* x, Tensor* const* weights, size_t count, int64_t cell, int64_t layers,
                       double dropout, bool train, bool portable, Tensor** y) {
  return guarded([&] {
    const auto all = list(weights, count);
    const int64_t each = count / layers;
    auto steps = x->transpose(0, 1).contiguous();
    for (int64_t layer = 0; layer < layers; layer++) {
      if (layer > 0 && dropout > 0 && train) steps = dropped(steps, dropout);
      steps = Layer::apply(steps, at::TensorList(all).slice(layer * each, each), cell, portable);
    }
    *y = new Tensor(steps.transpose(0, 1));
  });
}

}  // extern "C"
