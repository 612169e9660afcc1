//! What is known of the images without their pixels, worked out once when they are read.

use sha2::{Digest, Sha256};

use super::groups::Groups;
use super::hex;
use super::split::Part;

/// What is known of images, in their order.
#[derive(Debug)]
pub struct Index {
    /// What each image is called: `class/file`, or its row in an array.
    pub names: Vec<String>,
    /// Index into `classes`, one per image.
    pub labels: Vec<i64>,
    /// Class names, in the order of the model's outputs.
    pub classes: Vec<String>,
    /// The part that each image was given in; empty where the source gives none.
    pub parts: Vec<Option<Part>>,
    /// Which images belong together, if that is known.
    pub groups: Option<Groups>,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// SHA-256 of each image's numbers: `[C, H, W]` in 0..1, as float32, little-endian.
    digests: Vec<[u8; 32]>,
    fingerprint: String,
}

impl Index {
    /// Of images of a `shape` that are called `names` and have these `digests`.
    pub fn new(
        names: Vec<String>,
        labels: Vec<i64>,
        classes: Vec<String>,
        shape: [usize; 3],
        digests: Vec<[u8; 32]>,
    ) -> Index {
        let mut hash = Sha256::new();
        hash.update(format!("{shape:?} {classes:?} {names:?} {labels:?}"));
        for digest in &digests {
            hash.update(hex(digest));
        }
        Index {
            fingerprint: hex(&hash.finalize()),
            names,
            labels,
            classes,
            parts: Vec::new(),
            groups: None,
            shape,
            digests,
        }
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// SHA-256 of shape, classes, names, labels and pixels: equal only for equal data in equal order.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// SHA-256 of each image's numbers, in hexadecimal digits.
    pub fn digests(&self) -> impl Iterator<Item = String> {
        self.digests.iter().map(|digest| hex(digest))
    }

    /// The labels of the images at `indices`.
    pub fn labels_of(&self, indices: &[usize]) -> Vec<i64> {
        indices.iter().map(|&index| self.labels[index]).collect()
    }

    /// The classes that have no image in `part`.
    pub fn lacks(&self, part: &[usize]) -> Vec<&str> {
        let absent = |label: usize| part.iter().all(|&index| self.labels[index] != label as i64);
        let classes = self.classes.iter().enumerate();
        classes
            .filter(|(label, _)| absent(*label))
            .map(|(_, class)| class.as_str())
            .collect()
    }

    /// Groups of images whose pixels are equal, by index.
    pub fn duplicates(&self) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_unstable_by_key(|&index| (self.digests[index], index));
        let equal = order.chunk_by(|&a, &b| self.digests[a] == self.digests[b]);
        let groups = equal.filter(|group| group.len() > 1);
        let mut groups: Vec<Vec<usize>> = groups.map(<[usize]>::to_vec).collect();
        groups.sort_unstable();
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::pixels::{Levels, Pixels, unit};

    #[test]
    fn digests_and_fingerprint_are_those_of_the_numbers_in_float32() {
        // x = numpy.arange(48, dtype="u1").reshape(2, 3, 2, 4).astype("<f4") / numpy.float32(255)
        // digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in x]
        // header = '[3, 2, 4] ["a", "b"] ["a/0.png", "b/0.png"] [0, 1]'
        // fingerprint = hashlib.sha256((header + "".join(digests)).encode()).hexdigest()
        let digests = [
            "7ea76bcb6aadf74dfae57ac38e474873855330b6c877032ea90e4abb5ccac2c5",
            "f4821ac60098fb560799f9c42e4b1577f3f695c0b6ae2b0dac486c16a6dba420",
        ];
        let fingerprint = "ca0a2b81253b55659e56331c1febbbf47e692258d421197b5294e3545c7cc771";
        let bytes: Vec<u8> = (0..48).collect();
        let floats = bytes.iter().map(|&byte| unit(byte)).collect();
        for levels in [Levels::Bytes(bytes), Levels::Floats(floats)] {
            let pixels = Pixels::new(levels, [3, 2, 4]);
            let (names, classes) = (["a/0.png", "b/0.png"], ["a", "b"]);
            let [names, classes] = [names, classes].map(|words| words.map(str::to_owned).to_vec());
            let index = Index::new(names, vec![0, 1], classes, pixels.shape(), pixels.digests());
            assert_eq!(index.digests().collect::<Vec<_>>(), digests);
            assert_eq!(index.fingerprint(), fingerprint);
        }
    }

    #[test]
    fn duplicates_are_groups_of_equal_pixels_in_the_order_of_the_images() {
        let levels = Levels::Bytes(vec![5, 1, 2, 5, 3, 1, 5]);
        let names = (0..7).map(|image| image.to_string()).collect();
        let pixels = Pixels::new(levels, [1, 1, 1]);
        let index = Index::new(
            names,
            vec![0; 7],
            vec!["a".to_owned()],
            pixels.shape(),
            pixels.digests(),
        );
        assert_eq!(index.duplicates(), [vec![0, 3, 6], vec![1, 5]]);
    }
}
