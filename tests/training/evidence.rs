//! What a run writes down and says of itself, and that both agree.

use super::*;

#[test]
fn samples_tell_what_each_epoch_made_of_each_image_and_go_on_after_a_resume() {
    let workshop = Workshop::with_folders(40);
    for (samples, parts) in [
        ("all", &["val", "train"][..]),
        ("val", &["val"]),
        ("none", &[]),
    ] {
        workshop.write(
            "e.yaml",
            format!("{SMALL}log: {{samples: {samples}}}\ncheckpoint: {{every: 1 epoch}}\n"),
        );
        let run = format!("runs/{samples}");
        workshop.signet(&["train", "e.yaml", "--run", &run, "-q"]);
        if parts.is_empty() {
            assert!(!workshop.path(&format!("{run}/samples.jsonl")).exists());
            continue;
        }
        let text = workshop.text(&format!("{run}/samples.jsonl"));
        let lines: Vec<SampleRecord> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let split = workshop.json(&format!("{run}/split.json"));
        let epochs = logs::read(&workshop.path(&run)).unwrap();
        let expected = epochs.iter().flat_map(|record| {
            let of_part = |part: &&str| {
                let names = split[part].as_array().unwrap().clone();
                names.into_iter().map(|name| (record.epoch, name))
            };
            parts.iter().flat_map(of_part).collect::<Vec<_>>()
        });
        let found = lines
            .iter()
            .map(|line| (line.epoch, line.image.clone().into()));
        assert!(found.eq(expected), "{samples}: other images or epochs");
        for record in &epochs {
            let of_val =
                |line: &&SampleRecord| line.epoch == record.epoch && line.part == Part::Val;
            let val: Vec<&SampleRecord> = lines.iter().filter(of_val).collect();
            let right = val
                .iter()
                .filter(|line| line.label == line.predicted)
                .count();
            let loss = val.iter().map(|line| line.loss).sum::<f64>() / val.len() as f64;
            let Metrics {
                loss: known,
                accuracy,
                ..
            } = record.val.unwrap();
            assert_eq!(right as f64 / val.len() as f64, accuracy);
            // The loss of metrics.jsonl is a mean in float32.
            assert!(
                (loss - known).abs() < 1e-6 * known.max(1.0),
                "{loss} {known}"
            );
        }

        let again = format!("runs/{samples}-again");
        workshop.signet(&["train", "e.yaml", "--run", &again, "--until", "2", "-q"]);
        let first = format!("step-{:08}.safetensors", epochs[0].step);
        workshop.signet(&["resume", &again, "--from", &first, "-q"]);
        assert_eq!(workshop.text(&format!("{again}/samples.jsonl")), text);
    }
}

#[test]
fn showing_figures_or_not_does_not_change_them() {
    let workshop = Workshop::small(20);
    for style in ["none", "plain", "json", "bar"] {
        workshop
            .run(style)
            .arguments(&["--progress", style])
            .train();
        assert_eq!(
            workshop.text(&format!("{style}/metrics.jsonl")),
            workshop.text("none/metrics.jsonl"),
            "{style}"
        );
    }
}

#[test]
fn a_run_directory_holds_the_evidence_and_agrees_with_itself() {
    let workshop = Workshop::small(20);
    let answer = workshop.signet(&[
        "train",
        "own.yaml",
        "--progress",
        "json",
        "-s",
        "log.tensorboard=true",
    ]);
    let shown: Vec<serde_json::Value> = answer
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let kept: Vec<serde_json::Value> = workshop
        .text("runs/small/metrics.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((shown.len(), kept.len()), (3, 3));
    for (shown, kept) in shown.iter().zip(&kept) {
        assert_eq!(
            (&shown["epoch"], &shown["train"], &shown["val"]),
            (&kept["epoch"], &kept["train"], &kept["val"])
        );
    }
    assert_eq!(workshop.text("runs/small/config.yaml"), SMALL);
    assert_eq!(workshop.text("runs/small/metrics.csv").lines().count(), 4);
    let timing = workshop.text("runs/small/timing.jsonl");
    assert_eq!(timing.lines().count(), 3);
    for line in timing.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let [whole, steps, evaluation] =
            ["seconds", "steps", "evaluation"].map(|key| line[key].as_f64().unwrap());
        assert!(steps > 0.0 && evaluation > 0.0);
        assert!((whole - steps - evaluation).abs() < 1e-6, "{line}");
    }
    assert!(
        workshop
            .text("runs/small/train.log")
            .starts_with("epoch 1/3  train loss ")
    );
    let environment: serde_json::Value =
        serde_json::from_str(&workshop.text("runs/small/environment.json")).unwrap();
    assert_eq!(
        (&environment["threads"], &environment["libtorch"]),
        (&1.into(), &"2.11.0".into())
    );

    // The best epoch's weights give the best epoch's metrics again.
    workshop.signet(&["eval", "runs/small", "--part", "val", "--json", "val.json"]);
    let val: serde_json::Value = serde_json::from_str(&workshop.text("val.json")).unwrap();
    let best: serde_json::Value =
        serde_json::from_str(&workshop.text("runs/small/best.json")).unwrap();
    assert!(kept.contains(&best["record"]), "{best}");
    let best = &best["record"]["val"];
    assert_eq!(val["accuracy"], best["accuracy"]);
    // Summed in another order and precision.
    assert!((val["loss"].as_f64().unwrap() - best["loss"].as_f64().unwrap()).abs() < 1e-6);
    // One line per image of the test part, whose probabilities sum to one.
    let csv = workshop
        .signet(&[
            "eval",
            "runs/small/checkpoints/step-00000009.safetensors",
            "--csv",
            "-",
        ])
        .stdout;
    assert_eq!(csv.lines().next(), Some("image,label,predicted,p_0,p_1"));
    assert_eq!(csv.lines().count(), 1 + 8);
    for line in csv.lines().skip(1) {
        let sum: f64 = line
            .split(',')
            .skip(3)
            .map(|number| number.parse::<f64>().unwrap())
            .sum();
        assert!((sum - 1.0).abs() < 1e-12, "{line}");
    }
    // A second run of the same name gets a number.
    workshop.signet(&["train", "own.yaml", "-s", "train.epochs=1"]);
    assert!(workshop.path("runs/small-2/last.json").is_file());
}

#[test]
fn evaluation_refuses_images_that_have_changed_since() {
    let workshop = Workshop::small(20);
    workshop.run("r").set("train.epochs", 1).train();
    std::fs::copy(
        workshop.path("data/1/0001.png"),
        workshop.path("data/0/0001.png"),
    )
    .unwrap();
    workshop.call(&["eval", "r"]).assert_failed(
        3,
        "the images have changed since this run was trained: 0/0001.png has changed; bring",
    );
}

#[test]
fn a_dry_run_shows_layers_steps_and_memory_and_leaves_nothing() {
    let workshop = Workshop::small(20);
    let before = workshop.names();
    let shown = workshop.signet(&["train", "own.yaml", "--dry-run"]).stdout;
    // Conv 4*(1*3*3)+4 = 40, its norm 8; linear 4*8*8*8+8 = 2056, its norm 16; last 8*2+2 = 18.
    assert!(shown.contains("parameters  2138\n"), "{shown}");
    assert!(
        shown.contains("steps       3 an epoch, 9 in 3 epochs\n"),
        "{shown}"
    );
    assert_eq!(workshop.names(), before);
}

#[test]
fn a_precision_is_recorded_and_one_for_cuda_is_f32_on_the_cpu_and_said_to_be() {
    let workshop = Workshop::small(20);
    let train = |precision: &str, run: &str| {
        let set = format!("train.precision={precision}");
        workshop.call_under(
            // libtorch's own switch for TF32 in products of matrices.
            &[("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "1")],
            &[
                "train",
                "own.yaml",
                "--run",
                run,
                "-s",
                &set,
                "-s",
                "device=cpu",
            ],
        )
    };
    let says = "train.precision: tf32 is for CUDA";
    for (precision, recorded, remarks) in [
        ("f32", "float32", 0),
        ("tf32", "float32", 1),
        ("bf16", "bfloat16 by autocast, else float32", 0),
    ] {
        let answer = train(precision, precision);
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        assert_eq!(
            answer.stderr.matches(says).count(),
            remarks,
            "{}",
            answer.stderr
        );
        let environment = workshop.json(&format!("{precision}/environment.json"));
        assert_eq!(environment["arithmetic"], recorded);
        let shown = workshop.call(&["runs", "show", precision]).stdout;
        assert!(
            shown.contains(&format!("computed in  {recorded}\n")),
            "{shown}"
        );
    }
    let metrics = |run: &str| workshop.text(&format!("{run}/metrics.jsonl"));
    assert_eq!(metrics("f32"), metrics("tf32"));
    assert_ne!(metrics("f32"), metrics("bf16"));
}

#[test]
fn cuda_graphs_change_nothing_on_the_cpu_and_are_said_to() {
    let workshop = Workshop::small(20);
    let says = "train.cuda_graphs: true has no effect: the device is the CPU";
    for graphs in ["false", "true"] {
        let set = format!("train.cuda_graphs={graphs}");
        let answer = workshop.call(&["train", "own.yaml", "--run", graphs, "-s", &set]);
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        assert_eq!(
            answer.stderr.contains(says),
            graphs == "true",
            "{}",
            answer.stderr
        );
        let environment = workshop.json(&format!("{graphs}/environment.json"));
        assert_eq!(environment["cuda_graphs"], false);
    }
    let metrics = |run: &str| workshop.text(&format!("{run}/metrics.jsonl"));
    assert_eq!(metrics("false"), metrics("true"));
}

#[test]
fn divergence_exits_with_6_and_names_the_step() {
    let workshop = Workshop::small(20);
    let optimizer = "train.optimizer={kind: sgd, lr: 1.0e+30}";
    let answer = workshop.call(&[
        "train",
        "own.yaml",
        "-s",
        optimizer,
        "-s",
        "model.batch_norm=false",
        "--progress",
        "none",
    ]);
    assert_eq!(answer.code, 6, "{}", answer.stderr);
    assert!(
        answer
            .stderr
            .starts_with("signet: training diverged: the loss or a gradient of step 2 (epoch 1)"),
        "{}",
        answer.stderr
    );
}
