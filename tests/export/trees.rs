//! Networks drawn at random, of every kind of layer there is, answer the same in every format.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use crate::support::Workshop;
use crate::trained;
use signet::config::Experiment;
use signet::config::document::Document;
use signet::config::model::LayerConfig;
use signet::config::run::Format;
use signet::export::card::Card;
use signet::export::classifier::Classifier;
use signet::export::gate::{self, Samples};
use signet::export::onnx_check;
use signet::export::onnx_proto::{AttributeProto, ModelProto, NodeProto, StringStringEntryProto};
use signet::model::layer::Phase;
use signet::model::network::Network;
use signet::model::plan::check;
use signet::rng::{Purpose, Stream};
use signet::run::checkpoints;
use tch::{Kind, Tensor};

/// A layer as one would write it, of a kind drawn from all; what does not fit is drawn again by the caller.
fn draw(stream: &mut Stream, depth: usize) -> String {
    let kind = LayerConfig::WORDS[stream.below(LayerConfig::WORDS.len())];
    let mut pick = |choices: &[&str]| choices[stream.below(choices.len())].to_owned();
    let settings = match kind {
        "conv2d" => [
            pick(&[", filters: 4", ", filters: 6", ", filters: 8"]),
            pick(&["", ", kernel: 1", ", kernel: 2, padding: valid"]),
            pick(&["", ", stride: 2"]),
            pick(&["", ", groups: 2", ", groups: 4"]),
            pick(&["", ", bias: false"]),
        ]
        .concat(),
        "linear" => pick(&[", units: 5", ", units: 9"]),
        "activation" => {
            let functions = ["relu", "tanh", "sigmoid", "leaky_relu", "gelu", "silu"];
            format!(", function: {}", pick(&functions))
        }
        "to_sequence" => pick(&[
            "",
            ", sequence: columns",
            ", sequence: patches, patch_px: 2",
        ]),
        "rnn" | "lstm" | "gru" => [
            pick(&[", hidden_size: 4", ", hidden_size: 8"]),
            pick(&["", ", num_layers: 2, dropout: 0.2"]),
            pick(&["", ", bidirectional: true"]),
        ]
        .concat(),
        "pool_time" => pick(&["", ", pooling: mean", ", pooling: max"]),
        "residual" if depth < 2 => {
            let mut list = |most: usize| {
                let count = 1 + stream.below(most);
                let layers: Vec<String> = (0..count).map(|_| draw(stream, depth + 1)).collect();
                layers.join(", ")
            };
            let (body, shortcut) = (list(3), list(1));
            match stream.below(2) {
                0 => format!(", body: [{body}]"),
                _ => format!(", body: [{body}], shortcut: [{shortcut}]"),
            }
        }
        _ => String::new(),
    };
    format!("{{kind: {kind}{settings}}}")
}

/// The experiment of `card` with these layers and two to end in rows of two, if they fit together.
fn experiment(card: &Card, layers: &[String]) -> Option<String> {
    let layers = layers.join(", ");
    let own =
        format!("model={{kind: layers, layers: [{layers}, {{kind: flatten}}, {{kind: linear}}]}}");
    let document = Document::parse("random".to_owned(), card.config.clone(), &[own]).ok()?;
    let experiment = Experiment::from_document(&document, "random".as_ref(), &[check]).ok()?;
    Some(experiment.to_yaml())
}

/// `card` with the experiment of a tree drawn at random.
fn draw_card(card: &Card, stream: &mut Stream) -> Card {
    let (mut layers, mut config) = (Vec::new(), None);
    for _ in 0..60 {
        layers.push(draw(stream, 0));
        match experiment(card, &layers) {
            Some(fits) => config = Some(fits),
            None => drop(layers.pop()),
        }
        if layers.len() == 6 {
            break;
        }
    }
    let config = config.expect("some layer fits");
    let card = card.clone();
    Card { config, ..card }
}

/// Numbers that no layer could be right with by chance, as initial biases and running figures are equal.
fn randomised(network: &Network) -> BTreeMap<String, Tensor> {
    let mut state = network.state();
    for (name, tensor) in &mut state {
        if tensor.kind() == Kind::Float {
            *tensor = if name.ends_with("running_var") {
                tensor.rand_like() + 0.5
            } else {
                tensor.randn_like() * 0.3
            };
        }
    }
    state
}

#[test]
fn trees_drawn_at_random_of_all_layers_answer_the_same_in_every_format() {
    let workshop = trained("{kind: ann}");
    let checkpoint = checkpoints::best(&workshop.path("r")).unwrap().checkpoint;
    let original = Card::of(&checkpoint).unwrap();
    let mut drawn = BTreeSet::new();
    for number in 0..40 {
        let mut card = draw_card(&original, &mut Stream::new(1, Purpose::Probe, &[number]));
        let words = card.config.split_whitespace();
        drawn.extend(words.filter_map(|word| {
            LayerConfig::WORDS
                .iter()
                .copied()
                .find(|kind| *kind == word)
        }));
        let network = card.network().unwrap();
        let state = randomised(&network);
        network.load(&state).unwrap();
        card.weights_sha256 = checkpoints::weights_sha256(&state).unwrap();
        passes_in_every_format(&workshop, &network, &card);
        // Channels innermost, as images come from files; libtorch takes other kernels for their gradients.
        let images = card.probes().permute([0, 2, 3, 1]).contiguous();
        let logits = network.forward(&images.permute([0, 3, 1, 2]), Phase::Train);
        logits.square().sum(Kind::Float).backward();
        let (_, tensors) = network.trained();
        let finite = |tensor: &Tensor| bool::try_from(tensor.grad().isfinite().all()).unwrap();
        assert!(tensors.iter().all(finite), "{}", card.config);
    }
    let all: BTreeSet<&str> = LayerConfig::WORDS.iter().copied().collect();
    assert_eq!(drawn, all, "some layer was never drawn");
}

fn passes_in_every_format(workshop: &Workshop, network: &Network, card: &Card) {
    let live = |images: &Tensor| Ok(tch::no_grad(|| network.forward(images, Phase::Serve)));
    let probes = card.probes();
    for format in [Format::Torchscript, Format::Onnx, Format::Safetensors] {
        let file = workshop.path(format.file());
        std::fs::write(&file, format.write(network, card).unwrap()).unwrap();
        let context = || format!("{}: {}", format.word(), card.config);
        let artefact =
            Classifier::open(&file).unwrap_or_else(|error| panic!("{error:#} {}", context()));
        let report = gate::compare(format, &live, &artefact, &Samples::of(&probes))
            .unwrap_or_else(|error| panic!("{error:#} {}", context()));
        assert!(report.passed(), "{} {}", report.failure(), context());
    }
}

/// What is done to a model that was signet's.
type Forgery = fn(&mut ModelProto);

fn node<'m>(model: &'m mut ModelProto, operator: &str) -> &'m mut NodeProto {
    let nodes = model.graph.as_mut().unwrap().node.iter_mut();
    nodes
        .into_iter()
        .find(|node| node.op_type == operator)
        .unwrap()
}

#[test]
fn a_graph_that_is_not_the_one_signet_writes_for_its_card_is_refused() {
    let residual = "{kind: layers, layers: [{kind: conv2d, filters: 4}, {kind: residual, body: [{kind: conv2d, filters: 4, groups: 2}]}, \
                    {kind: global_avg_pool}, {kind: to_sequence}, {kind: lstm, hidden_size: 3}, {kind: pool_time}, {kind: linear}]}";
    let workshop = trained(residual);
    let checkpoint = checkpoints::best(&workshop.path("r")).unwrap().checkpoint;
    let card = Card::of(&checkpoint).unwrap();
    let bytes = Format::Onnx
        .write(&card.live(&checkpoint).unwrap(), &card)
        .unwrap();
    let read = || ModelProto::decode(&bytes[..]).unwrap();
    onnx_check::check(&read(), &card).unwrap();

    // What tools add and nobody computes with is free.
    let mut noted = read();
    node(&mut noted, "Conv").name = "renamed".to_owned();
    node(&mut noted, "Conv").doc_string = "a note".to_owned();
    noted.producer_name = "another".to_owned();
    onnx_check::check(&noted, &card).unwrap();

    let forgeries: [(&str, Forgery); 21] = [
        ("its operator set or format", |model| {
            model.opset_import[0].version = 18
        }),
        ("its operator set or format", |model| model.ir_version = 9),
        ("its declared input or output", |model| {
            model.graph.as_mut().unwrap().input[0].name = "image".to_owned();
        }),
        ("its declared input or output", |model| {
            model.graph.as_mut().unwrap().output[0].r#type = None;
        }),
        ("its declared input or output", |model| {
            let inputs = &mut model.graph.as_mut().unwrap().input;
            inputs.push(inputs[0].clone());
        }),
        ("has an attribute group which", |model| {
            let conv = model.graph.as_mut().unwrap().node.iter_mut();
            let grouped = conv.flat_map(|node| &mut node.attribute);
            grouped
                .filter(|attribute| attribute.name == "group")
                .for_each(|group| group.i = 1);
        }),
        ("has an attribute clip which", |model| {
            let clip = AttributeProto {
                name: "clip".to_owned(),
                r#type: 1,
                f: 1.0,
                ..Default::default()
            };
            node(model, "LSTM").attribute.push(clip);
        }),
        ("has an attribute direction which", |model| {
            let lstm = node(model, "LSTM");
            let mut own = lstm.attribute.iter_mut();
            own.find(|attribute| attribute.name == "direction")
                .unwrap()
                .s = b"reverse".to_vec();
        }),
        ("lacks an attribute", |model| {
            drop(node(model, "LSTM").attribute.pop())
        }),
        ("its node", |model| {
            node(model, "Add").op_type = "Sub".to_owned()
        }),
        ("does not read and write", |model| {
            node(model, "Add").input.swap(0, 1)
        }),
        ("it has", |model| {
            drop(model.graph.as_mut().unwrap().node.remove(0))
        }),
        ("its tensor layers.0.weight", |model| {
            let tensors = &mut model.graph.as_mut().unwrap().initializer;
            let weight = tensors
                .iter_mut()
                .find(|tensor| tensor.name == "layers.0.weight");
            weight.unwrap().dims.reverse();
        }),
        ("functions, training or devices", |model| {
            model.functions.push(vec![])
        }),
        ("functions, training or devices", |model| {
            model.training_info.push(vec![])
        }),
        ("its tensors are not those", |model| {
            let graph = model.graph.as_mut().unwrap();
            graph.quantization_annotation.push(vec![]);
        }),
        ("its tensors are not those", |model| {
            let graph = model.graph.as_mut().unwrap();
            graph.sparse_initializer.push(vec![]);
        }),
        ("does not hold its numbers", |model| {
            model.graph.as_mut().unwrap().initializer[0].data_location = 1;
        }),
        ("does not hold its numbers", |model| {
            let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
            tensor.external_data.push(StringStringEntryProto {
                key: "location".to_owned(),
                value: "/etc/passwd".to_owned(),
            });
        }),
        ("does not hold its numbers", |model| {
            model.graph.as_mut().unwrap().initializer[0]
                .float_data
                .push(1.0);
        }),
        ("its node", |model| {
            node(model, "Conv").overload = "other".to_owned()
        }),
    ];
    for (words, forge) in forgeries {
        let mut model = read();
        forge(&mut model);
        let error = onnx_check::check(&model, &card).unwrap_err().to_string();
        assert!(error.contains(words), "{error} instead of {words}");
    }
    // A card that claims layers larger than the file could hold is found out before memory is taken.
    let large = residual.replace("hidden_size: 3", "hidden_size: 9000");
    let document = Document::parse(
        "own".to_owned(),
        card.config.clone(),
        &[format!("model={large}")],
    )
    .unwrap();
    let config = Experiment::from_document(&document, "own".as_ref(), &[check])
        .unwrap()
        .to_yaml();
    let claimed = Card { config, ..card };
    let error = onnx_check::check(&read(), &claimed)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("damaged: its numbers are not those of the layers"),
        "{error}"
    );
}
