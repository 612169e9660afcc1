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

/// Sorts the names of one folder.
pub fn sort(names: &mut [String], order: Order) {
    match order {
        Order::Name => names.sort_unstable(),
        Order::Kaggle => names.sort_unstable_by_key(|name| (directory_hash(name), name.clone())),
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
        sort(&mut digits, Order::Kaggle);
        assert_eq!(digits, ["9", "0", "7", "6", "1", "8", "4", "3", "2", "5"]);
    }
}
