//! Hand signs for the digits 0 to 9, drawn instead of photographed, so that everything can be tried
//! where the real data set is absent. In go a digit, an image's number and a seed; out comes an image.
//!
//! A hand is a skeleton of joints in space, fleshed out with tapering bars and seen by a camera far
//! away. Only `+ - * /`, `sqrt` and rounding enter, never `sin` or `exp`, so that the same seed gives
//! the same bytes on every machine.

use crate::rng::{Purpose, Stream};
use image::{Rgb, RgbImage};

/// The digits that can be drawn.
pub const DIGITS: std::ops::RangeInclusive<u8> = 0..=9;

/// Draws image number `index` of `digit`: 8-bit RGB, `side` x `side` pixels, a function of
/// (seed, digit, index) alone.
///
/// # Panics
/// If `digit` is not one of [`DIGITS`].
pub fn draw(digit: u8, index: u64, seed: u64, side: u32) -> RgbImage {
    let chance = &mut Stream::new(seed, Purpose::Drawing, &[u64::from(digit), index]);
    let scene = Scene::new(digit, chance);
    let step = 1.0 / f64::from(side);
    let mut pixels = Vec::new();
    for row in 0..side {
        for column in 0..side {
            // Four samples a pixel keep the outlines smooth.
            let mut pixel = [0.0; 3];
            for (right, down) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                let x = (f64::from(column) + right) * step - 0.5;
                let y = 0.5 - (f64::from(row) + down) * step;
                pixel = along(pixel, scene.colour(x, y), 0.25);
            }
            pixels.push(pixel);
        }
    }
    for _ in 0..chance.below(4) {
        pixels = blur(&pixels, side as usize);
    }
    let noise = chance.uniform(0.01, 0.07);
    let mut image = RgbImage::new(side, side);
    for (target, pixel) in image.pixels_mut().zip(pixels) {
        // Three uniform numbers make a good enough bell, without a logarithm.
        let grain = noise * (chance.unit() + chance.unit() + chance.unit() - 1.5);
        let noisy = pixel.map(|channel| (channel + grain).clamp(0.0, 1.0));
        *target = Rgb(noisy.map(|channel| (channel * 255.0).round() as u8));
    }
    image
}

/// Every pixel becomes half itself, half its four neighbours; at an edge, itself stands in for them.
fn blur(pixels: &[Triple], side: usize) -> Vec<Triple> {
    let blurred = |at: usize| {
        let (row, column) = (at / side, at % side);
        let above = if row > 0 { at - side } else { at };
        let below = if row + 1 < side { at + side } else { at };
        let before = if column > 0 { at - 1 } else { at };
        let after = if column + 1 < side { at + 1 } else { at };
        let around = [above, below, before, after];
        let half = pixels[at].map(|channel| channel * 0.5);
        around
            .iter()
            .fold(half, |sum, &near| along(sum, pixels[near], 0.125))
    };
    (0..pixels.len()).map(blurred).collect()
}

/// A place or a direction: x to the right, y up, z towards the viewer. Or a colour: red, green and
/// blue, each from 0 to 1.
type Triple = [f64; 3];

fn mix(a: Triple, b: Triple, share: f64) -> Triple {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * share)
}

fn along(start: Triple, direction: Triple, length: f64) -> Triple {
    std::array::from_fn(|i| start[i] + direction[i] * length)
}

fn dot(a: Triple, b: Triple) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Cosine and sine of an angle, by doubling a small one five times: exactly a rotation, and by the
/// given angle to within one percent.
fn turn(degrees: f64) -> (f64, f64) {
    let small = (degrees / 32.0).to_radians();
    let length = (1.0 + small * small).sqrt();
    let (mut cos, mut sin) = (1.0 / length, small / length);
    for _ in 0..5 {
        (cos, sin) = (cos * cos - sin * sin, 2.0 * cos * sin);
    }
    (cos, sin)
}

/// How one of the four fingers is held.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Finger {
    Straight,
    /// Bent until the thumb reaches its tip.
    Bent,
    /// Forms one side of the ring that means zero.
    Arched,
    /// Part of the fist.
    Folded,
}

/// Where the tip of the thumb is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Thumb {
    Out,
    /// Laid across the open palm.
    Across,
    /// On top of the folded fingers.
    OverFist,
    /// At the tip of this finger, counted from the index finger.
    Meeting(usize),
}

/// The sign of a digit: the fingers from index to little, and the thumb.
fn sign(digit: u8) -> ([Finger; 4], Thumb) {
    use Finger::{Arched, Bent, Folded, Straight};
    match digit {
        0 => ([Arched, Arched, Arched, Arched], Thumb::Meeting(0)),
        1 => ([Straight, Folded, Folded, Folded], Thumb::OverFist),
        2 => ([Straight, Straight, Folded, Folded], Thumb::OverFist),
        3 => ([Straight, Straight, Folded, Folded], Thumb::Out),
        4 => ([Straight, Straight, Straight, Straight], Thumb::Across),
        5 => ([Straight, Straight, Straight, Straight], Thumb::Out),
        6 => ([Straight, Straight, Straight, Bent], Thumb::Meeting(3)),
        7 => ([Straight, Straight, Bent, Straight], Thumb::Meeting(2)),
        8 => ([Straight, Bent, Straight, Straight], Thumb::Meeting(1)),
        9 => ([Bent, Straight, Straight, Straight], Thumb::Meeting(0)),
        _ => panic!("there is no hand sign for {digit}"),
    }
}

/// A ball of flesh or cloth around a point of the skeleton.
#[derive(Clone, Copy)]
struct Joint {
    at: Triple,
    radius: f64,
    colour: Triple,
}

/// Two joints and everything between them.
struct Bar(Joint, Joint);

/// The bars of hand, forearm and sleeve, palm towards the viewer, thumb to the right, wrist at the
/// origin. The palm is about one unit long.
fn hand(digit: u8, chance: &mut Stream) -> Vec<Bar> {
    let (fingers, thumb) = sign(digit);
    let skin = mix([0.42, 0.28, 0.21], [0.97, 0.80, 0.67], chance.unit());
    let rosy = [skin[0], skin[1] * 0.86, skin[2] * 0.84];
    let girth = chance.uniform(0.9, 1.12);
    let joint = |at, radius: f64, colour| Joint {
        at,
        radius: radius * girth,
        colour,
    };

    let (wrist, elbow) = ([0.0, 0.0, 0.0], [0.0, -4.0, 0.0]);
    let mut bars = vec![Bar(joint(wrist, 0.24, skin), joint(elbow, 0.55, skin))];
    if chance.chance(0.4) {
        let cloth = std::array::from_fn(|_| chance.uniform(0.05, 0.8));
        let cuff = [0.0, -chance.uniform(0.4, 0.9), 0.0];
        bars.push(Bar(joint(cuff, 0.38, cloth), joint(elbow, 0.8, cloth)));
    }

    let fan = chance.uniform(5.0, 13.0);
    let mut tips = [[0.0; 3]; 4];
    for (number, pose) in fingers.into_iter().enumerate() {
        let [right, up] = [[0.33, 0.96], [0.11, 1.03], [-0.11, 1.0], [-0.32, 0.89]][number];
        let length = [0.90, 1.0, 0.92, 0.72][number] * chance.uniform(0.94, 1.06);
        let radius = [0.125, 0.13, 0.122, 0.105][number];
        // Degrees at each knuckle towards the palm, and away from the next finger.
        let (bends, spread) = match pose {
            Finger::Straight => ([4.0, 6.0, 4.0], fan * (1.5 - number as f64)),
            Finger::Bent => ([58.0, 72.0, 35.0], 0.0),
            Finger::Arched => ([38.0, 62.0, 32.0], 0.0),
            Finger::Folded => ([82.0, 100.0, 60.0], 0.0),
        };
        let (upwards, sideways) = turn(spread + chance.uniform(-4.0, 4.0));

        let mut end = joint([right, up, 0.0], radius * 1.15, skin);
        bars.push(Bar(joint([right * 0.55, 0.1, 0.0], 0.19, skin), end));
        let mut bend = 0.0;
        for bone in 0..3 {
            bend += bends[bone] + chance.uniform(-7.0, 7.0);
            let (flat, out) = turn(bend);
            let direction = [sideways * flat, upwards * flat, out];
            let at = along(end.at, direction, length * [0.46, 0.30, 0.24][bone]);
            let radius = radius * [0.95, 0.87, 0.74][bone];
            let next = joint(at, radius, [skin, skin, rosy][bone]);
            bars.push(Bar(end, next));
            end = next;
        }
        tips[number] = end.at;
    }

    let [root, ball, knuckle, tip] = thumb.bones(tips, chance);
    let (ball, knuckle) = (joint(ball, 0.155, skin), joint(knuckle, 0.125, skin));
    bars.push(Bar(joint(root, 0.2, skin), ball));
    bars.push(Bar(ball, knuckle));
    bars.push(Bar(knuckle, joint(tip, 0.1, rosy)));
    bars
}

impl Thumb {
    /// The ends of the thumb's three bones, from the wrist to the tip.
    fn bones(self, tips: [Triple; 4], chance: &mut Stream) -> [Triple; 4] {
        let root = [0.2, 0.18, 0.06];
        let tip = match self {
            Thumb::Out => [chance.uniform(0.8, 1.05), chance.uniform(0.65, 0.95), 0.1],
            Thumb::Across => [chance.uniform(-0.2, 0.05), chance.uniform(0.6, 0.8), 0.3],
            Thumb::OverFist => [chance.uniform(-0.1, 0.15), chance.uniform(0.65, 0.85), 0.5],
            Thumb::Meeting(finger) => along(tips[finger], [0.3, -0.6, 0.0], 0.16),
        };
        // Bones do not shrink: the nearer the tip is to the root, the further the thumb bulges out.
        let stretch = along(tip, root, -1.0);
        let bulge = (1.1 - dot(stretch, stretch)).max(0.0).sqrt() * 0.3;
        let ball = along(mix(root, tip, 0.42), [0.85, -0.2, 0.3], bulge);
        let knuckle = along(mix(root, tip, 0.74), [0.6, 0.1, 0.2], bulge);
        [root, ball, knuckle, tip]
    }
}

/// What a line of sight meets.
#[derive(Clone, Copy)]
struct Surface {
    height: f64,
    normal: Triple,
    colour: Triple,
}

impl Surface {
    /// The higher of two surfaces, with a soft `seam` where they are about as high.
    fn merge(self, other: Surface, seam: f64) -> Surface {
        let share = (0.5 + (other.height - self.height) / (2.0 * seam)).clamp(0.0, 1.0);
        let height = self.height + (other.height - self.height) * share;
        Surface {
            height: height + seam * share * (1.0 - share),
            normal: mix(self.normal, other.normal, share),
            colour: mix(self.colour, other.colour, share),
        }
    }
}

/// Everything before the camera. The image reaches from -0.5 to 0.5 in both directions.
struct Scene {
    bars: Vec<Bar>,
    scale: f64,
    /// Towards the lamp.
    light: Triple,
    ambient: f64,
    wall: Triple,
    /// How much brighter the wall gets per image, to the right and upwards.
    slope: [f64; 2],
    vignette: f64,
    shadow: f64,
}

impl Scene {
    fn new(digit: u8, chance: &mut Stream) -> Scene {
        let mut bars = hand(digit, chance);
        // The ring of a zero shows only from the side of the thumb.
        let (least, most) = if digit == 0 {
            (-95.0, -60.0)
        } else {
            (-25.0, 25.0)
        };
        let yaw = turn(chance.uniform(least, most));
        let pitch = turn(chance.uniform(-15.0, 15.0));
        let roll = turn(chance.uniform(-20.0, 20.0));
        let mirror = if chance.chance(0.5) { -1.0 } else { 1.0 };
        let scale = chance.uniform(0.29, 0.38);
        let middle = [
            chance.uniform(-0.06, 0.06),
            chance.uniform(-0.06, 0.06),
            0.0,
        ];
        let rotate = |(cos, sin), a: f64, b: f64| (a * cos - b * sin, a * sin + b * cos);
        for joint in bars.iter_mut().flat_map(|Bar(from, to)| [from, to]) {
            let [x, y, z] = along(joint.at, [0.0, 0.85, 0.0], -1.0);
            let (z, x) = rotate(yaw, z, x);
            let (y, z) = rotate(pitch, y, z);
            let (x, y) = rotate(roll, x, y);
            joint.at = along(middle, [x * mirror, y, z], scale);
            joint.radius *= scale;
        }
        let lamp = [chance.uniform(-0.8, 0.8), chance.uniform(-0.2, 0.9), 1.0];
        let tone = chance.uniform(0.55, 0.95);
        Scene {
            bars,
            scale,
            light: lamp.map(|part| part / dot(lamp, lamp).sqrt()),
            ambient: chance.uniform(0.3, 0.6),
            wall: std::array::from_fn(|_| tone + chance.uniform(-0.03, 0.03)),
            slope: [chance.uniform(-0.3, 0.3), chance.uniform(-0.3, 0.3)],
            vignette: chance.uniform(0.0, 0.8),
            shadow: chance.uniform(0.0, 0.5),
        }
    }

    /// The colour seen at a point of the image.
    fn colour(&self, x: f64, y: f64) -> Triple {
        let lit = match self.surface(x, y) {
            Some(surface) => {
                let lamp = dot(surface.normal, self.light).max(0.0);
                let brightness = self.ambient + (1.0 - self.ambient) * lamp;
                surface
                    .colour
                    .map(|channel| channel * brightness * (0.65 + 0.35 * surface.normal[2]))
            }
            None => {
                // The wall is half a palm behind the hand.
                let offset = 0.5 * self.scale / self.light[2];
                let shade = self.shade(x + offset * self.light[0], y + offset * self.light[1]);
                let slope = 1.0 + self.slope[0] * x + self.slope[1] * y;
                self.wall
                    .map(|channel| channel * slope * (1.0 - self.shadow * shade))
            }
        };
        lit.map(|channel| channel * (1.0 - self.vignette * (x * x + y * y)))
    }

    /// The nearest surface behind a point of the image, if a bar is there.
    fn surface(&self, x: f64, y: f64) -> Option<Surface> {
        let mut nearest: Option<Surface> = None;
        for bar in self.bars.iter().filter(|bar| bar.is_near(x, y, 0.0)) {
            let (share, right, up, radius) = bar.section(x, y);
            let depth = radius * radius - right * right - up * up;
            if depth <= 0.0 {
                continue;
            }
            let rise = depth.sqrt();
            let Bar(from, to) = bar;
            let surface = Surface {
                height: from.at[2] + (to.at[2] - from.at[2]) * share + rise,
                normal: [right / radius, up / radius, rise / radius],
                colour: mix(from.colour, to.colour, share),
            };
            let seam = 0.05 * self.scale;
            nearest = Some(nearest.map_or(surface, |other| other.merge(surface, seam)));
        }
        nearest
    }

    /// How much of the lamp's light the hand takes from a point of the image, from 0 to 1.
    fn shade(&self, x: f64, y: f64) -> f64 {
        const BLUR: f64 = 0.04;
        let near = self.bars.iter().filter(|bar| bar.is_near(x, y, BLUR));
        let shades = near.map(|bar| {
            let (_, right, up, radius) = bar.section(x, y);
            let gap = (right * right + up * up).sqrt() - radius;
            (0.5 - gap / (2.0 * BLUR)).clamp(0.0, 1.0)
        });
        shades.fold(0.0, f64::max)
    }
}

impl Bar {
    /// Whether a point of the image is in the box around the bar, or at most `margin` outside: a
    /// quick test that spares most of the work.
    fn is_near(&self, x: f64, y: f64, margin: f64) -> bool {
        let Bar(from, to) = self;
        let reach = from.radius.max(to.radius) + margin;
        let within = |at: f64, a: f64, b: f64| a.min(b) - reach < at && at < a.max(b) + reach;
        within(y, from.at[1], to.at[1]) && within(x, from.at[0], to.at[0])
    }

    /// Where a point of the image is nearest to the bar's axis: the share of the way to the far end,
    /// how far the point is to the right and above, and the bar's radius there.
    fn section(&self, x: f64, y: f64) -> (f64, f64, f64, f64) {
        let Bar(from, to) = self;
        let (run, climb) = (to.at[0] - from.at[0], to.at[1] - from.at[1]);
        let (right, up) = (x - from.at[0], y - from.at[1]);
        // A bar that points at the viewer has no length in the image.
        let length = (run * run + climb * climb).max(1e-9);
        let share = ((right * run + up * climb) / length).clamp(0.0, 1.0);
        let radius = from.radius + (to.radius - from.radius) * share;
        (share, right - run * share, up - climb * share, radius)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
        let channels = a.iter().zip(b.iter());
        let sum: u64 = channels.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / a.len() as f64
    }

    #[test]
    fn the_same_seed_draws_the_same_image_on_every_machine() {
        let digest = Sha256::digest(draw(0, 3, 42, 100).as_raw());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let pinned = "d3bea97d9da7b42c1f62a79fa8a8601928d496ec43debc3d59da84db97ed6e2d";
        assert_eq!(hex, pinned);
    }

    #[test]
    fn another_index_or_seed_or_digit_draws_another_image() {
        let reference = draw(1, 0, 42, 64);
        for other in [draw(1, 1, 42, 64), draw(1, 0, 43, 64), draw(2, 0, 42, 64)] {
            assert!(difference(&reference, &other) > 5.0);
        }
    }

    #[test]
    fn every_digit_has_the_asked_size_and_a_plausible_brightness() {
        for (digit, index) in DIGITS.flat_map(|digit| (0..10).map(move |index| (digit, index))) {
            let image = draw(digit, index, 7, 50);
            assert_eq!(image.dimensions(), (50, 50));
            let brightness = difference(&image, &RgbImage::new(50, 50));
            let plausible = (70.0..230.0).contains(&brightness);
            assert!(plausible, "image {index} of {digit}: {brightness} of 255");
        }
    }

    #[test]
    fn no_two_digits_share_a_sign() {
        let signs: Vec<_> = DIGITS.map(sign).collect();
        for (digit, sign) in signs.iter().enumerate() {
            let earlier = &signs[..digit];
            assert!(!earlier.contains(sign), "{digit} repeats {sign:?}");
        }
    }

    #[test]
    fn a_turn_is_a_rotation_by_about_its_angle() {
        for degrees in [-95.0, -20.0, 0.0, 60.0, 180.0, 240.0_f64] {
            let (cos, sin) = turn(degrees);
            let (true_sin, true_cos) = degrees.to_radians().sin_cos();
            assert!((cos * cos + sin * sin - 1.0).abs() < 1e-12);
            assert!((cos - true_cos).abs() < 0.03 && (sin - true_sin).abs() < 0.03);
        }
    }
}
