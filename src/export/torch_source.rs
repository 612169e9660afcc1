//! The network as one would write it in Python with `torch.nn`; it takes the weights of `model.safetensors` with
//! `load_state_dict(strict=True)`.

use crate::model::layer::TorchModule;
use crate::model::node::Node;

/// The class of a residual; see `model::node`.
const RESIDUAL: &str = "\
class Residual(nn.Module):
    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body = body
        self.shortcut = shortcut or nn.Identity()

    def forward(self, x):
        return self.body(x) + self.shortcut(x)
";

/// A network in Python.
pub struct TorchSource {
    /// Source of the classes that `torch.nn` lacks, each once.
    pub classes: Vec<String>,
    /// An expression that makes the network, on as many lines as it has layers.
    pub network: String,
}

impl TorchSource {
    /// Of the network between normalised pixels and logits.
    pub fn of(root: &Node) -> TorchSource {
        let mut classes = Vec::new();
        let network = expression(root, 0, &mut classes);
        TorchSource { classes, network }
    }
}

/// What makes `node`, at a `depth` of brackets; the classes it needs are added to `classes`.
fn expression(node: &Node, depth: usize, classes: &mut Vec<String>) -> String {
    match node {
        Node::Leaf(leaf) => {
            let TorchModule { call, class } = leaf.layer.torch();
            need(class, classes);
            call
        }
        Node::Chain(members) => {
            let counted = |(index, (name, _)): (usize, &(String, Node))| *name == index.to_string();
            let is_list = members.iter().enumerate().all(counted);
            let mut inner = Vec::new();
            for (name, member) in members {
                let name = if is_list {
                    String::new()
                } else {
                    format!("{name}=")
                };
                inner.push(name + &expression(member, depth + 1, classes));
            }
            if is_list {
                call("nn.Sequential", &inner, depth)
            } else {
                format!("nn.Sequential({})", call("OrderedDict", &inner, depth))
            }
        }
        Node::Residual { body, shortcut } => {
            need(Some(RESIDUAL.to_owned()), classes);
            let sides = std::iter::once(body).chain(shortcut);
            let inner: Vec<String> = sides
                .map(|side| expression(side, depth + 1, classes))
                .collect();
            call("Residual", &inner, depth)
        }
    }
}

/// A call with each argument on a line of its own.
fn call(function: &str, arguments: &[String], depth: usize) -> String {
    let indent = "    ".repeat(depth);
    let lines = arguments
        .iter()
        .map(|argument| format!("{indent}    {argument},\n"));
    format!("{function}(\n{}{indent})", lines.collect::<String>())
}

fn need(class: Option<String>, classes: &mut Vec<String>) {
    if let Some(class) = class.filter(|class| !classes.contains(class)) {
        classes.push(class);
    }
}
