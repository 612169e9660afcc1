//! From a sequence to one row.

use tch::Tensor;

use crate::config::model::Pooling;
use crate::model::graph::{Attribute, Graph};
use crate::model::layer::{Layer, Phase, Script, Shape, TorchModule};

/// Keeps of all steps what `pooling` says.
#[derive(Debug)]
pub struct PoolTime {
    pooling: Pooling,
    size: usize,
    bidirectional: bool,
}

impl PoolTime {
    /// For sequences; those of a bidirectional layer end at both ends.
    ///
    /// # Errors
    /// Anything but a sequence.
    pub fn new(pooling: Pooling, bidirectional: bool, input: Shape) -> Result<PoolTime, String> {
        match input {
            Shape::Steps { size, .. } => Ok(PoolTime {
                pooling,
                size,
                bidirectional,
            }),
            _ => Err(format!(
                "pool_time takes sequences, but {input} comes in; put to_sequence before it"
            )),
        }
    }
}

impl Layer for PoolTime {
    fn title(&self) -> String {
        format!("PoolTime({})", self.pooling.word())
    }

    fn output(&self) -> Shape {
        Shape::Row(self.size)
    }

    fn forward(&self, _: &[Tensor], x: &Tensor, _: Phase) -> Tensor {
        // x: [B, T, size]
        match self.pooling {
            Pooling::Mean => x.mean_dim(&[1i64][..], false, None),
            Pooling::Max => x.amax([1], false),
            Pooling::Last if self.bidirectional => {
                // The direction that reads backwards ends at the first step.
                let half = self.size as i64 / 2;
                let forwards = x.select(1, -1).narrow(1, 0, half);
                let backwards = x.select(1, 0).narrow(1, half, half);
                Tensor::cat(&[forwards, backwards], 1)
            }
            Pooling::Last => x.select(1, -1),
        }
    }

    fn script(&self) -> Script {
        let half = self.size / 2;
        let expression = match self.pooling {
            Pooling::Mean => "torch.mean(x, [1])".to_owned(),
            Pooling::Max => "torch.amax(x, [1])".to_owned(),
            Pooling::Last if self.bidirectional => format!(
                "torch.cat([torch.narrow(torch.select(x, 1, -1), 1, 0, {half}), \
                 torch.narrow(torch.select(x, 1, 0), 1, {half}, {half})], 1)"
            ),
            Pooling::Last => "torch.select(x, 1, -1)".to_owned(),
        };
        Script::expression("PoolTime", expression)
    }

    fn torch(&self) -> TorchModule {
        let half = self.size / 2;
        match self.pooling {
            Pooling::Mean => TorchModule::function("x.mean(1)"),
            Pooling::Max => TorchModule::function("x.amax(1)"),
            Pooling::Last if self.bidirectional => TorchModule::function(format!(
                "torch.cat([x[:, -1, :{half}], x[:, 0, {half}:]], 1)"
            )),
            Pooling::Last => TorchModule::function("x[:, -1]"),
        }
    }

    fn onnx(&self, graph: &mut Graph, _: &str, _: &[Tensor], x: &str) -> String {
        let over_time = || {
            vec![
                ("axes", Attribute::Ints(vec![1])),
                ("keepdims", Attribute::Int(0)),
            ]
        };
        let half = self.size as i64 / 2;
        match self.pooling {
            Pooling::Mean => graph.node("ReduceMean", &[x], over_time()),
            Pooling::Max => graph.node("ReduceMax", &[x], over_time()),
            Pooling::Last if self.bidirectional => {
                let forwards = step(graph, x, -1);
                let forwards = columns(graph, &forwards, 0, half);
                let backwards = step(graph, x, 0);
                let backwards = columns(graph, &backwards, half, 2 * half);
                let axis = ("axis", Attribute::Int(1));
                graph.node("Concat", &[&forwards, &backwards], vec![axis])
            }
            Pooling::Last => step(graph, x, -1),
        }
    }
}

/// One step of the sequence `x`, counted from its end if negative: `[B, size]`.
fn step(graph: &mut Graph, x: &str, index: i64) -> String {
    let name = format!("constant_{}", graph.tensors.len());
    let index = graph.tensor(name, &Tensor::from(index)); // a scalar, so that the dimension goes
    graph.node("Gather", &[x, &index], vec![("axis", Attribute::Int(1))])
}

/// The columns of `x` from `first` up to but without `end`.
fn columns(graph: &mut Graph, x: &str, first: i64, end: i64) -> String {
    let [first, end, axis] = [first, end, 1].map(|number| graph.numbers(&[number]));
    graph.node("Slice", &[x, &first, &end, &axis], Vec::new())
}
