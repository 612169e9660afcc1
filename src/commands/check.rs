//! `signet data check`.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use serde::Serialize;

use super::load;
use crate::cli::{FilesArguments, Overrides};
use crate::config::data::OnBadImage;
use crate::data::Dataset;
use crate::data::findings::{self, Finding, FindingKind, Places};
use crate::data::split::Split;
use crate::fault::{Blame, Fault};
use crate::report;
use crate::study::label_issues;

/// What is written as JSON.
#[derive(Serialize)]
struct CheckReport {
    images: usize,
    across_parts: usize,
    findings: Vec<Finding>,
}

pub(super) fn run(
    config: &Path,
    overrides: &Overrides,
    study: Option<&Path>,
    strict: bool,
    files: &FilesArguments,
) -> Result<()> {
    let mut experiment = load(config, overrides)?;
    // What cannot be read is a finding; whether it ends a run is another question.
    if experiment.data.source.has_files() {
        experiment.data.on_bad_image = OnBadImage::Skip;
    }
    let data = Dataset::load(&experiment.data)?;
    let split = Split::deal(&data.index, &experiment.data.split, experiment.seed);
    let mut found = findings::find(&data, split.as_ref().ok())?;
    if let Some(study) = study {
        let places = Places::new(&data.index, split.as_ref().ok());
        let issues = label_issues::of_study(study, &data.index)
            .context("--cv")
            .blame(Fault::Run)?;
        found.extend(issues.iter().map(|issue| {
            let detail = format!(
                "taken for {}, with a probability of {:.3} of its label",
                data.index.classes[issue.taken_for], issue.probability
            );
            places.finding(FindingKind::DoubtfulLabel, &[issue.image], detail)
        }));
    }
    if let Err(error) = &split {
        found.insert(
            0,
            Finding {
                kind: FindingKind::NoSplit,
                across_parts: false,
                images: Vec::new(),
                detail: format!("{error:#}"),
            },
        );
    }
    let document = CheckReport {
        images: data.index.len(),
        across_parts: found.iter().filter(|finding| finding.across_parts).count(),
        findings: found,
    };
    let found = &document.findings;
    let shown = report::findings::findings(found, document.images);
    super::tell(files, &shown, &document, || report::findings::csv(found))?;
    if let (true, Err(error)) = (strict, split) {
        return Err(error.context("parts cannot be compared")).blame(Fault::Data);
    }
    if strict && document.across_parts > 0 {
        return Err(anyhow!(
            "{} finding(s) across parts, which make metrics look better than they are; take the images out of one part, or name \
             what belongs together in data.group",
            document.across_parts
        ))
        .blame(Fault::Data);
    }
    Ok(())
}
