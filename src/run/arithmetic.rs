//! What `train.precision` means on the device of a run: chosen for all of libtorch at once, recorded, and remarked on where
//! it is not what one might expect.

use anyhow::Result;
use tch::Device;

use crate::bridge;
use crate::config::train::Precision;

/// Has libtorch compute in `precision` on `device`; the switches for TF32 are set either way, since its defaults differ
/// from kernel to kernel.
///
/// # Errors
/// None that is known.
pub fn choose(precision: Precision, device: Device) -> Result<()> {
    bridge::set_tf32(device.is_cuda() && precision == Precision::Tf32)
}

/// What libtorch computes in now, in words for a record.
///
/// # Errors
/// None that is known.
pub fn describe(precision: Precision, device: Device) -> Result<String> {
    let rest = match (device.is_cuda(), bridge::tf32()?) {
        (false, _) => "float32",
        (true, [false, false]) => "float32, TF32 off",
        (true, [true, true]) => "float32, products in TF32",
        (true, [true, false]) => "float32, products of matrices in TF32",
        (true, [false, true]) => "float32, convolutions and recurrent layers in TF32",
    };
    Ok(match precision {
        Precision::F32 | Precision::Tf32 => rest.to_owned(),
        Precision::Bf16 => format!("bfloat16 by autocast, else {rest}"),
    })
}

/// What one should know of `precision` on `device`, if there is something.
pub fn remark(precision: Precision, device: Device) -> Option<&'static str> {
    remark_on(precision, device.is_cuda(), bridge::cpu_computes_bf16())
}

fn remark_on(precision: Precision, cuda: bool, cpu_computes_bf16: bool) -> Option<&'static str> {
    match precision {
        Precision::Tf32 if !cuda => {
            Some("train.precision: tf32 is for CUDA; on the CPU it is the same as f32")
        }
        Precision::Bf16 if !cuda && !cpu_computes_bf16 => Some(
            // 0.93 s an epoch of configs/cnn.yaml for 0.09 s, with oneDNN kept to AVX2; recurrent kinds lose nothing.
            "train.precision: bf16 is emulated by this processor, which has neither AVX512_BF16 nor AMX: convolutions take \
             some ten times as long as in f32",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tf32_is_on_where_it_was_asked_for_on_cuda_and_nowhere_else() {
        let cuda = Device::Cuda(0);
        for (precision, device, expected) in [
            (Precision::F32, cuda, "float32, TF32 off"),
            (Precision::Tf32, cuda, "float32, products in TF32"),
            (
                Precision::Bf16,
                cuda,
                "bfloat16 by autocast, else float32, TF32 off",
            ),
            (Precision::Tf32, Device::Cpu, "float32"),
            (
                Precision::Bf16,
                Device::Cpu,
                "bfloat16 by autocast, else float32",
            ),
        ] {
            choose(precision, device).unwrap();
            assert_eq!(describe(precision, device).unwrap(), expected);
            let wanted = device == cuda && precision == Precision::Tf32;
            assert_eq!(bridge::tf32().unwrap(), [wanted; 2]);
        }
    }

    #[test]
    fn a_precision_that_brings_nothing_here_is_remarked_on() {
        let says = |precision, cuda, bf16| remark_on(precision, cuda, bf16).unwrap_or_default();
        assert!(says(Precision::Tf32, false, true).contains("the same as f32"));
        assert!(says(Precision::Bf16, false, false).contains("emulated"));
        for (precision, cuda, bf16) in [
            (Precision::F32, false, false),
            (Precision::Bf16, false, true),
            (Precision::Bf16, true, false),
            (Precision::Tf32, true, false),
        ] {
            assert_eq!(remark_on(precision, cuda, bf16), None);
        }
    }
}
