//! How the numbers of a tensor are distributed.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::proto::HistogramProto;

/// Buckets of a histogram, as many as TensorBoard's own writers make.
const BUCKETS: usize = 30;

/// The numbers of `tensor`, of any shape, sorted into buckets of equal width from the smallest to the largest.
///
/// # Errors
/// None that is known.
pub(super) fn histogram(tensor: &Tensor) -> Result<HistogramProto> {
    let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float);
    let numbers: Vec<f32> = Vec::try_from(flat.contiguous().view([-1]))?;
    let (min, max) = numbers
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), &number| {
            (min.min(number), max.max(number))
        });
    let [min, max] = [min, max].map(f64::from);
    let buckets = if min < max { BUCKETS } else { 1 };
    let per_unit = buckets as f64 / (max - min);
    let mut counts = vec![0u64; buckets];
    let (mut sum, mut sum_squares) = (0.0, 0.0);
    for number in numbers.iter().copied().map(f64::from) {
        sum += number;
        sum_squares += number * number;
        // The largest number lies at the end of the last bucket; where all are equal, 0 / 0 becomes bucket 0.
        counts[(((number - min) * per_unit) as usize).min(buckets - 1)] += 1;
    }
    let limit = |bucket: usize| min + (max - min) * (bucket as f64 / buckets as f64);
    Ok(HistogramProto {
        min,
        max,
        num: numbers.len() as f64,
        sum,
        sum_squares,
        bucket_limit: (1..=buckets).map(limit).collect(),
        bucket: counts.into_iter().map(|count| count as f64).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_that_of_numpy() {
        // i = numpy.arange(500); x = (i * (7 * i + 3) % 101).astype(numpy.float32) / numpy.float32(101) - numpy.float32(0.3)
        // x = x.astype(float); numpy.histogram(x, bins=30)[0].tolist(); x.sum(), (x * x).sum(), x.min(), x.max()
        let numbers = (0..500).map(|i| ((7 * i * i + 3 * i) % 101) as f32 / 101.0 - 0.3);
        let numbers: Vec<f32> = numbers.collect();
        let found = histogram(&Tensor::from_slice(&numbers).view([5, 100])).unwrap();
        let expected = [
            30, 19, 10, 30, 10, 20, 39, 10, 20, 20, 20, 0, 10, 10, 10, 30, 9, 19, 15, 10, 20, 30,
            10, 10, 0, 0, 40, 10, 20, 19,
        ];
        assert_eq!(found.bucket, expected.map(f64::from));
        assert_eq!(found.num, 500.0);
        for (found, expected) in [
            (found.sum, 82.63365814089775),
            (found.sum_squares, 59.555473563804135),
            (found.min, -0.30000001192092896),
            (found.max, 0.6900990009307861),
            (found.bucket_limit[29], 0.6900990009307861),
        ] {
            assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        }
    }

    #[test]
    fn equal_numbers_lie_in_one_bucket() {
        for number in [0.0f32, -2.5] {
            let found = histogram(&Tensor::from_slice(&[number; 4])).unwrap();
            let own = f64::from(number);
            assert_eq!((found.min, found.max, found.sum), (own, own, 4.0 * own));
            assert_eq!(
                (found.bucket_limit, found.bucket),
                (vec![own], vec![4.0]),
                "{number}"
            );
        }
    }
}
