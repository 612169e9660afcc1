//! The few words of ONNX that layers speak: nodes, attributes, tensors. `export::onnx` writes them down.
//!
//! Operators are those of opset 17 (github.com/onnx/onnx/blob/main/docs/Operators.md).

use tch::Tensor;

/// A value of an operator that is fixed when the graph is made.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A whole number.
    Int(i64),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// A 32-bit float.
    Float(f32),
    /// A word.
    Text(&'static str),
    /// Words.
    Texts(Vec<&'static str>),
}

/// One operator with its names.
#[derive(Debug, Clone, PartialEq)]
pub struct OnnxNode {
    /// Operator, such as `Gemm`.
    pub operator: &'static str,
    /// Names of what goes in; an empty one is left out.
    pub inputs: Vec<String>,
    /// Names of what comes out.
    pub outputs: Vec<String>,
    /// Attributes by name.
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// A graph under construction.
#[derive(Debug, Default)]
pub struct Graph {
    /// In the order of computation.
    pub nodes: Vec<OnnxNode>,
    /// Weights and other constants by name.
    pub tensors: Vec<(String, Tensor)>,
}

impl Graph {
    /// Adds a constant and hands back its name.
    pub fn tensor(&mut self, name: String, value: &Tensor) -> String {
        let value = value.detach().to_device(tch::Device::Cpu).contiguous();
        self.tensors.push((name.clone(), value.copy()));
        name
    }

    /// Adds a list of whole numbers, as shapes and indices are given.
    pub fn numbers(&mut self, values: &[i64]) -> String {
        let name = format!("constant_{}", self.tensors.len());
        self.tensor(name, &Tensor::from_slice(values))
    }

    /// Adds an operator with one output and hands back its name.
    pub fn node(
        &mut self,
        operator: &'static str,
        inputs: &[&str],
        attributes: Vec<(&'static str, Attribute)>,
    ) -> String {
        let output = format!("{}_{}", operator.to_lowercase(), self.nodes.len());
        self.nodes.push(OnnxNode {
            operator,
            inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
            outputs: vec![output.clone()],
            attributes,
        });
        output
    }

    /// Reorders the dimensions of `x`.
    pub fn transpose(&mut self, x: &str, order: &[i64]) -> String {
        let order = Attribute::Ints(order.to_vec());
        self.node("Transpose", &[x], vec![("perm", order)])
    }

    /// Gives `x` another shape; 0 keeps a dimension, -1 takes what is left.
    pub fn reshape(&mut self, x: &str, shape: &[i64]) -> String {
        let shape = self.numbers(shape);
        self.node("Reshape", &[x, &shape], Vec::new())
    }
}
