//! Promises about the real images. They need SIGNET_DATA, the folder that holds Dataset/, and, for the
//! Kaggle layout, `kaggle-layout` beside it; without the variable they are listed as ignored.

mod support;

use std::path::{Path, PathBuf};

use signet::config::Experiment;
use signet::config::document::Document;
use signet::data::Dataset;
use signet::data::split::Split;
use support::Workshop;

fn root() -> PathBuf {
    std::env::var("SIGNET_DATA")
        .expect("these tests run when SIGNET_DATA is set")
        .into()
}

fn kaggle(file: &str) -> PathBuf {
    root()
        .parent()
        .expect("SIGNET_DATA names a folder in a folder")
        .join("kaggle-layout")
        .join(file)
}

fn load(data: &str) -> (Experiment, Dataset) {
    let text = format!("version: 1\nmodel: {{kind: ann}}\ndata: {data}");
    let document = Document::parse("test".into(), text, &[]).unwrap();
    let experiment = Experiment::from_document(&document, Path::new("test.yaml"), &[]).unwrap();
    let data = Dataset::load(&experiment.data).unwrap();
    (experiment, data)
}

fn folders(more: &str) -> (Experiment, Dataset) {
    load(&format!(
        "{{source: {{kind: class_folders, root: {:?}}}, {more}}}",
        root().join("Dataset")
    ))
}

#[test]
#[ignore = "needs SIGNET_DATA"]
fn the_kaggle_order_is_the_row_order_of_the_kaggle_file() {
    let (_, data) = folders("order: kaggle");
    let listed = std::fs::read_to_string(kaggle("row_order.txt")).unwrap();
    let listed: Vec<&str> = listed
        .lines()
        .map(|line| line.split_whitespace().last().unwrap())
        .collect();
    assert_eq!(data.index.len(), 2062);
    assert_eq!(listed.len(), 2062);
    for (row, (name, listed)) in data.index.names.iter().zip(listed).enumerate() {
        assert!(
            listed.ends_with(name.as_str()),
            "row {row}: {name} against {listed}"
        );
    }
}

#[test]
#[ignore = "needs SIGNET_DATA"]
fn stretched_images_are_those_of_the_kaggle_file_within_the_decoders_difference() {
    let (_, jpegs) =
        folders("order: kaggle, image: {preprocess: stretch}, classes: ['0', '1'], per_class: 205");
    let rows = "rows: {'0': [204, 409], '1': [822, 1027]}";
    let (_, array) = load(&format!(
        "{{source: {{kind: npy, images: {:?}, {rows}}}}}",
        kaggle("X.npy")
    ));
    assert_eq!(jpegs.index.labels, array.index.labels);
    let numbers = |data: &Dataset| -> Vec<f32> {
        let images = (0..data.index.len()).map(|index| data.pixels.image(index).unwrap());
        images.flatten().collect()
    };
    let differences: Vec<f32> = numbers(&jpegs)
        .iter()
        .zip(numbers(&array))
        .map(|(a, b)| 255.0 * (a - b).abs())
        .collect();
    let mean = differences.iter().sum::<f32>() / differences.len() as f32;
    let most = differences.iter().copied().fold(0.0, f32::max);
    // The array was decoded by another JPEG library, which differs by a few grey levels.
    assert!(
        mean < 1.0 && most < 10.0,
        "mean {mean}, largest {most} of 255"
    );
}

#[test]
#[ignore = "needs SIGNET_DATA"]
fn labels_from_the_one_hot_file_need_the_label_map_and_then_agree_with_the_row_ranges() {
    let source = format!("kind: npy, images: {:?}", kaggle("X.npy"));
    let (_, rows) = load(&format!(
        "{{source: {{{source}, rows: {{'0': [204, 409], '1': [822, 1028]}}}}}}"
    ));
    let map = "label_map: {'0': 1, '1': 4}";
    let (_, labels) = load(&format!(
        "{{source: {{{source}, labels: {:?}, {map}}}}}",
        kaggle("Y.npy")
    ));
    assert_eq!(rows.index.names, labels.index.names);
    assert_eq!(rows.index.fingerprint(), labels.index.fingerprint());
}

#[test]
#[ignore = "needs SIGNET_DATA"]
fn the_label_file_of_kaggle_names_the_map_that_makes_its_classes_the_digits() {
    let source = format!(
        "kind: npy, images: {:?}, labels: {:?}",
        kaggle("X.npy"),
        kaggle("Y.npy")
    );
    let (_, unmapped) = load(&format!("{{source: {{{source}}}}}"));
    let [note] = &unmapped.notes[..] else {
        panic!("{:?}", unmapped.notes);
    };
    let map = &note[note.find("label_map").unwrap()..=note.find('}').unwrap()];
    let (_, mapped) = load(&format!("{{source: {{{source}, {map}}}}}"));
    assert_eq!(mapped.notes, [""; 0]);
    // The row order of the file lists every image with the folder it lay in, which is its digit.
    let listed = std::fs::read_to_string(kaggle("row_order.txt")).unwrap();
    let folders: Vec<&str> = listed
        .lines()
        .map(|line| line.split('/').next().unwrap())
        .collect();
    assert_eq!((mapped.index.len(), folders.len()), (2062, 2062));
    for (name, &label) in mapped.index.names.iter().zip(&mapped.index.labels) {
        let row: usize = name.strip_prefix("row ").unwrap().parse().unwrap();
        assert_eq!(folders[row], mapped.index.classes[label as usize], "{name}");
    }
}

#[test]
#[ignore = "needs SIGNET_DATA"]
fn the_tutorials_split_is_dealt_again() {
    let (experiment, data) =
        folders("order: kaggle, classes: ['0', '1'], per_class: 205, split: {kind: sklearn}");
    let split = Split::new(&data.index, &experiment.data.split, 42).unwrap();
    let published = std::fs::read_to_string(kaggle("split42.json")).unwrap();
    let published: serde_json::Value = serde_json::from_str(&published).unwrap();
    let ones = split
        .test
        .iter()
        .filter(|&&index| data.index.labels[index] == 1)
        .count();
    assert_eq!((split.train.len(), split.test.len(), ones), (348, 62, 29));
    for (part, key) in [(&split.test, "test"), (&split.train, "train")] {
        let listed: Vec<usize> = published[key]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row.as_u64().unwrap() as usize)
            .collect();
        assert_eq!(*part, listed, "{key}");
    }
}

#[test]
#[ignore = "needs SIGNET_DATA"]
fn an_image_turned_by_exif_is_read_upright() {
    // IMG_5874 is 3024x3024 with orientation 6. Upright, the sleeve is at the bottom and the middle of the
    // top edge is background, as in every other image; unturned, the sleeve comes from the side.
    let (_, data) = folders("classes: ['7', '8']");
    let index = data
        .index
        .names
        .iter()
        .position(|name| name.contains("IMG_5874"))
        .unwrap();
    let image = data.pixels.image(index).unwrap();
    let row = |y: usize| image[y * 64..(y + 1) * 64].iter().sum::<f32>() / 64.0;
    let column = |x: usize| (0..64).map(|y| image[y * 64 + x]).sum::<f32>() / 64.0;
    assert!(
        row(63) < row(0) - 0.05,
        "bottom {} against top {}",
        row(63),
        row(0)
    );
    assert!((column(0) - column(63)).abs() < (row(0) - row(63)).abs());
}

#[test]
#[ignore = "needs SIGNET_DATA"]
fn the_tutorials_logistic_regression_comes_out_as_published_on_both_sources() {
    // Costs at iterations 0, 10, ... 140, in double precision on the Kaggle rows:
    // x = numpy.load("X.npy"); x = numpy.concatenate([x[204:409], x[822:1027]]).reshape(410, -1).astype(float)
    // y = numpy.repeat([0.0, 1.0], 205); rows = json.load(open("split42.json"))["train"]; x, y = x[rows], y[rows]
    // w, b, costs = numpy.full(4096, 0.01), 0.0, []
    // for i in range(150):
    //     z = x @ w + b; p = 1 / (1 + numpy.exp(-z)); costs.append(numpy.mean(numpy.logaddexp(0, z) - y * z))
    //     w -= 0.01 * x.T @ (p - y) / len(y); b -= 0.01 * numpy.mean(p - y)
    let costs = [
        14.0142, 2.5447, 2.5779, 2.3980, 2.1850, 1.9683, 1.7542, 1.5350, 1.2975, 1.0318, 0.7369,
        0.4412, 0.2522, 0.2052, 0.1962,
    ];
    let workshop = Workshop::new();
    let images = format!("data.source.images={}", kaggle("X.npy").display());
    // The array's pixels are those of the reference. The JPEGs are decoded by another library, which differs by a
    // few grey levels, and the slope where costs fall fastest makes 0.007 of that.
    let sources: [(&str, &[&str], f64); 2] = [
        ("logistic-npy", &["-s", &images], 1e-4),
        ("logistic", &[], 0.02),
    ];
    for (name, source, tolerance) in sources {
        let file = format!(
            "{}/configs/tutorial/{name}.yaml",
            env!("CARGO_MANIFEST_DIR")
        );
        workshop.signet(
            &[
                &["train", &file, "--run", name, "--progress", "none"],
                source,
            ]
            .concat(),
        );
        let log = workshop.text(&format!("{name}/metrics.jsonl"));
        let met: Vec<f64> = log
            .lines()
            .map(|line| {
                let record: serde_json::Value = serde_json::from_str(line).unwrap();
                record["train"]["loss"].as_f64().unwrap()
            })
            .collect();
        assert_eq!(met.len(), 150);
        for (iteration, (found, expected)) in met.iter().step_by(10).zip(costs).enumerate() {
            assert!(
                (found - expected).abs() < tolerance,
                "{name}, iteration {}: {found} against {expected}",
                10 * iteration
            );
        }
        // Published: 92.816 % of 348 and 93.548 % of 62.
        for (part, right, all) in [("train", 323, 348), ("test", 58, 62)] {
            let answer = workshop.signet(&["eval", name, "--part", part]);
            let words = format!("{part} part: {right} of {all} right");
            assert!(
                answer.stdout.starts_with(&words),
                "{name}: {}",
                answer.stdout
            );
        }
    }
}

#[test]
#[ignore = "needs SIGNET_DATA"]
fn a_jpeg_damaged_in_its_middle_is_named() {
    let workshop = Workshop::new();
    let mut listed: Vec<PathBuf> = std::fs::read_dir(root().join("Dataset/0"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    listed.sort();
    for (index, file) in listed.iter().take(8).enumerate() {
        let mut bytes = std::fs::read(file).unwrap();
        let class = index % 2;
        if index == 3 {
            let (half, end) = (bytes.len() / 2, bytes.len() - 2);
            bytes[half..end].fill(0);
        }
        workshop.write(&format!("images/{class}/{index}.jpg"), bytes);
    }
    workshop.write(
        "own.yaml",
        "version: 1\ndata: {source: {kind: class_folders, root: images}}\nmodel: {kind: ann}\n",
    );
    workshop
        .call(&["data", "info", "own.yaml"])
        .assert_failed(3, "images/1/3.jpg is truncated or damaged: ");
}
