//! Recurrent layers, as `nn.RNN`, `nn.LSTM` and `nn.GRU` with `batch_first=True`.
//!
//! tch's own recurrent modules fix their training switch when they are made, so that dropout between
//! layers stays on in evaluation; these follow the mode one is in.

use tch::Tensor;

use crate::config::model::{Cells, Nonlinearity};
use crate::model::layer::{Layer, Mode, Parameter, Role, Shape, Start};

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
    cells: Cells,
    count: usize,
    inputs: usize,
}

impl Recurrent {
    /// For sequences.
    ///
    /// # Errors
    /// Anything but a sequence.
    pub fn new(cell: Cell, cells: Cells, input: Shape) -> Result<Recurrent, String> {
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

    fn parameters(&self) -> Vec<Parameter> {
        let hidden = self.cells.hidden_size;
        let rows = self.cell.gates() * hidden;
        // torch.nn.RNNBase.reset_parameters: the same law for all, biases included.
        let start = Start::Uniform(1.0 / (hidden as f64).sqrt());
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

    fn forward(&self, weights: &[Tensor], x: &Tensor, mode: Mode) -> Tensor {
        let Cells {
            hidden_size,
            num_layers,
            bidirectional,
            dropout,
        } = self.cells;
        let layers = num_layers as i64;
        let state = [
            layers * self.directions() as i64,
            x.size()[0],
            hidden_size as i64,
        ];
        let h = Tensor::zeros(state, (x.kind(), x.device()));
        let train = mode.trains();
        match self.cell {
            Cell::Rnn(Nonlinearity::Tanh) => {
                x.rnn_tanh(
                    &h,
                    weights,
                    true,
                    layers,
                    dropout,
                    train,
                    bidirectional,
                    true,
                )
                .0
            }
            Cell::Rnn(Nonlinearity::Relu) => {
                x.rnn_relu(
                    &h,
                    weights,
                    true,
                    layers,
                    dropout,
                    train,
                    bidirectional,
                    true,
                )
                .0
            }
            Cell::Gru => {
                x.gru(
                    &h,
                    weights,
                    true,
                    layers,
                    dropout,
                    train,
                    bidirectional,
                    true,
                )
                .0
            }
            Cell::Lstm => {
                let c = h.zeros_like();
                x.lstm(
                    &[h, c],
                    weights,
                    true,
                    layers,
                    dropout,
                    train,
                    bidirectional,
                    true,
                )
                .0
            }
        }
    }
}
