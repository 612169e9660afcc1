//! Changes of place: shifts, turns, scales, mirrors, crops.

use super::*;

/// Where the pixels of 200 images come from: [image][row][column] -> (column, row) in pixels from the centre.
///
/// The image is a map of itself: its first channel is the column and its second the row, both as shares of 1.
/// Both are linear, so interpolation keeps them exact wherever it does not meet the edge.
fn origins(augment: Augment) -> Vec<impl Fn(f64, f64) -> [f64; 2]> {
    const IMAGES: i64 = 200;
    let axis = |length: i64| Tensor::arange(length, (Kind::Float, Device::Cpu)) / length as f64;
    let columns = axis(WIDTH)
        .view([1, 1, 1, WIDTH])
        .expand([IMAGES, 1, HEIGHT, WIDTH], false);
    let rows = axis(HEIGHT)
        .view([1, 1, HEIGHT, 1])
        .expand([IMAGES, 1, HEIGHT, WIDTH], false);
    let map = Tensor::cat(&[columns, rows], 1);
    let indices: Vec<usize> = (0..IMAGES as usize).collect();
    let moved = apply(&[augment], map, &indices, 1, 0);
    (0..IMAGES)
        .map(move |image| {
            let moved = moved.get(image);
            // The pixel at this distance from the centre, which lies between pixels.
            move |right: f64, down: f64| {
                let (row, column) = (down + CENTRE[1], right + CENTRE[0]);
                assert_eq!((row.fract(), column.fract()), (0.0, 0.0));
                let at = |channel| moved.double_value(&[channel, row as i64, column as i64]);
                [
                    at(0) * WIDTH as f64 - CENTRE[0],
                    at(1) * HEIGHT as f64 - CENTRE[1],
                ]
            }
        })
        .collect()
}

/// Column and row of the centre, which lies between pixels.
const CENTRE: [f64; 2] = [(WIDTH - 1) as f64 / 2.0, (HEIGHT - 1) as f64 / 2.0];

/// Pixels in the middle, right and down of the centre, that no bound of these tests takes beyond the edge.
const PLACES: [[f64; 2]; 5] = [
    [0.5, 0.5],
    [-5.5, -4.5],
    [5.5, -4.5],
    [-4.5, 5.5],
    [3.5, 2.5],
];

fn close(found: [f64; 2], expected: [f64; 2]) -> bool {
    (found[0] - expected[0]).hypot(found[1] - expected[1]) < CLOSE
}

#[test]
pub(super) fn shift_moves_all_pixels_by_the_same_distance_up_to_its_bound() {
    let mut shifts = [Vec::new(), Vec::new()];
    for origin in origins(Augment::Shift { max_px: 3.0 }) {
        let shift = |place: [f64; 2]| {
            let [x, y] = origin(place[0], place[1]);
            [place[0] - x, place[1] - y]
        };
        let first = shift(PLACES[0]);
        assert!(PLACES.iter().all(|&place| close(shift(place), first)));
        (0..2).for_each(|axis| shifts[axis].push(first[axis]));
    }
    shifts
        .iter()
        .for_each(|shifts| assert_even(shifts, -3.0, 3.0));
    // The axes are drawn apart.
    let product: f64 = shifts[0].iter().zip(&shifts[1]).map(|(a, b)| a * b).sum();
    assert!(
        (product / 200.0).abs() < 4.0 * 3.0 / 200f64.sqrt(),
        "{product}"
    );
    assert_moves_as_pillow(Augment::Shift { max_px: 3.0 }, &SHIFTED);
}

#[test]
pub(super) fn rotate_turns_about_the_centre_by_up_to_its_bound() {
    let mut angles = Vec::new();
    for origin in origins(Augment::Rotate { max_degrees: 25.0 }) {
        // What lies at `place` came from where a turn back takes it.
        let [x, y] = origin(5.5, 0.5);
        let angle = 0.5f64.atan2(5.5) - y.atan2(x);
        let (sin, cos) = angle.sin_cos();
        for [right, down] in PLACES {
            let back = [right * cos + down * sin, down * cos - right * sin];
            assert!(close(origin(right, down), back), "{angle}");
        }
        angles.push(angle.to_degrees());
    }
    assert_even(&angles, -25.0, 25.0);
    assert_moves_as_pillow(Augment::Rotate { max_degrees: 25.0 }, &ROTATED);
}

#[test]
pub(super) fn scale_grows_or_shrinks_about_the_centre() {
    let mut factors = Vec::new();
    for origin in origins(Augment::Scale { max: 0.3 }) {
        let factor = 5.5 / origin(5.5, 0.5)[0];
        for [right, down] in PLACES {
            assert!(close(origin(right, down), [right / factor, down / factor]));
        }
        factors.push(factor);
    }
    assert_even(&factors, 0.7, 1.3);
    assert_moves_as_pillow(Augment::Scale { max: 0.3 }, &SCALED);
}

/// The middle of an image that is moved as Pillow moves it: rows 8 to 11 and columns 11 to 16 of image 0.
type Middle = [[f64; 6]; 4];

// image = Image.fromarray((rows**2 + columns**2 / 2) / 2), with rows and columns as shares of 1
// def middle(a, b, d, e, dx=0, dy=0):
//     x, y = 14 + dx, 10 + dy
//     matrix = (a, b, 14 - a * x - b * y, d, e, 10 - d * x - e * y)
//     return np.array(image.transform((28, 20), Image.AFFINE, matrix, Image.BILINEAR))[8:12, 11:17]

/// `middle(1, 0, 0, 1, 0.7001896, 1.3312217)`
const SHIFTED: Middle = [
    [0.089763, 0.096651, 0.104176, 0.112339, 0.121140, 0.130579],
    [0.107685, 0.114573, 0.122098, 0.130261, 0.139062, 0.148501],
    [0.128107, 0.134995, 0.142520, 0.150683, 0.159484, 0.168923],
    [0.151029, 0.157917, 0.165442, 0.173605, 0.182406, 0.191845],
];
/// `middle(cos(t), sin(t), -sin(t), cos(t))` with t = 5.83492 degrees
const ROTATED: Middle = [
    [0.123216, 0.128263, 0.133941, 0.140357, 0.147552, 0.155377],
    [0.145678, 0.150536, 0.156024, 0.162265, 0.169270, 0.176906],
    [0.170656, 0.175321, 0.180617, 0.186677, 0.193490, 0.200934],
    [0.198131, 0.202607, 0.207713, 0.213598, 0.220221, 0.227475],
];
/// `middle(1 / s, 0, 0, 1 / s)` with s = 1.0700190
const SCALED: Middle = [
    [0.121870, 0.128787, 0.136258, 0.144304, 0.152926, 0.162101],
    [0.141811, 0.148728, 0.156199, 0.164245, 0.172867, 0.182043],
    [0.164007, 0.170924, 0.178395, 0.186441, 0.195063, 0.204238],
    [0.188457, 0.195374, 0.202845, 0.210892, 0.219513, 0.228689],
];

/// Moves a paraboloid and compares its middle with Pillow's `AFFINE` transform by the same matrix.
fn assert_moves_as_pillow(augment: Augment, expected: &Middle) {
    let axis = |length: i64| Tensor::arange(length, (Kind::Float, Device::Cpu)) / length as f64;
    let x = (axis(HEIGHT).view([HEIGHT, 1]).square() + axis(WIDTH).square() * 0.5) / 2.0;
    let moved = apply(&[augment], x.view([1, 1, HEIGHT, WIDTH]), &[0], 1, 0);
    for (row, numbers) in expected.iter().enumerate() {
        for (column, expected) in numbers.iter().enumerate() {
            let found = moved.double_value(&[0, 0, 8 + row as i64, 11 + column as i64]);
            assert!(
                (found - expected).abs() < 2e-6,
                "{row}, {column}: {found} is not {expected}"
            );
        }
    }
}

#[test]
pub(super) fn flip_horizontal_mirrors_the_columns() {
    assert_flips(|p| Augment::FlipHorizontal { p }, 3);
}

#[test]
pub(super) fn flip_vertical_mirrors_the_rows() {
    assert_flips(|p| Augment::FlipVertical { p }, 2);
}

/// An image is turned around along `dim` with the probability that is asked for, or kept.
fn assert_flips(kind: impl Fn(f64) -> Augment, dim: i64) {
    let x = noise_image(1);
    let expected = x.flip([dim]);
    let x = x.expand([1000, 1, HEIGHT, WIDTH], false);
    let indices: Vec<usize> = (0..1000).collect();
    let flipped = |p: f64| {
        let changed = apply(&[kind(p)], x.copy(), &indices, 1, 0);
        let like = |other: &Tensor| {
            let farthest = (&changed - other).abs().amax([1i64, 2, 3], false);
            // Interpolation at pixel centres rounds.
            farthest.lt(1e-6).sum(Kind::Int64).int64_value(&[])
        };
        let (mirrored, kept) = (like(&expected), like(&x));
        assert_eq!(mirrored + kept, 1000, "every image is mirrored or kept");
        mirrored
    };
    assert_eq!((flipped(0.0), flipped(1.0)), (0, 1000));
    // Four standard deviations of a binomial of 1000 at 0.3.
    assert!((flipped(0.3) - 300).abs() < 58, "{}", flipped(0.3));
}

#[test]
pub(super) fn random_resized_crop_takes_a_part_of_an_area_and_ratio_within_bounds() {
    let parts = |min_area: f64, max_ratio: f64| -> Vec<[f64; 2]> {
        let kind = Augment::RandomResizedCrop {
            min_area,
            max_ratio,
        };
        let part = |origin: Box<dyn Fn(f64, f64) -> [f64; 2]>| {
            let (first, second) = (origin(0.5, 0.5), origin(5.5, 4.5));
            let sides = [(second[0] - first[0]) / 5.0, (second[1] - first[1]) / 4.0];
            let middle = [first[0] - 0.5 * sides[0], first[1] - 0.5 * sides[1]];
            for [right, down] in PLACES {
                let expected = [middle[0] + sides[0] * right, middle[1] + sides[1] * down];
                assert!(close(origin(right, down), expected));
            }
            for (axis, length) in [(0, WIDTH as f64), (1, HEIGHT as f64)] {
                let room = (1.0 - sides[axis]) * length / 2.0;
                assert!(middle[axis].abs() < room + CLOSE, "{sides:?} at {middle:?}");
            }
            sides
        };
        let origins = origins(kind).into_iter();
        origins.map(|origin| part(Box::new(origin))).collect()
    };
    let square = parts(0.3, 1.0);
    assert!(square.iter().all(|[wide, high]| (wide - high).abs() < 1e-4));
    let areas: Vec<f64> = square.iter().map(|[wide, high]| wide * high).collect();
    assert_even(&areas, 0.3, 1.0);
    // So small that no side reaches that of the image.
    let small = parts(0.04, 1.5);
    let small = small.iter().filter(|[wide, high]| wide * high < 0.4);
    let ratios: Vec<f64> = small.map(|[wide, high]| (wide / high).ln() / 2.0).collect();
    assert!(ratios.len() > 50, "{}", ratios.len());
    assert_even(&ratios, -1.5f64.ln(), 1.5f64.ln());
}
