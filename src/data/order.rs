//! The order of class folders and files, before pictures are dealt.
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

/// Sorts the names of classes: by number where all are whole numbers, so that output 10 is class "10"; else by name.
pub fn sort_classes(classes: &mut [String]) {
    let number = |class: &String| class.parse::<i128>().ok();
    match classes.iter().all(|class| number(class).is_some()) {
        true => classes.sort_by(|a, b| number(a).cmp(&number(b)).then(a.cmp(b))),
        false => classes.sort_unstable(),
    }
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
    fn class_folders_come_in_the_order_of_the_kaggle_file() {
        // argmax of the Kaggle Y.npy along its rows: column 0 is folder 9, column 1 is folder 0, and so on.
        let mut digits: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
        sort_by(&mut digits, Order::Kaggle, String::as_str);
        assert_eq!(digits, ["9", "0", "7", "6", "1", "8", "4", "3", "2", "5"]);
    }
}
