//! Which class was taken for which.

use kuva::render::render::{Primitive, TextAnchor};

use super::{INK, MUTED, PAPER, Plot, blank, label, text};

/// With more classes, cells have no numbers and only every so many classes have a name.
const NUMBERED: usize = 20;

/// Counts `[is][taken for]` of `classes`, and each as the share of its row.
pub fn confusion(part: &str, classes: &[String], counts: &[Vec<usize>]) -> Plot {
    let count = classes.len();
    let cell = (560.0 / count as f64).clamp(2.0, 84.0);
    let longest = classes
        .iter()
        .map(|class| label(class, 16).chars().count())
        .max()
        .unwrap_or(1);
    let names = 14.0 + 7.2 * longest as f64;
    let (left, top) = (40.0 + names, 64.0);
    let side = cell * count as f64;
    let (width, height) = ((left + side + 24.0).max(360.0), top + side + 34.0 + names);
    let mut scene = blank(width, height);
    let title = format!("Confusion matrix, {part} part");
    let middle = left + side / 2.0;
    text(
        &mut scene,
        (width / 2.0, 26.0),
        title.clone(),
        16,
        TextAnchor::Middle,
        INK,
    );
    text(
        &mut scene,
        (middle, height - 10.0),
        "taken for".to_owned(),
        13,
        TextAnchor::Middle,
        INK,
    );
    scene.elements.push(Primitive::Text {
        x: 22.0,
        y: top + side / 2.0,
        content: "is".to_owned(),
        size: 13,
        anchor: TextAnchor::Middle,
        rotate: Some(-90.0),
        bold: false,
        color: Some(INK.into()),
    });
    scene.elements.push(Primitive::Rect {
        x: left,
        y: top,
        width: side,
        height: side,
        fill: (&shade(0.0)).into(),
        stroke: None,
        stroke_width: None,
        opacity: None,
    });
    for (is, row) in counts.iter().enumerate() {
        let all: usize = row.iter().sum();
        for (taken, &number) in row.iter().enumerate() {
            let (x, y) = (left + taken as f64 * cell, top + is as f64 * cell);
            if number == 0 {
                continue;
            }
            let rate = number as f64 / all as f64;
            scene.elements.push(Primitive::Rect {
                x,
                y,
                width: cell,
                height: cell,
                fill: (&shade(rate)).into(),
                stroke: (count <= NUMBERED).then(|| PAPER.into()),
                stroke_width: Some(1.0),
                opacity: None,
            });
            if count > NUMBERED {
                continue;
            }
            let center = (x + cell / 2.0, y + cell / 2.0);
            let size = (cell / 3.4).clamp(7.0, 17.0);
            let lift = if cell >= 44.0 { 0.0 } else { size * 0.36 };
            text(
                &mut scene,
                (center.0, center.1 + lift),
                number.to_string(),
                size as u32,
                TextAnchor::Middle,
                INK,
            );
            if cell >= 44.0 {
                let rate = format!("{:.1} %", 100.0 * rate);
                text(
                    &mut scene,
                    (center.0, center.1 + 15.0),
                    rate,
                    10,
                    TextAnchor::Middle,
                    INK,
                );
            }
        }
    }
    let every = count.div_ceil(40).max(if cell < 12.0 {
        (12.0 / cell).ceil() as usize
    } else {
        1
    });
    for (number, class) in classes.iter().enumerate().step_by(every) {
        let at = (number as f64 + 0.5) * cell + 4.0;
        text(
            &mut scene,
            (left - 8.0, top + at),
            label(class, 16),
            12,
            TextAnchor::End,
            INK,
        );
        let level = longest <= 3 && every == 1;
        scene.elements.push(Primitive::Text {
            x: left + at - if level { 4.0 } else { 0.0 },
            y: top + side + if level { 18.0 } else { 8.0 },
            content: label(class, 16),
            size: 12,
            anchor: if level {
                TextAnchor::Middle
            } else {
                TextAnchor::End
            },
            rotate: (!level).then_some(-90.0),
            bold: false,
            color: Some(if every > 1 { MUTED } else { INK }.into()),
        });
    }
    let all: usize = counts.iter().flatten().sum();
    let right: usize = counts
        .iter()
        .enumerate()
        .map(|(class, row)| row[class])
        .sum();
    Plot {
        name: "confusion".to_owned(),
        about: format!("{title}: {right} of {all} images are on the diagonal, which is right."),
        title,
        readings: None,
        scene,
        images: Vec::new(),
    }
}

/// Almost white to a blue that dark text can be read on.
fn shade(rate: f64) -> String {
    let mix = |from: f64, to: f64| (from + (to - from) * rate).round() as u8;
    format!(
        "#{:02x}{:02x}{:02x}",
        mix(242.0, 86.0),
        mix(246.0, 160.0),
        mix(250.0, 220.0)
    )
}
