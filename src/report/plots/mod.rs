//! Plots, drawn by `kuva`, which nothing else in signet knows of: as SVG and PNG for `plots/`, and as SVG within a page, whose
//! colours the page sets.
//!
//! Colours are those of Okabe and Ito (2008), which people with any colour vision tell apart; lines differ in dashes, too.

mod calibration;
mod confusion;
mod curves;
mod labels;
mod sheet;
mod studies;
mod thresholds;

use std::io::Cursor;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use base64::prelude::{BASE64_STANDARD, Engine};
use image::{ImageFormat, RgbImage, imageops};
use kuva::TickFormat;
use kuva::backend::raster::RasterBackend;
use kuva::backend::svg::SvgBackend;
use kuva::prelude::{Layout, LegendPosition, Plot as Mark, Theme};
use kuva::render::render::{Primitive, Scene, TextAnchor, render_multiple};
use serde::Serialize;

pub use calibration::reliability;
pub use confusion::confusion;
pub use curves::{CurveMarks, accuracy, learning_rate, loss, overlaid};
pub use labels::end_of;
pub use sheet::{Tile, sheet};
pub use studies::{accuracy_by_trial, accuracy_distribution, against_key, wrong_images};
pub use thresholds::{precision_recall, roc};

use self::labels::{label, round_step, short, tick, whole_step};
use crate::config::train::Metric;

/// Text.
const INK: &str = "#1f2328";
/// Axes, and what is said less loudly.
const MUTED: &str = "#6e7781";
/// Lines of the grid.
const GRID: &str = "#d8dee4";
/// Behind everything.
const PAPER: &str = "#ffffff";
/// What is drawn, in this order.
const SERIES: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d00",
];

/// The names by which a page gives these colours others.
const VARIABLES: [(&str, &str); 11] = [
    (INK, "ink"),
    (MUTED, "muted"),
    (GRID, "grid"),
    (PAPER, "paper"),
    (SERIES[0], "series-1"),
    (SERIES[1], "series-2"),
    (SERIES[2], "series-3"),
    (SERIES[3], "series-4"),
    (SERIES[4], "series-5"),
    (SERIES[5], "series-6"),
    (SERIES[6], "series-7"),
];

/// What plots are called; others are of a metric by a swept key.
const NAMES: [&str; 18] = [
    "accuracy",
    "accuracy-by-trial",
    "accuracy-distribution",
    "confusion",
    "filters",
    "findings",
    "learning-rate",
    "looked-at",
    "loss",
    "precision-recall",
    "reliability",
    "roc",
    "train-loss",
    "training-images",
    "val-accuracy",
    "val-loss",
    "wrong",
    "wrong-images",
];

/// Whether a plot may be called `name`.
pub fn is_plot(name: &str) -> bool {
    let metrics = Metric::ALL
        .iter()
        .map(|metric| metric.word().replace('.', "-"));
    let mut swept = metrics.map(|metric| format!("{metric}-by-"));
    NAMES.contains(&name) || swept.any(|start| name.starts_with(&start))
}

/// Width and height of a plot in pixels.
const SIZE: (f64, f64) = (640.0, 380.0);

/// Pixels of a PNG for each pixel of the SVG.
const PNG_SCALE: f32 = 2.0;

/// A plot.
pub struct Plot {
    /// What its files are called, without their ending.
    pub name: String,
    /// What it shows, in a few words.
    pub title: String,
    /// What it says, for those who cannot see it.
    pub about: String,
    /// What its curves say at each place, for who asks.
    pub readings: Option<Readings>,
    scene: Scene,
    images: Vec<Placed>,
}

/// An image in a plot.
struct Placed {
    /// Left, top, width, height, in pixels of the SVG.
    place: [f64; 4],
    image: RgbImage,
}

/// The numbers behind curves, and where they are drawn.
#[derive(Debug, Clone, Serialize)]
pub struct Readings {
    /// What runs along the axis.
    pub axis: String,
    /// Values along the axis.
    pub x: Vec<f64>,
    /// A curve each.
    pub series: Vec<CurveReading>,
    /// The axis from its first to its last value.
    pub x_range: [f64; 2],
    /// Left, top, right and bottom of the place where they are drawn, in pixels of the SVG.
    pub area: [f64; 4],
}

/// The numbers of a curve.
#[derive(Debug, Clone, Serialize)]
pub struct CurveReading {
    /// Its name in the legend.
    pub name: String,
    /// One for each place of the axis; none where there is nothing to say.
    pub y: Vec<Option<f64>>,
}

impl Plot {
    /// As a file of its own.
    ///
    /// # Errors
    /// None that is known.
    pub fn svg(&self) -> Result<String> {
        self.with_images(SvgBackend::new().render_scene(&self.scene))
    }

    /// Within a page, which says how wide it is and sets the variables `--ink`, `--series-1` and so on.
    ///
    /// # Errors
    /// None that is known.
    pub fn inline(&self) -> Result<String> {
        let mut svg = self.svg()?;
        let Scene { width, height, .. } = self.scene;
        let end = svg.find('>').context("an SVG begins with a tag")?;
        let root = format!(
            "<svg viewBox=\"0 0 {width} {height}\" aria-hidden=\"true\" font-family=\"inherit\" fill=\"var(--ink)\""
        );
        svg.replace_range(..end, &root);
        for (color, name) in VARIABLES {
            // A name that holds a colour has its quotes escaped.
            svg = svg.replace(&format!("=\"{color}\""), &format!("=\"var(--{name})\""));
        }
        Ok(svg)
    }

    /// As a PNG file.
    ///
    /// # Errors
    /// None that is known.
    pub fn png(&self) -> Result<Vec<u8>> {
        let png = RasterBackend::new()
            .with_scale(PNG_SCALE)
            .render_scene(&self.scene);
        let png = png.map_err(|error| anyhow!("{}: {error}", self.name))?;
        if self.images.is_empty() {
            return Ok(png);
        }
        let mut canvas = image::load_from_memory(&png)?.to_rgb8();
        for Placed { place, image } in &self.images {
            let [left, top, width, height] =
                place.map(|length| (length * f64::from(PNG_SCALE)).round());
            let resized = imageops::resize(image, width as u32, height as u32, imageops::Nearest);
            imageops::overlay(&mut canvas, &resized, left as i64, top as i64);
        }
        png_of(&canvas)
    }

    fn with_images(&self, mut svg: String) -> Result<String> {
        let end = svg.rfind("</svg>").context("an SVG ends with a tag")?;
        let mut images = String::new();
        for Placed { place, image } in &self.images {
            let [left, top, width, height] = place;
            images += &format!(
                "<image x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
                 style=\"image-rendering:pixelated\" href=\"{}\"/>",
                data_uri(image)?
            );
        }
        svg.insert_str(end, &images);
        Ok(svg)
    }
}

/// `image` as a PNG file.
///
/// # Errors
/// None that is known.
pub fn png_of(image: &RgbImage) -> Result<Vec<u8>> {
    let mut png = Cursor::new(Vec::new());
    let grey = image
        .pixels()
        .all(|pixel| pixel.0[0] == pixel.0[1] && pixel.0[1] == pixel.0[2]);
    if grey {
        imageops::grayscale(image).write_to(&mut png, ImageFormat::Png)?;
    } else {
        image.write_to(&mut png, ImageFormat::Png)?;
    }
    Ok(png.into_inner())
}

/// `image` with a longer `side` of so many pixels at the most.
pub fn thumbnail(image: &RgbImage, side: u32) -> RgbImage {
    let longer = image.width().max(image.height());
    if longer <= side {
        return image.clone();
    }
    let scaled =
        |length: u32| (u64::from(length) * u64::from(side) / u64::from(longer)).max(1) as u32;
    let (width, height) = (scaled(image.width()), scaled(image.height()));
    imageops::resize(image, width, height, imageops::Triangle)
}

/// `image` within a page.
///
/// # Errors
/// None that is known.
pub fn data_uri(image: &RgbImage) -> Result<String> {
    Ok(format!(
        "data:image/png;base64,{}",
        BASE64_STANDARD.encode(png_of(image)?)
    ))
}

/// What a plot of `marks` against labelled axes is, its legend to the right.
struct Axes {
    title: String,
    x: String,
    y: String,
}

impl Axes {
    /// The usual layout of `marks`.
    fn layout(&self, marks: &[Mark]) -> Layout {
        Layout::auto_from_plots(marks)
            .with_title(label(&self.title, 80))
            .with_x_label(label(&self.x, 80))
            .with_y_label(label(&self.y, 60))
            .with_width(SIZE.0)
            .with_height(SIZE.1)
            .with_legend_position(LegendPosition::OutsideRightTop)
            .with_legend_box(false)
            .with_y_tick_format(TickFormat::Custom(Arc::new(tick)))
            .with_theme(theme())
            .with_interactive() // has where the axes lie worked out
    }

    /// The plot of `marks` in `layout`.
    fn plot(
        self,
        name: &str,
        about: String,
        marks: Vec<Mark>,
        layout: Layout,
        readings: Option<Curves>,
    ) -> Plot {
        let mut scene = render_multiple(marks, layout);
        let axes = scene.axis_meta.take();
        scene.interactive = false;
        scene.scripts.clear();
        let readings = axes.zip(readings).map(|(axes, curves)| Readings {
            axis: self.x,
            x: curves.x,
            series: curves.series,
            x_range: [axes.x_min, axes.x_max],
            area: [
                axes.plot_left,
                axes.plot_top,
                axes.plot_right,
                axes.plot_bottom,
            ],
        });
        Plot {
            name: name.to_owned(),
            title: self.title,
            about,
            readings,
            scene,
            images: Vec::new(),
        }
    }
}

/// What curves say, before anybody knows where they are drawn.
struct Curves {
    x: Vec<f64>,
    series: Vec<CurveReading>,
}

fn theme() -> Theme {
    Theme {
        background: PAPER.to_owned(),
        axis_color: MUTED.to_owned(),
        grid_color: GRID.to_owned(),
        tick_color: MUTED.to_owned(),
        text_color: INK.to_owned(),
        legend_bg: "none".to_owned(),
        legend_border: "none".to_owned(),
        font_family: Some("DejaVu Sans, Verdana, sans-serif".to_owned()),
        ..Theme::light()
    }
}

/// An empty scene of a size in pixels.
fn blank(width: f64, height: f64) -> Scene {
    let mut scene = Scene::new(width, height);
    scene.background_color = Some(PAPER.to_owned());
    scene.text_color = Some(INK.to_owned());
    scene.font_family = theme().font_family;
    scene
}

/// A line of text in a scene, `place` is its foot.
fn text(
    scene: &mut Scene,
    place: (f64, f64),
    content: String,
    size: u32,
    anchor: TextAnchor,
    color: &str,
) {
    scene.elements.push(Primitive::Text {
        x: place.0,
        y: place.1,
        content,
        size,
        anchor,
        rotate: None,
        bold: false,
        color: Some(color.into()),
    });
}
