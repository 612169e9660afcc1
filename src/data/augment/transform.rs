//! What happens to one image, drawn from its stream of chance.

use super::tones::Tone;
use crate::config::data::Augment;
use crate::rng::Stream;

/// What happens to one image.
pub(super) struct Transform {
    /// Pixels to the right and down.
    pub shift: [f64; 2],
    pub degrees: f64,
    pub scale: f64,
    /// How far a pixel goes to the right for each one it lies below the middle, and down for each to the right.
    pub shear: [f64; 2],
    pub mirrored: bool,
    pub upside_down: bool,
    /// Middle (-1..1) and size (share) of the part that is taken, across and down.
    pub crop: [(f64, f64); 2],
    /// Standard deviation.
    pub blur_px: f64,
    pub brightness: f64,
    pub contrast: f64,
    pub saturation: f64,
    pub hue_degrees: f64,
    /// After that.
    pub tone: Option<Tone>,
    pub noise: f64,
    /// Left, top, width and height, as shares of the image.
    pub erased: Option<[f64; 4]>,
}

impl Transform {
    pub fn none() -> Transform {
        Transform {
            shift: [0.0; 2],
            degrees: 0.0,
            scale: 1.0,
            shear: [0.0; 2],
            mirrored: false,
            upside_down: false,
            crop: [(0.0, 1.0); 2],
            blur_px: 0.0,
            brightness: 1.0,
            contrast: 1.0,
            saturation: 1.0,
            hue_degrees: 0.0,
            tone: None,
            noise: 0.0,
            erased: None,
        }
    }

    /// Adds what `kind` does to an image of this height and width.
    pub fn draw(&mut self, kind: &Augment, [height, width]: [f64; 2], stream: &mut Stream) {
        let around_one = |stream: &mut Stream, most: f64| stream.uniform(1.0 - most, 1.0 + most);
        match *kind {
            Augment::Shift { max_px } => {
                self.shift = self
                    .shift
                    .map(|known| known + stream.uniform(-max_px, max_px))
            }
            Augment::Rotate { max_degrees } => {
                self.degrees += stream.uniform(-max_degrees, max_degrees)
            }
            Augment::Scale { max } => self.scale *= around_one(stream, max),
            Augment::FlipHorizontal { p } => self.mirrored = stream.chance(p),
            Augment::FlipVertical { p } => self.upside_down = stream.chance(p),
            Augment::RandomResizedCrop {
                min_area,
                max_ratio,
            } => {
                let area = stream.uniform(min_area, 1.0);
                // Wide and high are as likely; a part of a square is as likely to be as wide as another is high.
                let wider = stream.uniform(-max_ratio.ln(), max_ratio.ln()).exp();
                let sides = [area.sqrt() * wider, area.sqrt() / wider];
                self.crop = sides.map(|side| {
                    let side = side.min(1.0);
                    (stream.uniform(side - 1.0, 1.0 - side), side)
                });
            }
            Augment::Blur { max_sigma_px } => self.blur_px = stream.uniform(0.0, max_sigma_px),
            Augment::ColorJitter {
                brightness,
                contrast,
                saturation,
                hue,
            } => {
                self.brightness *= around_one(stream, brightness);
                self.contrast *= around_one(stream, contrast);
                self.saturation *= around_one(stream, saturation);
                self.hue_degrees = stream.uniform(-hue, hue);
            }
            Augment::TrivialAugment {} => self.draw_trivial([height, width], stream),
            Augment::Brightness { max } => self.brightness *= around_one(stream, max),
            Augment::Contrast { max } => self.contrast *= around_one(stream, max),
            Augment::Noise { std } => self.noise = std,
            Augment::Erase { p, max_area } => {
                let wanted = stream.chance(p);
                let area = stream.uniform(0.0, max_area);
                // Sides from 1:2 to 2:1.
                let ratio = stream.uniform(0.5, 2.0).sqrt();
                let (width, height) = (
                    (area.sqrt() * ratio).min(1.0),
                    (area.sqrt() / ratio).min(1.0),
                );
                let [left, top] = [1.0 - width, 1.0 - height].map(|room| stream.uniform(0.0, room));
                self.erased = wanted.then_some([left, top, width, height]);
            }
            // Of the images of a batch together; see `mix`.
            Augment::Mixup { .. } | Augment::Cutmix { .. } => {}
        }
    }

    /// One of 14 changes, at one of 31 strengths, either way: TrivialAugment with its wide space (Mueller and Hutter, 2021,
    /// table 6 of the appendix, as torchvision's `TrivialAugmentWide` has it).
    fn draw_trivial(&mut self, [height, width]: [f64; 2], stream: &mut Stream) {
        const STRENGTHS: usize = 31;
        const FARTHEST_PX: f64 = 32.0;
        let change = stream.below(14);
        let step = stream.below(STRENGTHS);
        let strength = step as f64 / (STRENGTHS - 1) as f64;
        let signed = if stream.chance(0.5) {
            strength
        } else {
            -strength
        };
        let factor = 1.0 + 0.99 * signed;
        // No farther than to the middle, since images may be smaller than those of the paper.
        let farthest = |side: f64| FARTHEST_PX.min(side / 2.0);
        match change {
            0 => {}
            1 => self.shear[0] += 0.99 * signed,
            2 => self.shear[1] += 0.99 * signed,
            3 => self.shift[0] += farthest(width) * signed,
            4 => self.shift[1] += farthest(height) * signed,
            5 => self.degrees += 135.0 * signed,
            6 => self.brightness *= factor,
            7 => self.saturation *= factor,
            8 => self.contrast *= factor,
            9 => self.tone = Some(Tone::Sharpness(factor)),
            10 => self.tone = Some(Tone::Posterize(8 - (6.0 * strength).round() as u32)),
            11 => self.tone = Some(Tone::Solarize(1.0 - strength)),
            12 => self.tone = Some(Tone::AutoContrast),
            _ => self.tone = Some(Tone::Equalize),
        }
    }

    pub fn moves(&self) -> bool {
        let turned =
            self.degrees != 0.0 || self.mirrored || self.upside_down || self.shear != [0.0; 2];
        turned || self.shift != [0.0; 2] || self.scale != 1.0 || self.crop != [(0.0, 1.0); 2]
    }

    pub fn recolours(&self) -> bool {
        self.saturation != 1.0 || self.hue_degrees != 0.0
    }

    /// What red, green and blue become: a row for each, of the shares of red, green and blue. The hue is turned, and then
    /// the saturation multiplied (W3C, Filter Effects Module Level 1, `feColorMatrix`, hueRotate and saturate).
    pub fn colours(&self) -> [[f64; 3]; 3] {
        const LUMA: [f64; 3] = [0.213, 0.715, 0.072];
        const ACROSS: [[f64; 3]; 3] = [
            [-0.213, -0.715, 0.928],
            [0.143, 0.140, -0.283],
            [-0.787, 0.715, 0.072],
        ];
        let (sin, cos) = self.hue_degrees.to_radians().sin_cos();
        let turned = |to: usize, from: usize| {
            let own = f64::from(u8::from(to == from));
            LUMA[from] + cos * (own - LUMA[from]) + sin * ACROSS[to][from]
        };
        let luma = |from: usize| (0..3).map(|to| LUMA[to] * turned(to, from)).sum::<f64>();
        [0, 1, 2].map(|to| {
            [0, 1, 2].map(|from| {
                self.saturation * turned(to, from) + (1.0 - self.saturation) * luma(from)
            })
        })
    }

    /// Where each target pixel comes from, in the coordinates of `affine_grid` (-1..1 along both axes):
    /// the inverse of "crop, mirror, shear, scale, turn, shift". Turning happens in pixels, so that it stays a turn
    /// in images that are not square.
    pub fn map(&self, height: f64, width: f64) -> [f64; 6] {
        if !self.moves() {
            return [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        }
        let (sin, cos) = self.degrees.to_radians().sin_cos();
        // In pixels from the middle: back from turning and scaling, and then from shearing.
        let [a, b, c, d] = [cos, sin, -sin, cos].map(|number| number / self.scale);
        let [across, along] = self.shear;
        let (a, b, c, d) = (a - across * c, b - across * d, c - along * a, d - along * b);
        let [mirror, flip] =
            [self.mirrored, self.upside_down].map(|truth| if truth { -1.0 } else { 1.0 });
        let (a, b) = (mirror * a, mirror * b * height / width);
        let (c, d) = (flip * c * width / height, flip * d);
        let (right, down) = (2.0 * self.shift[0] / width, 2.0 * self.shift[1] / height);
        let [(x, wide), (y, high)] = self.crop;
        [
            wide * a,
            wide * b,
            x - wide * (a * right + b * down),
            high * c,
            high * d,
            y - high * (c * right + d * down),
        ]
    }

    /// 0 where the image is painted over, else 1; `[H, W]`.
    pub fn mask(&self, height: usize, width: usize) -> Vec<f32> {
        let [left, top, wide, high] = self.erased.unwrap_or_default();
        let inside = |index: usize, length: usize, start: f64, share: f64| {
            let middle = (index as f64 + 0.5) / length as f64;
            (start..start + share).contains(&middle)
        };
        let pixel =
            |row, column| !(inside(row, height, top, high) && inside(column, width, left, wide));
        (0..height * width)
            .map(|at| f32::from(pixel(at / width, at % width)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hue_and_saturation_are_those_of_the_filter_effects_of_the_web() {
        let mut change = Transform::none();
        change.hue_degrees = 90.0;
        // hueRotate of 90 degrees and saturate of 0.5, written out from the matrices of the specification.
        let turned = [
            [0.0, 0.0, 1.0],
            [0.356, 0.855, -0.211],
            [-0.574, 1.43, 0.144],
        ];
        let paler = [
            [0.6065, 0.3575, 0.036],
            [0.1065, 0.8575, 0.036],
            [0.1065, 0.3575, 0.536],
        ];
        let close = |found: [[f64; 3]; 3], expected: [[f64; 3]; 3]| {
            let pairs = found
                .into_iter()
                .flatten()
                .zip(expected.into_iter().flatten());
            pairs
                .into_iter()
                .all(|(found, expected)| (found - expected).abs() < 1e-12)
        };
        assert!(close(change.colours(), turned), "{:?}", change.colours());
        change = Transform::none();
        change.saturation = 0.5;
        assert!(close(change.colours(), paler), "{:?}", change.colours());
    }
}
