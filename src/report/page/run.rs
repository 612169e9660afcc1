//! The page of one run.

use std::collections::BTreeMap;

use anyhow::Result;
use askama::Template;
use serde_json::{Value, json};

use super::{Facts, Figure, Frame, PageTable, fact, in_script, or_dash, percent};
use crate::config::run::Format;
use crate::config::train::{Metric, Mode};
use crate::export::gate::Report;
use crate::messages::{escaped, shell_quote};
use crate::report::findings;
use crate::report::plots::{data_uri, thumbnail};
use crate::report::run_report::{RunReport, Setting};
use crate::report::verdicts::{Verdict, Verdicts};
use crate::run::history::Course;
use crate::train::metrics::EpochRecord;

/// Wrong images that are shown without being asked for.
const WRONG: usize = 60;

/// Classes up to which the confusion matrix is a table of cells.
const CELLS: usize = 40;

/// Verdicts and histories that a page carries at the most.
const LISTED: usize = 10_000;

/// Bytes of images that a page carries at the most, as they stand in it.
const IMAGE_BYTES: usize = 2_500_000;

#[derive(Template)]
#[template(path = "report/page/run.html", config = "src/askama.toml")]
struct RunPage {
    frame: Frame,
    lead: String,
    remarks: Vec<String>,
    figures: Facts,
    best_and_last: PageTable,
    curves: Vec<Figure>,
    epochs: PageTable,
    confusion: Option<Confusion>,
    judged: Vec<Figure>,
    wrong: Vec<WrongTile>,
    wrong_more: usize,
    history: Option<HistoryView>,
    sheets: Vec<Figure>,
    findings: String,
    settings: Vec<Setting>,
    lineage: Facts,
    place: String,
    artefacts: Vec<Artefact>,
    data: String,
}

struct Confusion {
    part: &'static str,
    classes: Vec<String>,
    rows: Vec<ConfusionRow>,
    pairs: Vec<Pair>,
    binary: bool,
    by_class: PageTable,
}

struct ConfusionRow {
    number: usize,
    name: String,
    cells: Vec<ConfusionCell>,
}

struct ConfusionCell {
    count: usize,
    rate: String,
    percent: String,
    strong: bool,
}

struct Pair {
    is: usize,
    taken: usize,
    count: usize,
}

struct WrongTile {
    name: String,
    label: String,
    predicted: String,
    sure: String,
    image: String,
    looked_at: String,
}

struct HistoryView {
    epochs: usize,
    courses: Vec<CourseCount>,
}

struct CourseCount {
    word: &'static str,
    count: usize,
}

struct Artefact {
    file: String,
    verdict: String,
    load: String,
}

/// The page of `report`; a `live` one is told of changes by who serves it.
///
/// # Errors
/// None that is known.
pub fn run(report: &RunReport, live: bool) -> Result<String> {
    let images = Images::of(report)?;
    let (curves, judged, sheets) = figures(report)?;
    let name = escaped(&report.experiment.name).into_owned();
    let wrong = report.verdicts.as_ref().map_or(Vec::new(), |verdicts| {
        wrong_tiles(report, verdicts, &images)
    });
    let all_wrong = report
        .verdicts
        .as_ref()
        .map_or(0, |verdicts| verdicts.images.len() - verdicts.right());
    let page = RunPage {
        frame: Frame { title: name, live },
        lead: lead(report),
        remarks: remarks(report),
        figures: closing(report),
        best_and_last: best_and_last(report),
        epochs: epochs(report),
        confusion: report.verdicts.as_ref().map(confusion),
        wrong_more: all_wrong - wrong.len(),
        wrong,
        history: history(report),
        findings: doubts(report),
        settings: report.settings.iter().map(shown).collect(),
        lineage: lineage(report),
        place: shell_quote(&report.path),
        artefacts: artefacts(report),
        data: in_script(&data(report, &images)),
        curves,
        judged,
        sheets,
    };
    Ok(page.render()?)
}

fn lead(report: &RunReport) -> String {
    let experiment = &report.experiment;
    let text = format!(
        "A {} with seed {}, {}: {} of {} epochs, in {}",
        experiment.model.kind.word(),
        experiment.seed,
        report.state.word(),
        report.records.len(),
        experiment.train.epochs,
        report.path.display()
    );
    escaped(&text).into_owned()
}

/// What a reader should know before looking.
fn remarks(report: &RunReport) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Err(unexamined) = &report.examined {
        remarks.push(escaped(&unexamined.why).into_owned());
    }
    if report.records.is_empty() {
        remarks.push("No epoch has ended yet.".to_owned());
    }
    let finite = |record: &EpochRecord| {
        record.train.loss.is_finite() && record.val.is_none_or(|val| val.loss.is_finite())
    };
    if let Some(odd) = report.records.iter().find(|record| !finite(record)) {
        remarks.push(format!(
            "The loss of epoch {} is not finite; curves leave such values out.",
            odd.epoch
        ));
    }
    remarks
}

/// The figures that one asks for first, with their intervals.
fn closing(report: &RunReport) -> Facts {
    let mut facts = Facts::new();
    if let Some(verdicts) = &report.verdicts {
        let (accuracy, [low, high]) = verdicts.accuracy();
        let counts = verdicts.counts();
        let of = |what: &str| format!("{what}, {} part, epoch {}", verdicts.part, verdicts.epoch);
        facts.push(fact(&of("accuracy"), format!("{} %", percent(accuracy))));
        facts.push(fact(
            "95 % Wilson interval",
            format!("{} to {} %", percent(low), percent(high)),
        ));
        facts.push(fact(
            "right",
            format!("{} of {}", verdicts.right(), verdicts.images.len()),
        ));
        facts.push(fact("loss", format!("{:.4}", verdicts.loss())));
        facts.push(fact(
            "balanced accuracy",
            format!("{} %", percent(counts.balanced_accuracy())),
        ));
        facts.push(fact(
            "macro F1",
            format!("{} %", percent(counts.macro_f1())),
        ));
        if let Some(thresholds) = verdicts.thresholds() {
            facts.push(fact(
                "area under ROC",
                format!("{:.4}", thresholds.roc_auc()),
            ));
            facts.push(fact(
                "average precision",
                format!("{:.4}", thresholds.average_precision()),
            ));
        }
        if let Some(calibration) = verdicts.calibration() {
            facts.push(fact(
                "expected calibration error",
                format!("{:.4}", calibration.error),
            ));
        }
    }
    if let Some(split) = &report.split {
        let counts =
            [split.train.len(), split.val.len(), split.test.len()].map(|count| count.to_string());
        facts.push(fact("images: train, val, test", counts.join(", ")));
    }
    facts.push(fact(
        "seconds of training",
        format!("{:.1}", report.seconds),
    ));
    facts
}

fn columns() -> [(&'static str, Metric); 4] {
    [
        ("train loss", Metric::TrainLoss),
        ("train accuracy %", Metric::TrainAccuracy),
        ("val loss", Metric::ValLoss),
        ("val accuracy %", Metric::ValAccuracy),
    ]
}

/// The metrics of an epoch, as they stand in a table.
fn cells(record: &EpochRecord) -> Vec<String> {
    let cell = |(_, metric): (&str, Metric)| match (record.get(metric), metric.mode()) {
        (None, _) => or_dash(None),
        (Some(loss), Mode::Min) => format!("{loss:.4}"),
        (Some(share), Mode::Max) => percent(share),
    };
    columns().map(cell).to_vec()
}

fn best_and_last(report: &RunReport) -> PageTable {
    let header = [&["", "epoch"][..], &columns().map(|(name, _)| name)].concat();
    let records = [
        ("best", &report.best),
        ("last", &report.records.last().cloned()),
    ];
    let rows = records.into_iter().filter_map(|(name, record)| {
        let record = record.as_ref()?;
        Some(
            [
                vec![name.to_owned(), record.epoch.to_string()],
                cells(record),
            ]
            .concat(),
        )
    });
    let metric = report.experiment.checkpoint.metric.word();
    PageTable::new(
        &format!("Best epoch by {metric}, and last epoch"),
        &header,
        rows.collect(),
    )
}

fn epochs(report: &RunReport) -> PageTable {
    let header = [
        &["epoch", "step", "lr"][..],
        &columns().map(|(name, _)| name),
    ]
    .concat();
    let row = |record: &EpochRecord| {
        let start = [
            record.epoch.to_string(),
            record.step.to_string(),
            format!("{:.3e}", record.lr),
        ];
        [start.to_vec(), cells(record)].concat()
    };
    PageTable::new("Epochs", &header, report.records.iter().map(row).collect())
}

/// Curves, what was judged, and sheets of images; the confusion matrix is a table of its own where it has few classes.
fn figures(report: &RunReport) -> Result<(Vec<Figure>, Vec<Figure>, Vec<Figure>)> {
    let (mut curves, mut judged, mut sheets) = (Vec::new(), Vec::new(), Vec::new());
    let few = report
        .verdicts
        .as_ref()
        .is_some_and(|verdicts| verdicts.classes.len() <= CELLS);
    for plot in report.plots() {
        let place = match plot.name.as_str() {
            "loss" | "accuracy" | "learning-rate" => &mut curves,
            "roc" | "precision-recall" | "reliability" => &mut judged,
            "confusion" if few => continue,
            "confusion" => &mut judged,
            // They stand in the page as images of their own.
            "wrong" | "looked-at" => continue,
            _ => &mut sheets,
        };
        place.push(Figure::of(&plot)?);
    }
    Ok((curves, judged, sheets))
}

fn confusion(verdicts: &Verdicts) -> Confusion {
    let classes: Vec<String> = verdicts
        .classes
        .iter()
        .map(|class| escaped(class).into_owned())
        .collect();
    let counts = verdicts.confusion();
    let cell = |count: usize, all: usize| {
        let rate = count as f64 / all.max(1) as f64;
        ConfusionCell {
            count,
            rate: format!("{rate:.3}"),
            percent: format!("{:.1}", 100.0 * rate),
            strong: rate > 0.5,
        }
    };
    let row = |(number, row): (usize, &Vec<usize>)| {
        let all = row.iter().sum();
        ConfusionRow {
            number,
            name: classes[number].clone(),
            cells: row.iter().map(|count| cell(*count, all)).collect(),
        }
    };
    let rows = if classes.len() <= CELLS {
        counts.iter().enumerate().map(row).collect()
    } else {
        Vec::new()
    };
    let mut pairs: Vec<Pair> = Vec::new();
    for (is, row) in counts.iter().enumerate() {
        let others = row
            .iter()
            .enumerate()
            .filter(|(taken, count)| *taken != is && **count > 0);
        pairs.extend(others.map(|(taken, &count)| Pair { is, taken, count }));
    }
    pairs.sort_by(|a, b| {
        b.count
            .cmp(&a.count)
            .then((a.is, a.taken).cmp(&(b.is, b.taken)))
    });
    pairs.truncate(50);
    let by_class = verdicts.counts();
    let metrics = (0..classes.len()).map(|class| {
        let shares = [
            by_class.precision(class),
            by_class.recall(class),
            by_class.f1(class),
        ];
        let shares = shares.map(|share| or_dash(share.map(percent)));
        [
            &[verdicts.classes[class].clone()][..],
            &shares,
            &[by_class.support[class].to_string()],
        ]
        .concat()
    });
    let header = ["class", "precision %", "recall %", "F1 %", "images"];
    Confusion {
        part: verdicts.part.word(),
        binary: classes.len() == 2,
        by_class: PageTable::new("Metrics of each class", &header, metrics.collect()),
        rows,
        pairs,
        classes,
    }
}

/// The images that a page carries, each once, as long as there is room.
struct Images {
    uris: Vec<String>,
    of_name: BTreeMap<String, usize>,
}

impl Images {
    fn of(report: &RunReport) -> Result<Images> {
        let mut images = Images {
            uris: Vec::new(),
            of_name: BTreeMap::new(),
        };
        let Some(verdicts) = &report.verdicts else {
            return Ok(images);
        };
        let named = report.images();
        let mut bytes = 0;
        let right = verdicts
            .images
            .iter()
            .filter(|made| made.label == made.predicted);
        for made in verdicts.wrong().into_iter().chain(right) {
            let Some(image) = named.get(&made.image) else {
                continue;
            };
            let uri = data_uri(&thumbnail(image))?;
            bytes += uri.len();
            if bytes > IMAGE_BYTES {
                break;
            }
            images.of_name.insert(made.image.clone(), images.uris.len());
            images.uris.push(uri);
        }
        Ok(images)
    }
}

fn wrong_tiles(report: &RunReport, verdicts: &Verdicts, images: &Images) -> Vec<WrongTile> {
    let looked_at = |name: &str| {
        let examined = report.examined.as_ref().ok()?;
        let (_, image) = examined.looked_at.iter().find(|(own, _)| own == name)?;
        data_uri(&thumbnail(image)).ok()
    };
    let wrong = verdicts.wrong();
    let tile = |made: &&Verdict| WrongTile {
        name: escaped(&made.image).into_owned(),
        label: escaped(&verdicts.classes[made.label]).into_owned(),
        predicted: escaped(&verdicts.classes[made.predicted]).into_owned(),
        sure: made.confidence.map_or(String::new(), percent),
        image: images
            .of_name
            .get(&made.image)
            .map_or(String::new(), |&image| images.uris[image].clone()),
        looked_at: looked_at(&made.image).unwrap_or_default(),
    };
    wrong.iter().take(WRONG).map(tile).collect()
}

fn history(report: &RunReport) -> Option<HistoryView> {
    let history = &report.history;
    let courses = history.counts().into_iter();
    (!history.images.is_empty()).then(|| HistoryView {
        epochs: history.epochs.len(),
        courses: courses
            .map(|(course, count)| CourseCount {
                word: course.word(),
                count,
            })
            .collect(),
    })
}

fn doubts(report: &RunReport) -> String {
    match &report.examined {
        Err(_) => "Nobody has looked at the images; `signet data check CONFIG` does so.".to_owned(),
        Ok(examined) => match &examined.findings {
            None => {
                "Too many images to look at here; `signet data check CONFIG` does so.".to_owned()
            }
            Some(found) => {
                let images = report.split.as_ref().map_or(0, |split| {
                    split.train.len() + split.val.len() + split.test.len()
                });
                findings::findings(found, images)
            }
        },
    }
}

fn shown(setting: &Setting) -> Setting {
    let own = |text: &str| escaped(text).into_owned();
    Setting {
        key: own(&setting.key),
        value: own(&setting.value),
        instead_of: setting.instead_of.as_deref().map(own),
    }
}

fn lineage(report: &RunReport) -> Facts {
    let mut facts = Facts::new();
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

fn artefacts(report: &RunReport) -> Vec<Artefact> {
    let of = |(word, verdict): (&String, &Value)| {
        let format: Format = word.parse().ok()?;
        let found: Report = serde_json::from_value(verdict.clone()).ok()?;
        let file = report.path.join("export").join(format.file());
        let accuracy = found.accuracy.map_or(String::new(), |[_, own]| {
            format!("; accuracy {} %", percent(own))
        });
        Some(Artefact {
            verdict: format!(
                "Largest difference of logits from the model {:.1e}, of {:.1e} let through{accuracy}.",
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

/// What the script works with.
fn data(report: &RunReport, images: &Images) -> Value {
    let name = |name: &str| escaped(name).into_owned();
    let verdicts = report.verdicts.as_ref();
    let classes = verdicts.map_or(Vec::new(), |verdicts| {
        verdicts.classes.iter().map(|class| name(class)).collect()
    });
    let row = |made: &Verdict| {
        let image = images
            .of_name
            .get(&made.image)
            .map_or(-1, |&image| image as i64);
        let rounded = |share: f64| (share * 1e6).round() / 1e6;
        json!([
            name(&made.image),
            made.label,
            made.predicted,
            rounded(made.truth),
            made.confidence.map(rounded),
            image
        ])
    };
    let listed = verdicts.map_or(Vec::new(), |verdicts| {
        let right = verdicts
            .images
            .iter()
            .filter(|made| made.label == made.predicted);
        verdicts
            .wrong()
            .into_iter()
            .chain(right)
            .take(LISTED)
            .map(row)
            .collect()
    });
    let mut courses: Vec<_> = report
        .history
        .images
        .iter()
        .map(|image| (image.course(), image))
        .collect();
    courses.sort_by(|a, b| {
        a.0.cmp(&b.0)
            .then(a.1.probability.total_cmp(&b.1.probability))
    });
    let history = courses
        .into_iter()
        .take(LISTED)
        .map(|(course, image): (Course, _)| {
            let marks: String = image
                .right
                .iter()
                .map(|&right| if right { '1' } else { '0' })
                .collect();
            json!([name(&image.image), name(&image.label), marks, course.word()])
        });
    json!({
        "classes": classes,
        "verdicts": listed,
        "images": images.uris,
        "history": history.collect::<Vec<_>>(),
    })
}
