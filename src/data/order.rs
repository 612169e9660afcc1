//! The order of classes, class folders and files, before images are split.
//!
//! The rows of the well-known Kaggle file follow the directory order of the disk it was made on: names
//! sorted by a hash that APFS keeps in its directories. The same hash gives the same order here.

use crc::{Algorithm, CRC_32_ISCSI, Crc};

use crate::config::data::Order;

/// CRC-32C without the final inversion (APFS reference, j_drec_hashed_key_t).
const APFS_CRC: Algorithm<u32> = Algorithm {
    xorout: 0,
    ..CRC_32_ISCSI
};
static APFS: Crc<u32> = Crc::<u32>::new(&APFS_CRC);

/// Sorts what lies in one folder by its name.
pub fn sort_by<T>(files: &mut [T], order: Order, name: impl Fn(&T) -> &str) {
    match order {
        Order::Name => files.sort_by(|a, b| name(a).cmp(name(b))),
        Order::Kaggle => files.sort_by(|a, b| {
            let [a, b] = [name(a), name(b)];
            directory_hash(a).cmp(&directory_hash(b)).then(a.cmp(b))
        }),
    }
}

/// Sorts the classes of an experiment that does not list them: by number if all of them are whole numbers, so that the
/// classes 0 to 11 are the outputs 0 to 11 of the model, and by name otherwise.
pub fn sort_classes(names: &mut [String]) {
    let numbers = names.iter().map(|name| whole_number(name));
    if let Some(numbers) = numbers.collect::<Option<Vec<i128>>>() {
        let mut sorted: Vec<(i128, String)> =
            numbers.into_iter().zip(names.iter().cloned()).collect();
        sorted.sort_unstable();
        for (name, (_, sorted)) in names.iter_mut().zip(sorted) {
            *name = sorted;
        }
    } else {
        names.sort_unstable();
    }
}

/// The number that `name` writes, with any zeros in front; a plus sign makes it a name.
fn whole_number(name: &str) -> Option<i128> {
    name.parse().ok().filter(|_| !name.starts_with('+'))
}

/// The low 22 bits of the checksum of the lower-case name in UTF-32LE.
fn directory_hash(name: &str) -> u32 {
    let mut digest = APFS.digest();
    for letter in name.to_lowercase().chars() {
        digest.update(&u32::from(letter).to_le_bytes());
    }
    digest.finalize() & 0x3F_FFFF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_come_by_number_where_all_are_numbers_and_by_name_otherwise() {
        let cases: [(&[&str], &[&str]); 5] = [
            (&["0", "1", "10", "11", "2"], &["0", "1", "2", "10", "11"]),
            (&["10", "9", "-1", "09"], &["-1", "09", "9", "10"]),
            (
                &["9007199254740993", "9007199254740992"],
                &["9007199254740992", "9007199254740993"],
            ),
            (&["2", "10", "cat"], &["10", "2", "cat"]),
            (&["2", "+10"], &["+10", "2"]),
        ];
        for (names, expected) in cases {
            let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            sort_classes(&mut names);
            assert_eq!(names, expected);
        }
    }

    #[test]
    fn class_folders_come_in_the_order_of_the_kaggle_file() {
        // argmax of the Kaggle Y.npy along its rows: column 0 is folder 9, column 1 is folder 0, and so on.
        let mut digits: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
        sort_by(&mut digits, Order::Kaggle, String::as_str);
        assert_eq!(digits, ["9", "0", "7", "6", "1", "8", "4", "3", "2", "5"]);
    }
}
