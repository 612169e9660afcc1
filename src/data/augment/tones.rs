//! Changes of the levels of one image by what its levels are, as Pillow's `ImageOps` and `ImageEnhance.Sharpness` have them.

use tch::{Kind, Tensor};

/// A change of levels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Tone {
    /// The image times this, and its smoothed self times the rest.
    Sharpness(f64),
    /// So many bits of each level stay.
    Posterize(u32),
    /// Levels from this share on are inverted.
    Solarize(f64),
    /// The darkest level of each channel becomes 0, and the brightest 1.
    AutoContrast,
    /// Levels of each channel are spread so that each is about as frequent.
    Equalize,
}

/// The largest level of a byte.
const TOP: f64 = 255.0;

impl Tone {
    /// What it makes of `x`, `[1, C, H, W]` in 0..1.
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Tone::Sharpness(factor) => x * factor + smoothed(x) * (1.0 - factor),
            Tone::Posterize(bits) => {
                let step = f64::from(1 << (8 - bits));
                ((bytes(x) / step).floor() * step) / TOP
            }
            Tone::Solarize(threshold) => {
                let inverted: Tensor = 1.0 - x;
                inverted.where_self(&x.ge(threshold), x)
            }
            Tone::AutoContrast => {
                let (low, high) = (x.amin([2i64, 3], true), x.amax([2i64, 3], true));
                let range = &high - &low;
                let stretched = (x - low) / range.clamp_min(1e-6);
                stretched.where_self(&range.gt(0.0), x)
            }
            Tone::Equalize => {
                let channels = x.split(1, 1).into_iter();
                Tensor::cat(
                    &channels
                        .map(|channel| equalized(&channel))
                        .collect::<Vec<_>>(),
                    1,
                )
            }
        }
    }
}

/// The levels as bytes have them, still floats.
fn bytes(x: &Tensor) -> Tensor {
    (x.clamp(0.0, 1.0) * TOP).round()
}

/// Each pixel as five thirteenths of itself and one of each neighbour (`ImageFilter.SMOOTH`); those at the edge stay.
fn smoothed(x: &Tensor) -> Tensor {
    let (_, channels, height, width) = x.size4().expect("an image has four dimensions");
    if height < 3 || width < 3 {
        return x.shallow_clone();
    }
    let kernel = Tensor::from_slice(&[1f32, 1.0, 1.0, 1.0, 5.0, 1.0, 1.0, 1.0, 1.0]) / 13.0;
    let kernel = kernel
        .to_device(x.device())
        .view([1, 1, 3, 3])
        .expand([channels, 1, 3, 3], false);
    let inner = x.conv2d::<Tensor>(
        &kernel.contiguous(),
        None,
        [1i64, 1],
        [0i64, 0],
        [1i64, 1],
        channels,
    );
    let result = x.copy();
    result
        .narrow(2, 1, height - 2)
        .narrow(3, 1, width - 2)
        .copy_(&inner);
    result
}

/// A channel whose levels are equalized: each becomes the number of pixels below it, in steps of a 255th of those that are not of
/// the brightest level.
fn equalized(x: &Tensor) -> Tensor {
    let levels = bytes(x).to_kind(Kind::Int64);
    let counts = levels.flatten(0, -1).bincount::<Tensor>(None, 256);
    let brightest = counts.index_select(0, &levels.max().view([1]));
    let step = (counts.sum(Kind::Int64) - brightest).divide_scalar_mode(255, "floor");
    let below = counts.cumsum(0, Kind::Int64) - &counts;
    let half = step.divide_scalar_mode(2, "floor");
    let table = (below + half)
        .divide_tensor_mode(&step.clamp_min(1), "floor")
        .clamp_max(255);
    let spread = table
        .index_select(0, &levels.flatten(0, -1))
        .view_as(&levels);
    // Too few pixels, or one level, for a step.
    let spread = spread.where_self(&step.gt(0), &levels);
    spread.to_kind(Kind::Float) / TOP
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x = (numpy.arange(600) * 7919 % 251).astype("u1").reshape(20, 30) // 2 + 40
    fn image() -> Tensor {
        let levels: Vec<f32> = (0..600)
            .map(|at| (at * 7919 % 251 / 2 + 40) as f32)
            .collect();
        Tensor::from_slice(&levels).view([1, 1, 20, 30]) / TOP
    }

    #[test]
    fn changes_of_levels_are_those_of_pillow() {
        // image = Image.fromarray(x)
        // for y in [ImageEnhance.Sharpness(image).enhance(1.7), ImageEnhance.Sharpness(image).enhance(0.2),
        //           ImageOps.posterize(image, 3), ImageOps.solarize(image, 128), ImageOps.autocontrast(image),
        //           ImageOps.equalize(image)]:
        //     y = numpy.array(y).astype(int); print(y[7, 3:9].tolist(), y[0, :3].tolist(), y.sum())
        let cases: [(Tone, [i32; 6], [i32; 3], i32); 6] = [
            (
                Tone::Sharpness(1.7),
                [39, 135, 52, 148, 64, 160],
                [40, 109, 52],
                61096,
            ),
            (
                Tone::Sharpness(0.2),
                [68, 106, 81, 119, 93, 131],
                [40, 109, 52],
                61240,
            ),
            (
                Tone::Posterize(3),
                [32, 96, 64, 128, 64, 128],
                [32, 96, 32],
                51904,
            ),
            (
                Tone::Solarize(128.0 / TOP),
                [53, 122, 66, 120, 78, 108],
                [40, 109, 52],
                54645,
            ),
            (
                Tone::AutoContrast,
                [26, 167, 53, 193, 77, 218],
                [0, 140, 24],
                76007,
            ),
            (
                Tone::Equalize,
                [32, 197, 63, 228, 92, 255],
                [0, 165, 29],
                87466,
            ),
        ];
        for (tone, inside, edge, sum) in cases {
            let y = tone.apply(&image()).clamp(0.0, 1.0) * TOP;
            let row = |row: i64, from: i64, count: i64| {
                Vec::<f64>::try_from(y.get(0).get(0).get(row).narrow(0, from, count)).unwrap()
            };
            let pairs = [
                (row(7, 3, 6), inside.to_vec()),
                (row(0, 0, 3), edge.to_vec()),
            ];
            for (found, expected) in pairs {
                // Pillow rounds to whole levels, twice where it blends.
                let near = found
                    .iter()
                    .zip(&expected)
                    .all(|(a, b)| (a - f64::from(*b)).abs() <= 1.0);
                assert!(near, "{tone:?}: {found:?} is not {expected:?}");
            }
            let mean = (y.sum(Kind::Double).double_value(&[]) - f64::from(sum)).abs() / 600.0;
            assert!(mean < 0.55, "{tone:?}: {mean}");
        }
    }

    #[test]
    fn an_image_of_one_level_stays_what_it_is() {
        let flat = Tensor::full([1, 3, 5, 4], 102.0 / TOP, (Kind::Float, tch::Device::Cpu));
        for tone in [Tone::AutoContrast, Tone::Equalize, Tone::Sharpness(1.9)] {
            let difference = (tone.apply(&flat) - &flat).abs().max().double_value(&[]);
            // float32 rounds the smoothed level.
            assert!(difference < 2e-7, "{tone:?}: {difference}");
        }
    }
}
