//! Where a run comes from, and what became of it: its lineage, environment and exports.

use serde_json::Value;

use crate::config::run::Format;
use crate::export::artefacts;
use crate::export::gate::Report;
use crate::messages::escaped;
use crate::report::page::{FactList, fact};
use crate::report::run_report::RunReport;
use crate::report::studies::percent;

pub(super) fn lineage(report: &RunReport) -> FactList {
    let mut facts = FactList::new();
    if let Some(parent) = &report.parent {
        facts.push(fact(
            "branched off",
            format!("{}, step {}", parent.run.display(), parent.step),
        ));
        let changes = parent
            .changes
            .iter()
            .map(|change| format!("{} {} → {}", change.key, change.old, change.new));
        facts.push(fact(
            "changed there",
            changes.collect::<Vec<_>>().join("; "),
        ));
    }
    if let Some(init) = &report.experiment.train.init_from {
        facts.push(fact(
            "weights to begin with",
            init.path.display().to_string(),
        ));
    }
    if !report.marks.resumed.is_empty() {
        let epochs = report
            .marks
            .resumed
            .iter()
            .map(usize::to_string)
            .collect::<Vec<_>>();
        facts.push(fact("resumed before the end of epoch", epochs.join(", ")));
    }
    let Some(launch) = &report.launch else {
        return facts;
    };
    let environment = &launch.environment;
    facts.push(fact("launched last", launch.started.clone()));
    facts.push(fact("signet", environment.signet.clone()));
    facts.push(fact("libtorch", environment.libtorch.clone()));
    facts.push(fact("device", environment.device.clone()));
    facts.push(fact("threads", environment.threads.to_string()));
    facts.push(fact("processor", environment.cpu.clone()));
    facts.push(fact("platform", environment.platform.clone()));
    if let Some(arithmetic) = &launch.arithmetic {
        facts.push(fact("computed in", arithmetic.clone()));
    }
    facts.push(fact("repeats", launch.repeatability.clone()));
    facts
}

pub(super) struct ArtefactView {
    pub(super) file: String,
    pub(super) verdict: String,
    pub(super) load: String,
}

pub(super) fn artefacts(report: &RunReport) -> Vec<ArtefactView> {
    let of = |(word, verdict): (&String, &Value)| {
        let format: Format = word.parse().ok()?;
        let found: Report = serde_json::from_value(verdict.clone()).ok()?;
        let file = report.path.join(artefacts::OWN).join(format.file());
        let accuracy = found.accuracy.map_or(String::new(), |[_, own]| {
            format!("; accuracy {} %", percent(own))
        });
        let of_best = report.best_weights.as_deref() == verdict["weights_sha256"].as_str();
        let older = if of_best {
            ""
        } else {
            " Its weights are not those of the best epoch."
        };
        Some(ArtefactView {
            verdict: format!(
                "Largest difference of logits from the model {:.1e}, of {:.1e} let through{accuracy}.{older}",
                found.largest_difference(),
                found.tolerance
            ),
            load: loading(format).to_owned(),
            file: escaped(&file.display().to_string()).into_owned(),
        })
    };
    report.artefacts.iter().filter_map(of).collect()
}

/// How an artefact is loaded, in a few lines; `export/README.md` has them in full.
fn loading(format: Format) -> &'static str {
    match format {
        Format::Torchscript => {
            "model = torch.jit.load(\"model.pt\")\nlogits = model(images)  # float32 [N, C, H, W] in 0..1"
        }
        Format::Onnx => {
            "session = onnxruntime.InferenceSession(\"model.onnx\")\n\
             [logits] = session.run(None, {session.get_inputs()[0].name: images})  # float32 [N, C, H, W] in 0..1"
        }
        Format::Safetensors => {
            "weights = safetensors.torch.load_file(\"model.safetensors\")\nnetwork.load_state_dict(weights, strict=True)"
        }
    }
}
