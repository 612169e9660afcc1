//! Pixels on their way into a network: on the CPU, one pass over them.

use anyhow::Result;
use tch::{Kind, Tensor};

use super::calls::{Handle, Message, handle, made};

unsafe extern "C" {
    fn signet_normalize(x: Handle, mean: Handle, std: Handle, y: *mut Handle) -> Message;
}

/// `levels` in 0..1, less `mean`, divided by `std`: the bits that libtorch's operators give one after the other.
///
/// # Shapes
/// `levels`, `[B, C, H, W]`, are bytes, of which n stands for n / 255, or numbers in 0..1; `mean` and `std` are
/// `[1, C, 1, 1]`, on the same device. The result is of the shape and strides of `levels`.
///
/// # Errors
/// None that is known.
///
/// # Panics
/// Shapes that do not go together.
pub fn normalize(levels: &Tensor, mean: &Tensor, std: &Tensor) -> Result<Tensor> {
    assert!(
        levels.dim() == 4 && [mean, std].map(|it| it.numel()) == [levels.size()[1] as usize; 2]
    );
    // SAFETY: the C++ side reads a mean and a divisor for each channel, as just asserted, and writes a new tensor.
    unsafe { made(|y| signet_normalize(handle(levels), handle(mean), handle(std), y)) }
}

/// `levels` in 0..1.
///
/// # Shapes
/// As for [`normalize`].
///
/// # Errors
/// None that is known.
pub fn in_unit(levels: &Tensor) -> Result<Tensor> {
    if levels.kind() != Kind::Uint8 {
        return Ok(levels.shallow_clone());
    }
    let each = [1, levels.size()[1], 1, 1];
    let options = (Kind::Float, levels.device());
    normalize(
        levels,
        &Tensor::zeros(each, options),
        &Tensor::ones(each, options),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

    #[test]
    fn normalised_pixels_have_the_bits_that_libtorchs_operators_give() {
        // Blocks have 24,576 numbers, and patterns in them 48.
        for size in [
            [1, 1, 1, 1],
            [3, 7, 5, 1],
            [2, 9, 16, 3],
            [40, 33, 21, 1],
            [17, 40, 41, 3],
            [2, 5, 6, 5],
        ] {
            let channels = size[3];
            let (mean, std) = (
                Tensor::rand([1, channels, 1, 1], FLOAT),
                Tensor::rand([1, channels, 1, 1], FLOAT) + 0.01,
            );
            let bytes = Tensor::randint(256, size, (Kind::Uint8, Device::Cpu));
            let unit = bytes.to_kind(Kind::Float) / Tensor::from(255f32);
            let expected = |x: &Tensor| (x.permute([0, 3, 1, 2]) - &mean) / &std;
            let floats = Tensor::rand(size, FLOAT);
            for (levels, expected) in [(&bytes, expected(&unit)), (&floats, expected(&floats))] {
                let levels = levels.permute([0, 3, 1, 2]);
                for levels in [levels.contiguous(), levels] {
                    let found = normalize(&levels, &mean, &std).unwrap();
                    assert!(found.equal(&expected), "{size:?} {:?}", levels.kind());
                    assert_eq!(found.stride(), levels.stride(), "{size:?}");
                }
            }
        }
    }
}
