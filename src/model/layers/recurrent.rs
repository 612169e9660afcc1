//! Recurrent layers, as `nn.RNN`, `nn.LSTM` and `nn.GRU` with `batch_first=True`.
//!
//! tch's own recurrent modules fix their training switch when they are made, so that dropout between
//! layers stays on in evaluation; these follow the mode one is in.

use tch::{Device, Tensor};

use crate::bridge::{self, RecurrentKind, RecurrentStack};
use crate::config::model::{Nonlinearity, RnnSizes};
use crate::model::graph::{Attribute, Graph};
use crate::model::layer::{Init, Layer, Parameter, Phase, Role, Script, Shape, TorchModule};

/// What happens in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// h' = f(W x + U h + b).
    Rnn(Nonlinearity),
    /// Long short-term memory (Hochreiter and Schmidhuber, 1997); gates i, f, g, o.
    Lstm,
    /// Gated recurrent unit (Cho et al., 2014); gates r, z, n.
    Gru,
}

impl Cell {
    fn gates(self) -> usize {
        match self {
            Cell::Rnn(_) => 1,
            Cell::Lstm => 4,
            Cell::Gru => 3,
        }
    }
}

/// A stack of recurrent layers that hands on every step.
#[derive(Debug)]
pub struct Recurrent {
    cell: Cell,
    cells: RnnSizes,
    count: usize,
    inputs: usize,
}

impl Recurrent {
    /// For sequences.
    ///
    /// # Errors
    /// Anything but a sequence.
    pub fn new(cell: Cell, cells: RnnSizes, input: Shape) -> Result<Recurrent, String> {
        match input {
            Shape::Steps { count, size } => Ok(Recurrent {
                cell,
                cells,
                count,
                inputs: size,
            }),
            _ => Err(format!(
                "a recurrent layer takes sequences, but {input} comes in; put to_sequence before it"
            )),
        }
    }

    fn directions(&self) -> usize {
        1 + usize::from(self.cells.bidirectional)
    }

    fn onnx_operator(&self) -> &'static str {
        match self.cell {
            Cell::Rnn(_) => "RNN",
            Cell::Lstm => "LSTM",
            Cell::Gru => "GRU",
        }
    }

    /// Rows of a weight or bias, gate by gate in ONNX's order: i, o, f, c where PyTorch has i, f, g, o;
    /// z, r, h where it has r, z, n.
    fn onnx_gates(&self, rows: &Tensor) -> Tensor {
        let order: &[usize] = match self.cell {
            Cell::Rnn(_) => &[0],
            Cell::Lstm => &[0, 3, 1, 2],
            Cell::Gru => &[1, 0, 2],
        };
        let gates = rows.detach().chunk(order.len() as i64, 0);
        Tensor::cat(
            &order.iter().map(|&gate| &gates[gate]).collect::<Vec<_>>(),
            0,
        )
    }

    fn onnx_attributes(&self) -> Vec<(&'static str, Attribute)> {
        let direction = if self.cells.bidirectional {
            "bidirectional"
        } else {
            "forward"
        };
        let mut attributes = vec![
            ("direction", Attribute::Text(direction)),
            ("hidden_size", Attribute::Int(self.cells.hidden_size as i64)),
        ];
        match self.cell {
            Cell::Rnn(nonlinearity) => {
                let function = match nonlinearity {
                    Nonlinearity::Tanh => "Tanh",
                    Nonlinearity::Relu => "Relu",
                };
                let functions = Attribute::Texts(vec![function; self.directions()]);
                attributes.push(("activations", functions));
            }
            // PyTorch multiplies by the reset gate after the matrix and its bias.
            Cell::Gru => attributes.push(("linear_before_reset", Attribute::Int(1))),
            Cell::Lstm => {}
        }
        attributes
    }
}

impl Recurrent {
    /// What cuDNN computes in one call, with the inputs of a step: all layers, or one where dropout stands between them.
    /// cuDNN's own dropout would be made anew, and waited for, whenever libtorch is seeded, which is every step.
    fn calls<'a>(&self, weights: &'a [Tensor]) -> impl Iterator<Item = (usize, &'a [Tensor])> {
        let layer = 4 * self.directions();
        let together = if self.cells.dropout > 0.0 {
            layer
        } else {
            weights.len()
        };
        let between = self.cells.hidden_size * self.directions();
        let inputs = std::iter::once(self.inputs).chain(std::iter::repeat(between));
        inputs.zip(weights.chunks(together))
    }

    /// On CUDA, where cuDNN does it, and where the bits of an artefact are wanted.
    fn by_libtorch(&self, weights: &[Tensor], x: &Tensor, phase: Phase) -> Tensor {
        let mut y: Option<Tensor> = None;
        for (_, own) in self.calls(weights) {
            y = Some(match y {
                None => self.call(own, x, phase),
                Some(y) => self.call(own, &y.dropout(self.cells.dropout, phase.trains()), phase),
            });
        }
        y.expect("there is a layer")
    }

    /// One call; nothing is dropped in it.
    fn call(&self, weights: &[Tensor], x: &Tensor, phase: Phase) -> Tensor {
        let both = self.cells.bidirectional;
        let states = (weights.len() / 4) as i64;
        let layers = states / self.directions() as i64;
        let size = [states, x.size()[0], self.cells.hidden_size as i64];
        let h = Tensor::zeros(size, (x.kind(), x.device()));
        let train = phase.trains();
        match self.cell {
            Cell::Rnn(nonlinearity) => {
                let rnn = match nonlinearity {
                    Nonlinearity::Tanh => Tensor::rnn_tanh::<Tensor>,
                    Nonlinearity::Relu => Tensor::rnn_relu::<Tensor>,
                };
                rnn(x, &h, weights, true, layers, 0.0, train, both, true).0
            }
            Cell::Gru => x.gru(&h, weights, true, layers, 0.0, train, both, true).0,
            Cell::Lstm => {
                let start = [h.zeros_like(), h];
                x.lstm(&start, weights, true, layers, 0.0, train, both, true)
                    .0
            }
        }
    }
}

impl Layer for Recurrent {
    fn title(&self) -> String {
        let name = match self.cell {
            Cell::Rnn(nonlinearity) => format!("RNN {}", nonlinearity.word()),
            Cell::Lstm => "LSTM".to_owned(),
            Cell::Gru => "GRU".to_owned(),
        };
        let both = if self.cells.bidirectional {
            ", both ways"
        } else {
            ""
        };
        format!(
            "{name}({}, {} layer(s){both})",
            self.cells.hidden_size, self.cells.num_layers
        )
    }

    fn output(&self) -> Shape {
        Shape::Steps {
            count: self.count,
            size: self.cells.hidden_size * self.directions(),
        }
    }

    fn products(&self) -> usize {
        let weights = self.parameters().into_iter();
        let weights = weights.filter(|parameter| parameter.role == Role::Weight);
        let each_step = weights.map(|weight| weight.numbers()).sum::<usize>();
        each_step.saturating_mul(self.count)
    }

    fn parameters(&self) -> Vec<Parameter> {
        let hidden = self.cells.hidden_size;
        let rows = self.cell.gates() * hidden;
        // torch.nn.RNNBase.reset_parameters: the same law for all, biases included.
        let start = Init::Uniform(1.0 / (hidden as f64).sqrt());
        let mut parameters = Vec::new();
        for layer in 0..self.cells.num_layers {
            let inputs = if layer == 0 {
                self.inputs
            } else {
                hidden * self.directions()
            };
            for direction in ["", "_reverse"].iter().take(self.directions()) {
                let name = |part: &str| format!("{part}_l{layer}{direction}");
                parameters.push(Parameter::new(
                    name("weight_ih"),
                    &[rows, inputs],
                    Role::Weight,
                    start,
                ));
                parameters.push(Parameter::new(
                    name("weight_hh"),
                    &[rows, hidden],
                    Role::Weight,
                    start,
                ));
                parameters.push(Parameter::new(name("bias_ih"), &[rows], Role::Bias, start));
                parameters.push(Parameter::new(name("bias_hh"), &[rows], Role::Bias, start));
            }
        }
        parameters
    }

    /// The tensors of a call of cuDNN lie behind each other, or it would copy them together in every step.
    fn lay_out_for_cuda(&self, weights: &[Tensor]) {
        if !tch::Cuda::cudnn_is_available() {
            return;
        }
        let mode = match self.cell {
            Cell::Rnn(Nonlinearity::Relu) => 0, // cudnnRNNMode_t
            Cell::Rnn(Nonlinearity::Tanh) => 1,
            Cell::Lstm => 2,
            Cell::Gru => 3,
        };
        let _guard = tch::no_grad_guard();
        for (inputs, own) in self.calls(weights) {
            let layers = own.len() / 4 / self.directions();
            // What comes back is all of them as one tensor; they have become views of it.
            let _ = Tensor::internal_cudnn_rnn_flatten_weight(
                own,
                4, // tensors of a direction of a layer
                inputs as i64,
                mode,
                self.cells.hidden_size as i64,
                0, // no projection
                layers as i64,
                true,
                self.cells.bidirectional,
            );
        }
    }

    fn forward(&self, weights: &[Tensor], x: &Tensor, phase: Phase) -> Tensor {
        if x.device() != Device::Cpu || phase == Phase::Serve {
            return self.by_libtorch(weights, x, phase);
        }
        let stack = RecurrentStack {
            kind: match self.cell {
                Cell::Rnn(Nonlinearity::Tanh) => RecurrentKind::Tanh,
                Cell::Rnn(Nonlinearity::Relu) => RecurrentKind::Relu,
                Cell::Lstm => RecurrentKind::Lstm,
                Cell::Gru => RecurrentKind::Gru,
            },
            layers: self.cells.num_layers,
            dropout: self.cells.dropout,
            train: phase.trains(),
        };
        // Under bf16 a convolution before it may hand on bf16; a chain of so many steps is computed in float32.
        let x = x.to_kind(weights[0].kind());
        bridge::recurrent(&stack, &x, weights).expect("the plan has checked the shapes")
    }

    fn script(&self) -> Script {
        let RnnSizes {
            hidden_size,
            num_layers,
            bidirectional,
            dropout,
        } = self.cells;
        let state = num_layers * self.directions();
        let flag = |truth: bool| if truth { "True" } else { "False" };
        let names: Vec<String> = self
            .parameters()
            .into_iter()
            .map(|parameter| format!("self.{}", parameter.name))
            .collect();
        let (class, call, start, results) = match self.cell {
            Cell::Rnn(Nonlinearity::Tanh) => ("RNN", "rnn_tanh", "h", "y, _0"),
            Cell::Rnn(Nonlinearity::Relu) => ("RNN", "rnn_relu", "h", "y, _0"),
            Cell::Gru => ("GRU", "gru", "h", "y, _0"),
            Cell::Lstm => ("LSTM", "lstm", "[h, h]", "y, _0, _1"),
        };
        let weights = names.join(", ");
        let bidirectional = flag(bidirectional);
        Script {
            class,
            forward: format!(
                "h = torch.zeros([{state}, torch.size(x, 0), {hidden_size}], dtype=ops.prim.dtype(x), device=ops.prim.device(x))\n\
                 {results}, = torch.{call}(x, {start}, [{weights}], True, {num_layers}, {dropout:?}, self.training, \
                 {bidirectional}, True)\n\
                 return y"
            ),
        }
    }

    fn torch(&self) -> TorchModule {
        let RnnSizes {
            hidden_size,
            num_layers,
            bidirectional,
            dropout,
        } = self.cells;
        let (class, mut keys) = match self.cell {
            Cell::Rnn(Nonlinearity::Tanh) => ("RNN", String::new()),
            Cell::Rnn(Nonlinearity::Relu) => ("RNN", ", nonlinearity=\"relu\"".to_owned()),
            Cell::Lstm => ("LSTM", String::new()),
            Cell::Gru => ("GRU", String::new()),
        };
        if num_layers > 1 {
            keys += &format!(", num_layers={num_layers}, dropout={dropout:?}");
        }
        if bidirectional {
            keys += ", bidirectional=True";
        }
        TorchModule {
            call: format!(
                "{class}({}, {hidden_size}{keys}, batch_first=True)",
                self.inputs
            ),
            class: Some(format!(
                "class {class}(nn.{class}):\n    def forward(self, x):\n        return super().forward(x)[0]  # every step\n"
            )),
        }
    }

    fn onnx(&self, graph: &mut Graph, module: &str, weights: &[Tensor], x: &str) -> String {
        let directions = self.directions();
        // ONNX reads time first: [T, B, size].
        let mut steps = graph.transpose(x, &[1, 0, 2]);
        for (layer, own) in weights.chunks(4 * directions).enumerate() {
            let stacked = |part: fn(&Self, &[Tensor]) -> Tensor| {
                let each: Vec<Tensor> = own.chunks(4).map(|set| part(self, set)).collect();
                Tensor::stack(&each, 0)
            };
            let name = |kind: &str| format!("{module}.l{layer}.{kind}");
            let w = graph.tensor(name("W"), &stacked(|own, set| own.onnx_gates(&set[0])));
            let r = graph.tensor(name("R"), &stacked(|own, set| own.onnx_gates(&set[1])));
            let b = graph.tensor(
                name("B"),
                &stacked(|own, set| {
                    Tensor::cat(&[own.onnx_gates(&set[2]), own.onnx_gates(&set[3])], 0)
                }),
            );
            let y = graph.node(
                self.onnx_operator(),
                &[&steps, &w, &r, &b],
                self.onnx_attributes(),
            );
            // [T, directions, B, H] to [T, B, directions * H]
            let y = graph.transpose(&y, &[0, 2, 1, 3]);
            steps = graph.reshape(&y, &[0, 0, (directions * self.cells.hidden_size) as i64]);
        }
        graph.transpose(&steps, &[1, 0, 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn layers_by_libtorch_are_those_of_torch_nn_with_dropout_and_ours_without() {
        let input = Shape::Steps { count: 5, size: 3 };
        for (dropout, bidirectional) in [(0.0, true), (0.4, false), (0.4, true)] {
            let cells = RnnSizes {
                hidden_size: 4,
                num_layers: 3,
                bidirectional,
                dropout,
            };
            let layer = Recurrent::new(Cell::Lstm, cells, input).unwrap();
            tch::manual_seed(7);
            let random = |size: &[i64]| Tensor::randn(size, (Kind::Double, Device::Cpu));
            let sizes = layer.parameters().into_iter().map(|own| own.size);
            let weights: Vec<Tensor> = sizes.map(|size| random(&size)).collect();
            let x = random(&[6, 5, 3]);
            let states = 3 * layer.directions() as i64;
            let h = Tensor::zeros([states, 6, 4], (Kind::Double, Device::Cpu));
            let start = [h.shallow_clone(), h];
            for phase in [Phase::Train, Phase::Eval] {
                let (both, train) = (bidirectional, phase.trains());
                tch::manual_seed(8);
                let found = layer.by_libtorch(&weights, &x, phase);
                tch::manual_seed(8);
                let (expected, ..) = x.lstm(&start, &weights, true, 3, dropout, train, both, true);
                assert!(found.equal(&expected), "{dropout} {both} {phase:?}");
                if !train {
                    let served = layer.forward(&weights, &x, Phase::Serve);
                    assert!(served.equal(&expected), "{dropout} {both}");
                }
                if dropout == 0.0 || !train {
                    let ours = layer.forward(&weights, &x, phase);
                    let difference = (ours - found).abs().max().double_value(&[]);
                    assert!(difference < 1e-13, "{difference}"); // roundings of 1.1e-16
                }
            }
        }
    }
}
