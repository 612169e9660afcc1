//! `signet resume --prove`.

use crate::support::save;
use crate::{checkpoints, demanding};
use signet::run::checkpoint::Checkpoint;

#[test]
fn a_proof_holds_for_a_valid_run_and_names_what_differs_in_another() {
    let workshop = demanding();
    workshop.run("r").set("checkpoint.keep_last", 1000).train();
    let proof = workshop.signet(&["resume", "r", "--prove"]).stdout;
    assert!(proof.starts_with("proved: steps 0 to "), "{proof}");
    // One number of the newest checkpoint, made another under a correct checksum.
    let newest = checkpoints(&workshop, "r").pop().unwrap();
    let mut checkpoint = Checkpoint::load(&newest).unwrap();
    let name = "features.0.bias";
    let tensor = checkpoint.tensors[name].copy() + 1e-7;
    checkpoint.tensors.insert(name.to_owned(), tensor);
    checkpoint.document.environment.threads = 7;
    save(&checkpoint, &newest);
    let refuted = workshop.call(&["resume", "r", "--prove"]);
    assert_eq!(refuted.code, 4, "{}", refuted.stdout);
    assert!(
        refuted
            .stdout
            .contains("the first in features.0.bias: number 0 was "),
        "{}",
        refuted.stdout
    );
    assert!(
        refuted
            .stdout
            .contains("the likely cause: threads 7 then, 1 now"),
        "{}",
        refuted.stdout
    );
}

#[test]
fn a_proof_holds_after_the_run_was_made_longer_or_watched_otherwise() {
    let workshop = demanding();
    for (how, also) in [
        ("stretch", "log.csv=false"),
        ("hold", "checkpoint.keep_best=3"),
        (
            "restart",
            "train.early_stopping={metric: train.loss, patience: 40}",
        ),
    ] {
        workshop.run(how).set("checkpoint.keep_last", 1000).train();
        workshop
            .run(how)
            .arguments(&["--epochs", "16", "--extend", how, "-s", also])
            .resume();
        let proof = workshop.signet(&["resume", how, "--prove"]).stdout;
        assert!(
            proof.starts_with("proved: steps 60 to 80"),
            "{how}: {proof}"
        );
        // Going back goes on under the settings of today.
        workshop.signet(&["resume", how, "--from", "best"]);
        let epochs = workshop
            .text(&format!("{how}/metrics.jsonl"))
            .lines()
            .count();
        assert_eq!(epochs, 16, "{how}");
    }
}
