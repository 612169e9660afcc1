//! Arrays in `.npz` archives.

use std::io::Write as _;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{ROWS, SOURCE, info, npy, workshop};
use crate::refused;

fn npz(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn an_archive_is_read_by_the_names_of_its_arrays() {
    let labels: &[u8] = &npy("|u1", "(10,)", &[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let workshop = workshop(labels.to_vec());
    let expected = info(&workshop, &[SOURCE]);
    let images: &[u8] = &workshop.read("X.npy");
    let within = "data.source={kind: npy, images: all.npz/x_train, labels: all.npz/y_train.npy}";
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        workshop.write(
            "all.npz",
            npz(
                &[
                    ("x_train.npy", images),
                    ("y_train.npy", labels),
                    ("read.me", b""),
                ],
                method,
            ),
        );
        workshop.write("one.npz", npz(&[("arr_0.npy", images)], method));
        assert_eq!(info(&workshop, &[within]), expected);
        assert_eq!(
            info(&workshop, &[SOURCE, "data.source.images=one.npz"]),
            expected
        );
    }
    let list = "\"x_train\" ([10, 16, 16] uint8), \"y_train\" ([10] uint8); name one, such as data.source.images: all.npz/x_train";
    refused(
        &workshop,
        &[SOURCE, "data.source.images=all.npz"],
        3,
        &["all.npz: holds ", list],
    );
    refused(
        &workshop,
        &[within, "data.source.images=all.npz/x_tran"],
        3,
        &["all.npz: has no \"x_tran\" but ", list],
    );
    workshop.write(
        "no.npz",
        npz(&[("read.me", b"")], CompressionMethod::Stored),
    );
    refused(
        &workshop,
        &[SOURCE, "data.source.images=no.npz"],
        3,
        &["no.npz: holds no array"],
    );
    let whole = workshop.read("all.npz");
    workshop.write("cut.npz", &whole[..whole.len() / 2]);
    refused(
        &workshop,
        &[SOURCE, "data.source.images=cut.npz"],
        3,
        &["cut.npz: is damaged, or no .npz archive"],
    );
}

#[test]
fn an_archive_that_lies_about_sizes_takes_no_memory() {
    let workshop = workshop(Vec::new());
    let images = npy("|u1", "(1000000, 16, 16)", &[0; 64]);
    let mut lying = npz(&[("x.npy", &images)], CompressionMethod::Deflated);
    // The size in the directory at the end; the one before the member is not looked at.
    let directory = lying
        .windows(4)
        .position(|four| four == b"PK\x01\x02")
        .unwrap();
    let claimed = (128 + 256_000_000u32).to_le_bytes();
    lying[directory + 24..directory + 28].copy_from_slice(&claimed);
    workshop.write("X.npz", &lying);
    let source = ROWS.replace("X.npy", "X.npz");
    refused(
        &workshop,
        &[&source],
        3,
        &["X.npz/x: is said to unpack ", "which cannot be"],
    );
    // Damage within the numbers, found by the checksum.
    let mut damaged = npz(
        &[("x.npy", &workshop.read("X.npy"))],
        CompressionMethod::Stored,
    );
    damaged[1000] ^= 1;
    workshop.write("X.npz", &damaged);
    refused(
        &workshop,
        &[&source],
        3,
        &["X.npz/x: is shorter than its header says, or damaged"],
    );
}
