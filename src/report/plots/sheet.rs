//! Images side by side, each with a line or two under it.

use image::RgbImage;
use kuva::render::render::{Primitive, TextAnchor};

use super::{GRID, INK, MUTED, PAPER, Placed, Plot, blank, label, text};

/// An image and what is said of it.
#[derive(Clone)]
pub struct Tile {
    /// The image.
    pub image: RgbImage,
    /// Lines under it.
    pub caption: Vec<String>,
}

/// Tiles in a row.
const COLUMNS: usize = 6;

/// The longer side of an image, in pixels of the SVG.
const SIDE: f64 = 116.0;

const GAP: f64 = 18.0;
const LINE: f64 = 14.0;

/// `tiles` under a `title`; none where there is none.
pub fn sheet(name: &str, title: &str, about: String, tiles: Vec<Tile>) -> Option<Plot> {
    let lines = tiles.iter().map(|tile| tile.caption.len()).max()?;
    let columns = COLUMNS.min(tiles.len()).max(3);
    let rows = tiles.len().div_ceil(COLUMNS);
    let row_height = SIDE + LINE * lines as f64 + GAP;
    let width = GAP + columns as f64 * (SIDE + GAP);
    let mut scene = blank(width, 44.0 + rows as f64 * row_height);
    text(
        &mut scene,
        (width / 2.0, 26.0),
        label(title, 80),
        16,
        TextAnchor::Middle,
        INK,
    );
    let mut images = Vec::new();
    for (number, Tile { image, caption }) in tiles.into_iter().enumerate() {
        let left = GAP + (number % COLUMNS) as f64 * (SIDE + GAP);
        let top = 44.0 + (number / COLUMNS) as f64 * row_height;
        let longer = image.width().max(image.height()).max(1);
        let scale = SIDE / f64::from(longer);
        let [width, height] =
            [image.width(), image.height()].map(|side| (f64::from(side) * scale).max(1.0));
        let place = [
            left + (SIDE - width) / 2.0,
            top + (SIDE - height) / 2.0,
            width,
            height,
        ];
        scene.elements.push(Primitive::Rect {
            x: place[0] - 0.5,
            y: place[1] - 0.5,
            width: place[2] + 1.0,
            height: place[3] + 1.0,
            fill: PAPER.into(),
            stroke: Some(GRID.into()),
            stroke_width: Some(1.0),
            opacity: None,
        });
        images.push(Placed { place, image });
        for (number, line) in caption.iter().enumerate() {
            let foot = (left + SIDE / 2.0, top + SIDE + LINE * (number + 1) as f64);
            let color = if number == 0 { INK } else { MUTED };
            text(
                &mut scene,
                foot,
                label(line, 17),
                11,
                TextAnchor::Middle,
                color,
            );
        }
    }
    Some(Plot {
        name: name.to_owned(),
        title: title.to_owned(),
        about,
        readings: None,
        scene,
        images,
    })
}
