//! Folders and images that are not what they should be.

use std::process::Command;

use crate::refused;
use crate::support::{Workshop, jpeg};

#[test]
fn a_missing_root_says_how_to_name_another() {
    refused(
        &Workshop::new(),
        &[],
        3,
        &[
            "data.source.root: data cannot be read",
            "-s data.source.root=DIR",
        ],
    );
}

#[test]
fn an_empty_class_is_named() {
    let workshop = Workshop::with_folders(4);
    std::fs::create_dir(workshop.path("data/2")).unwrap();
    refused(&workshop, &[], 3, &["data/2 holds no image"]);
    refused(
        &workshop,
        &["data.classes=['0', '7']"],
        3,
        &["data has no folder \"7\"; it has 0, 1, 2"],
    );
}

#[test]
fn one_class_is_not_enough() {
    let workshop = Workshop::with_folders(4);
    std::fs::remove_dir_all(workshop.path("data/1")).unwrap();
    refused(&workshop, &[], 3, &["only the class \"0\" is there"]);
    refused(
        &workshop,
        &["data.classes=['0']"],
        2,
        &["data.classes: a classifier needs at least two classes"],
    );
}

#[test]
fn damaged_images_are_named_and_can_be_left_out() {
    let whole = jpeg();
    let mut corrupt = whole.clone();
    corrupt[20..60].fill(0x5A);
    let cases: [(&str, Vec<u8>, &str); 3] = [
        (
            "cut.jpg",
            whole[..whole.len() / 2].to_vec(),
            "cut.jpg is truncated or damaged: ",
        ),
        ("corrupt.jpg", corrupt, "corrupt.jpg"),
        (
            "text.jpg",
            b"not an image at all".to_vec(),
            "is no image, whatever its name says",
        ),
    ];
    for (name, bytes, words) in cases {
        let workshop = Workshop::with_folders(10);
        workshop.write(&format!("data/1/{name}"), bytes);
        refused(
            &workshop,
            &[],
            3,
            &[&format!("data/1/{name}"), words, "data.on_bad_image: skip"],
        );
        let arguments = [
            "train",
            "own.yaml",
            "-s",
            "data.on_bad_image=skip",
            "-s",
            "train.epochs=1",
        ];
        let answer = workshop.signet(&arguments);
        assert!(
            answer
                .stderr
                .contains(&format!("signet: left out 1: 1/{name} ")),
            "{}",
            answer.stderr
        );
    }
}

#[test]
fn a_png_that_claims_60000_by_60000_pixels_is_refused() {
    let workshop = Workshop::with_folders(4);
    let mut png = workshop.read("data/0/0000.png");
    png[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    png[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    workshop.write("data/0/bomb.png", png);
    refused(
        &workshop,
        &[],
        3,
        &[
            "data/0/bomb.png",
            "has 60000 x 60000 pixels; up to 16384 pixels a side",
        ],
    );
}

#[test]
fn a_link_to_an_image_that_is_gone_is_an_image_that_cannot_be_read() {
    let workshop = Workshop::with_folders(10);
    std::os::unix::fs::symlink("nowhere.jpg", workshop.path("data/1/0100.jpg")).unwrap();
    refused(
        &workshop,
        &[],
        3,
        &["data/1/0100.jpg cannot be read: No such file"],
    );
    std::fs::remove_file(workshop.path("data/1/0100.jpg")).unwrap();
    let made = Command::new("mkfifo")
        .arg(workshop.path("data/1/0100.jpg"))
        .status();
    assert!(made.unwrap().success());
    refused(
        &workshop,
        &[],
        3,
        &["data/1/0100.jpg is no file of its own"],
    );
}

#[test]
fn files_that_never_end_are_refused_by_their_kind() {
    let workshop = Workshop::with_folders(10);
    let sparse = std::fs::File::create(workshop.path("data/1/0100.jpg")).unwrap();
    sparse.set_len(6 << 30).unwrap();
    refused(
        &workshop,
        &[],
        3,
        &["data/1/0100.jpg is a file of 6144 MiB; up to 512 are read"],
    );
    std::fs::remove_file(workshop.path("data/1/0100.jpg")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", workshop.path("data/1/0100.jpg")).unwrap();
    refused(
        &workshop,
        &[],
        3,
        &["data/1/0100.jpg is no file of its own"],
    );
    std::fs::remove_file(workshop.path("data/1/0100.jpg")).unwrap();
    let sparse = std::fs::File::create(workshop.path("x.safetensors")).unwrap();
    sparse.set_len(6 << 30).unwrap();
    let init = "train.init_from={path: x.safetensors}";
    refused(
        &workshop,
        &[init],
        4,
        &["x.safetensors: damaged: it is longer than its header says"],
    );
}
