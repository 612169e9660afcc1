//! What was found in a data set, for people and as CSV.

use anyhow::Result;

use super::table::{Table, csv_text};
use crate::data::findings::{Finding, FindingKind, FoundImage};
use crate::messages::escaped;

/// Findings of a kind that are shown; JSON and CSV have all.
const SHOWN: usize = 10;

/// Images of a finding that are shown.
const SHOWN_IMAGES: usize = 4;

/// How many there are of each kind, and the first of them.
pub fn findings(found: &[Finding], images: usize) -> String {
    let across = found.iter().filter(|finding| finding.across_parts).count();
    if found.is_empty() {
        return format!("{images} images: nothing was found");
    }
    let mut counts = Table::new(1, &["found", "times", "across parts"]);
    let mut details = String::new();
    let mut kinds: Vec<FindingKind> = found.iter().map(|finding| finding.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let own: Vec<&Finding> = found
            .iter()
            .filter(|finding| finding.kind == kind)
            .collect();
        let of_two = own.iter().filter(|finding| finding.across_parts).count();
        counts.add_row([
            kind.title().to_owned(),
            own.len().to_string(),
            of_two.to_string(),
        ]);
        for finding in own.iter().take(SHOWN) {
            details += &format!("{}: {}\n", kind.title(), escaped(&line(finding)));
        }
        if own.len() > SHOWN {
            details += &format!(
                "{}: and {} more, in --json and --csv\n",
                kind.title(),
                own.len() - SHOWN
            );
        }
    }
    format!(
        "{counts}\n\n{details}\n{images} images: {} findings, {across} across parts",
        found.len()
    )
}

/// Images with their parts, and what is said of them.
fn line(finding: &Finding) -> String {
    let place = |image: &FoundImage| match image.part {
        Some(part) => format!("{} ({part})", image.name),
        None => image.name.clone(),
    };
    let shown = finding.images.iter().take(SHOWN_IMAGES).map(place);
    let mut words = shown.collect::<Vec<_>>().join(", ");
    if let Some(more) = finding
        .images
        .len()
        .checked_sub(SHOWN_IMAGES)
        .filter(|more| *more > 0)
    {
        words += &format!(" and {more} more");
    }
    match (&*words, &*finding.detail) {
        (_, "") => words,
        ("", detail) => detail.to_owned(),
        (words, detail) => format!("{words}: {detail}"),
    }
}

/// A row for each image of each finding, which are numbered.
///
/// # Errors
/// None that is known.
pub fn csv(found: &[Finding]) -> Result<String> {
    let header = [
        "finding",
        "kind",
        "across_parts",
        "image",
        "class",
        "part",
        "detail",
    ];
    let rows = found.iter().zip(1..).flat_map(|(finding, number)| {
        let row = move |image: Option<&FoundImage>| {
            let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
            vec![
                i32::to_string(&number),
                finding.kind.word().to_owned(),
                finding.across_parts.to_string(),
                text(image.map(|image| &*image.name)),
                text(image.and_then(|image| image.class.as_deref())),
                text(image.and_then(|image| Some(image.part?.word()))),
                finding.detail.clone(),
            ]
        };
        let alone = finding.images.is_empty().then(|| row(None));
        alone
            .into_iter()
            .chain(finding.images.iter().map(move |image| row(Some(image))))
    });
    csv_text(std::iter::once(header.map(str::to_owned).to_vec()).chain(rows))
}
