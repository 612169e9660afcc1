//! TorchScript archives, written as `torch.jit.save` writes them: a class per layer that one can read,
//! parameters by PyTorch's names, `signet.json` as an extra file.
//!
//! Format: `torch/csrc/jit/serialization/export_module.cpp` and `caffe2/serialize/inline_container.h`. A zip
//! of stored entries, payloads aligned to 64 bytes: `data.pkl` (the module), `data/N` (its tensors),
//! `code/__torch__.py` (its classes), `constants.pkl`, `extra/NAME`, `version`, `byteorder`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Cursor, Read, Write};

use anyhow::{Context, Result, anyhow, ensure};
use tch::Kind;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::card::Card;
use super::pickle::{self, PickleValue, Storage};
use crate::model::layer::{Parameter, Role, Script};
use crate::model::network::{Network, Weight};
use crate::model::node::Node;
use crate::run::checkpoint::bytes_of;

/// The folder that all entries lie in.
const ROOT: &str = "model";

/// The class of the whole model; no layer's class is called so.
const MODEL: &str = "Model";

/// The entry for `signet.json`.
const CARD: &str = "extra/signet.json";

/// More entries or bytes than these belong to no model of signet's.
const MOST_ENTRIES: usize = 100_000;
const MOST_REST: u64 = 64 << 20; // beside the numbers of the layers

/// The archive of `network` with its `card`.
///
/// # Errors
/// None that is known.
pub fn write(network: &Network, card: &Card) -> Result<Vec<u8>> {
    let mut objects = Objects {
        network,
        card,
        classes: Classes::default(),
        tensors: Vec::new(),
    };
    let model = objects.add(&network.plan().root, MODEL);

    let mut archive = ScriptArchive::new();
    archive.add("data.pkl", &pickle::dump(&model))?;
    archive.add("byteorder", b"little")?;
    for (index, tensor) in objects.tensors.iter().enumerate() {
        archive.add(&format!("data/{index}"), tensor)?;
    }
    archive.add("code/__torch__.py", objects.classes.source.as_bytes())?;
    archive.add("constants.pkl", b"\x80\x02).")?; // an empty tuple
    archive.add(CARD, card.to_json()?.as_bytes())?;
    archive.add("version", b"3\n")?; // what torch.jit.save writes for these operators
    archive.finish()
}

/// The card in the archive `bytes`, after a look at its entries: libtorch gets to see only archives of
/// plausible size whose entries stay in one folder.
///
/// # Errors
/// No zip, a truncated one, an archive of another program.
pub fn read_card(bytes: &[u8]) -> Result<Card> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .context("no TorchScript archive, or a truncated one: it is no whole zip")?;
    ensure!(
        archive.len() <= MOST_ENTRIES,
        "it has {} entries, more than any model of signet's",
        archive.len()
    );
    let first = archive.file_names().next().unwrap_or_default();
    let root = first.split('/').next().unwrap_or_default().to_owned();
    let (mut rest, mut numbers) = (0u64, Vec::new());
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index)?;
        let name = entry.name();
        let inside = entry.enclosed_name().is_some() && !name.contains('\\');
        ensure!(
            inside && name.split('/').next() == Some(&root),
            "its entry {name:?} points outside the archive"
        );
        if name.starts_with(&format!("{root}/data/")) {
            ensure!(
                entry.compression() == CompressionMethod::Stored,
                "its entry {name:?} is compressed, and the numbers of a model never are"
            );
            numbers.push(entry.size());
        } else {
            rest = rest.saturating_add(entry.size());
        }
    }
    ensure!(
        rest <= MOST_REST,
        "it unpacks to {rest} bytes beside its numbers, more than any model of signet's"
    );
    // Reading to the end compares each entry's checksum; one byte more, and it is longer than it says.
    for index in 0..archive.len() {
        let entry = archive.by_index(index)?;
        let size = entry.size();
        let read = std::io::copy(
            &mut entry.take(size.saturating_add(1)),
            &mut std::io::sink(),
        )
        .map_err(|_| anyhow!("damaged: an entry does not have its checksum"))?;
        ensure!(read == size, "damaged: an entry is not as long as it says");
    }
    let mut text = String::new();
    archive
        .by_name(&format!("{root}/{CARD}"))
        .context("not a model of signet's: it has no signet.json")?
        .read_to_string(&mut text)
        .context("its signet.json is damaged")?;
    let card = Card::parse(&text)?;
    // libtorch takes the sizes it finds in the pickle for those of the entries.
    let width = |role: Role| if role == Role::Counter { 8 } else { 4 };
    let bytes =
        |(_, parameter): (String, Parameter)| (parameter.numbers() * width(parameter.role)) as u64;
    let mut expected: Vec<u64> = card.plan()?.parameters().into_iter().map(bytes).collect();
    expected.sort_unstable();
    numbers.sort_unstable();
    ensure!(
        numbers == expected,
        "damaged: its numbers are not those of the layers that its signet.json describes"
    );
    Ok(card)
}

/// The archive's objects under construction: a module of PyTorch for every node of the network.
struct Objects<'n> {
    network: &'n Network,
    card: &'n Card,
    classes: Classes,
    tensors: Vec<Vec<u8>>,
}

impl Objects<'_> {
    /// `node` as an object, its class added to `classes` and its numbers to `tensors`; `wanted` is the name of its
    /// class, unless the node has one of its own.
    fn add(&mut self, node: &Node, wanted: &str) -> PickleValue {
        let mut attributes = vec![("training".to_owned(), PickleValue::Bool(false))];
        let class = match node {
            Node::Leaf(leaf) => {
                let parameters = leaf.layer.parameters();
                for (parameter, weight) in parameters.iter().zip(leaf.own(self.network.weights())) {
                    let storage = store(weight, &mut self.tensors);
                    attributes.push((parameter.name.clone(), PickleValue::Tensor(storage)));
                }
                self.classes.layer(&leaf.layer.script(), &parameters)
            }
            Node::Chain(nodes) => {
                let nodes = nodes.iter().map(|(name, node)| (name.as_str(), node));
                let members = self.members(nodes, &mut attributes);
                let card = (wanted == MODEL).then_some(self.card);
                let forward = chain(&members, card);
                self.classes.parts(wanted, &members, &forward)
            }
            Node::Residual { body, shortcut } => {
                let sides = [("body", Some(body)), ("shortcut", shortcut.as_ref())];
                let sides = sides
                    .into_iter()
                    .filter_map(|(name, side)| Some((name, side?.as_ref())));
                let members = self.members(sides, &mut attributes);
                let forward = residual(shortcut.is_some());
                self.classes.parts("Residual", &members, &forward)
            }
        };
        PickleValue::Object(class, attributes)
    }

    /// Adds the nodes of a part to its `attributes`, and hands back the class of each by its name.
    fn members<'a>(
        &mut self,
        nodes: impl Iterator<Item = (&'a str, &'a Node)>,
        attributes: &mut Vec<(String, PickleValue)>,
    ) -> Vec<(String, String)> {
        let mut members = Vec::new();
        for (name, node) in nodes {
            let wanted = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
            let value = self.add(node, &wanted);
            if let PickleValue::Object(class, _) = &value {
                members.push((name.to_owned(), class.clone()));
            }
            attributes.push((name.to_owned(), value));
        }
        members
    }
}

/// The body of `forward` of a chain, which normalises pixels first if it is the model of `card`.
fn chain(members: &[(String, String)], card: Option<&Card>) -> String {
    let mut body = card.map(normalise).unwrap_or_default();
    let mut last = if card.is_some() { "x0" } else { "x" }.to_owned();
    for (index, (name, _)) in members.iter().enumerate() {
        let next = format!("x{}", index + 1);
        let _ = writeln!(
            body,
            "    {next} = (getattr(self, \"{name}\")).forward({last}, )"
        );
        last = next;
    }
    let _ = writeln!(body, "    return {last}");
    body
}

/// The body of `forward` of a residual.
fn residual(has_shortcut: bool) -> String {
    let other = if has_shortcut {
        "(self.shortcut).forward(x, )"
    } else {
        "x"
    };
    format!("    x1 = (self.body).forward(x, )\n    return torch.add(x1, {other})\n")
}

/// Puts the numbers of a tensor aside and says where they will be.
fn store(weight: &Weight, tensors: &mut Vec<Vec<u8>>) -> Storage {
    let tensor = weight.tensor.detach().to_device(tch::Device::Cpu);
    let class = match tensor.kind() {
        Kind::Int64 => "LongStorage",
        _ => "FloatStorage",
    };
    tensors.push(bytes_of(&tensor).expect("networks hold float32 and int64 alone"));
    Storage {
        key: tensors.len() - 1,
        class,
        size: tensor.size(),
        requires_grad: weight.role.trained(),
    }
}

/// The classes of an archive: their source, and the name of each by its text.
#[derive(Default)]
struct Classes {
    source: String,
    names: BTreeMap<(String, String), String>,
}

impl Classes {
    fn layer(&mut self, script: &Script, parameters: &[Parameter]) -> String {
        let names = |trained: bool| {
            let own = parameters
                .iter()
                .filter(|parameter| parameter.role.trained() == trained);
            own.map(|parameter| format!("\"{}\", ", parameter.name))
                .collect::<String>()
        };
        let mut body = format!(
            "  __parameters__ = [{}]\n  __buffers__ = [{}]\n",
            names(true),
            names(false)
        );
        for parameter in parameters {
            let _ = writeln!(body, "  {} : Tensor", parameter.name);
        }
        body += "  training : bool\n  def forward(self,\n    x: Tensor) -> Tensor:\n";
        for line in script.forward.lines() {
            let _ = writeln!(body, "    {line}");
        }
        self.add(script.class, body)
    }

    /// The class of a part whose `members` have classes, with the statements of its `forward`.
    fn parts(&mut self, wanted: &str, members: &[(String, String)], forward: &str) -> String {
        let mut body = "  __parameters__ = []\n  __buffers__ = []\n  training : bool\n".to_owned();
        for (name, class) in members {
            let _ = writeln!(body, "  __annotations__[\"{name}\"] = __torch__.{class}");
        }
        body += "  def forward(self,\n    x: Tensor) -> Tensor:\n";
        body += forward;
        self.add(wanted, body)
    }

    /// Adds a class unless there is one of the same text; hands back its name.
    fn add(&mut self, wanted: &str, body: String) -> String {
        let key = (wanted.to_owned(), body);
        if let Some(name) = self.names.get(&key) {
            return name.clone();
        }
        let taken = |name: &String| self.names.values().any(|other| other == name);
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let name = std::iter::once(wanted.to_owned())
            .chain(numbered)
            .find(|name| !taken(name))
            .unwrap_or_default();
        let typed = format!("forward(self: __torch__.{name},");
        let body = key.1.replace("forward(self,", &typed);
        let _ = write!(self.source, "class {name}(Module):\n{body}");
        self.names.insert(key, name.clone());
        name
    }
}

/// Shifts and scales pixels by the statistics of the training part, in the numbers the live model uses.
fn normalise(card: &Card) -> String {
    let list = |statistics: &[f64]| {
        let single: Vec<String> = statistics
            .iter()
            .map(|number| format!("{:?}", f64::from(*number as f32)))
            .collect();
        format!(
            "torch.reshape(torch.tensor([{}], dtype=ops.prim.dtype(x), device=ops.prim.device(x)), [1, -1, 1, 1])",
            single.join(", ")
        )
    };
    format!(
        "    mean = {}\n    std = {}\n    x0 = torch.true_divide(torch.sub(x, mean), std)\n",
        list(&card.normalization.mean),
        list(&card.normalization.std)
    )
}

/// A zip of stored entries with fixed times, so that equal models have equal bytes.
struct ScriptArchive(ZipWriter<Cursor<Vec<u8>>>);

impl ScriptArchive {
    fn new() -> ScriptArchive {
        ScriptArchive(ZipWriter::new(Cursor::new(Vec::new())))
    }

    fn add(&mut self, name: &str, content: &[u8]) -> Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default())
            .with_alignment(64);
        self.0.start_file(format!("{ROOT}/{name}"), options)?;
        Ok(self.0.write_all(content)?)
    }

    fn finish(self) -> Result<Vec<u8>> {
        Ok(self.0.finish()?.into_inner())
    }
}
