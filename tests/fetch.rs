//! What `data::fetch` does with good and bad servers and archives.
//!
//! Archives of a few bytes are packed here and served on a loopback port, so no test needs the
//! internet. A refusal must leave the folder around the target exactly as it was. Where the
//! environment names a proxy, `NO_PROXY` has to cover 127.0.0.1.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use indicatif::ProgressBar;
use sha2::{Digest, Sha256};
use signet::data::fetch::{self, Archive, Fetched, Limits};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The images of the small data set, sorted by name.
const IMAGES: [(&str, &[u8]); 3] = [
    ("0/IMG_1.JPG", b"zero"),
    ("0/IMG_2.JPG", b"another zero"),
    ("9/IMG_1.JPG", b"nine"),
];

type Zip = ZipWriter<Cursor<Vec<u8>>>;

fn put(zip: &mut Zip, name: &str, content: &[u8]) {
    zip.start_file(name, SimpleFileOptions::default()).unwrap();
    zip.write_all(content).unwrap();
}

/// An archive with what `first` puts in it and then `images`.
fn pack(first: impl FnOnce(&mut Zip), images: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = Zip::new(Cursor::new(Vec::new()));
    first(&mut zip);
    put(&mut zip, "digits-master/LICENSE", b"free");
    put(&mut zip, "digits-master/README.md", b"read me");
    for (name, content) in images {
        put(&mut zip, &format!("digits-master/Dataset/{name}"), content);
    }
    zip.finish().unwrap().into_inner()
}

/// The whole small data set behind what `first` puts in the archive.
fn packed_after(first: impl FnOnce(&mut Zip)) -> Vec<u8> {
    pack(first, &IMAGES)
}

fn packed() -> Vec<u8> {
    packed_after(|_| ())
}

/// The small data set at `address`.
fn archive(address: SocketAddr) -> Archive {
    let mut whole = Sha256::new();
    for (name, content) in IMAGES {
        whole.update(format!("{name} {:x}\n", Sha256::digest(content)));
    }
    Archive {
        url: format!("http://{address}/master.zip"),
        files: IMAGES.len(),
        digest: format!("{:x}", whole.finalize()),
        limits: Limits::default(),
    }
}

/// A server that gives every request the same answer, and the number of requests so far.
fn serve(answer: Vec<u8>) -> (Archive, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let archive = archive(listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    thread::spawn(move || {
        for stream in listener.incoming() {
            counter.fetch_add(1, Ordering::SeqCst);
            reply(stream.unwrap(), &answer);
        }
    });
    (archive, requests)
}

fn reply(mut stream: TcpStream, answer: &[u8]) {
    // The request is read to its end, because closing before would reset the connection.
    BufReader::new(&stream)
        .lines()
        .find(|line| line.as_ref().is_ok_and(String::is_empty));
    // A client that has seen enough hangs up, which is its right.
    let _ = stream.write_all(answer);
}

fn with_length(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// An answer that ends where the connection does, as GitHub's have no length either.
fn without_length(body: &[u8]) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", body].concat()
}

/// Every path below `folder`, with the content of the files.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
            found.insert(path, None);
        } else {
            found.insert(path.clone(), Some(fs::read(path).unwrap()));
        }
    }
    found
}

/// A fetch that shows nothing.
fn fetch(archive: &Archive, target: &Path) -> anyhow::Result<Fetched> {
    fetch::fetch(archive, target, &ProgressBar::hidden())
}

/// The error of a fetch into `<around>/data/digits`, which must change nothing in `around`.
fn refusal_in(around: &TempDir, archive: &Archive) -> String {
    let target = around.path().join("data/digits");
    let before = tree(around.path());
    let error = fetch(archive, &target).unwrap_err();
    assert_eq!(tree(around.path()), before);
    format!("{error:#}")
}

fn refusal(archive: &Archive) -> String {
    refusal_in(&TempDir::new().unwrap(), archive)
}

/// Asserts that `text` has all `parts` in it.
fn assert_names(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text:?}");
    }
}

#[test]
fn a_whole_archive_is_unpacked_with_equal_content() {
    let around = TempDir::new().unwrap();
    let target = around.path().join("data/digits");
    let (archive, _) = serve(with_length(&packed()));

    let fetched = fetch(&archive, &target).unwrap();

    let expected = Fetched {
        root: target.clone(),
        files: 3,
        bytes: 20,
        already_there: false,
    };
    assert_eq!(fetched, expected);
    for (name, content) in IMAGES {
        assert_eq!(
            fs::read(target.join("Dataset").join(name)).unwrap(),
            content
        );
    }
    assert_eq!(fs::read(target.join("LICENSE")).unwrap(), b"free");
    assert_eq!(fs::read(target.join("README.md")).unwrap(), b"read me");
    // The folders data, digits, Dataset, 0 and 9, and five files: nothing else stays.
    assert_eq!(tree(around.path()).len(), 10);
}

#[test]
fn an_answer_without_a_length_is_taken() {
    let around = TempDir::new().unwrap();
    let (archive, _) = serve(without_length(&packed()));
    assert_eq!(
        fetch(&archive, &around.path().join("digits"))
            .unwrap()
            .files,
        3
    );
}

#[test]
fn a_second_fetch_asks_nobody_and_changes_nothing() {
    let around = TempDir::new().unwrap();
    let target = around.path().join("digits");
    let (archive, requests) = serve(with_length(&packed()));

    let first = fetch(&archive, &target).unwrap();
    let before = tree(around.path());
    let second = fetch(&archive, &target).unwrap();

    let already_there = true;
    assert_eq!(
        second,
        Fetched {
            already_there,
            ..first
        }
    );
    assert_eq!(tree(around.path()), before);
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[test]
fn files_that_do_not_belong_are_left_out() {
    let around = TempDir::new().unwrap();
    let target = around.path().join("digits");
    let (archive, _) = serve(with_length(&packed_after(|zip| {
        for extra in [
            "digits-master/Examples/example_0.JPG",
            "digits-master/Dataset/0/notes.txt",
            "digits-master/Dataset/0/deeper/IMG_1.JPG",
            "digits-master/Dataset/10/IMG_1.JPG",
            "digits-master/Dataset/x/IMG_1.JPG",
            "digits-master/deeper/LICENSE",
            "LICENSE",
        ] {
            put(zip, extra, b"extra");
        }
    })));

    fetch(&archive, &target).unwrap();

    // The folders Dataset, 0 and 9, and five files.
    assert_eq!(tree(&target).len(), 8);
}

#[test]
fn a_truncated_answer_is_refused() {
    let whole = with_length(&packed());
    let (archive, _) = serve(whole[..whole.len() - 100].to_vec());
    assert_names(&refusal(&archive), &["could not download", "SIGNET_DATA"]);
}

#[test]
fn a_truncated_answer_without_a_length_is_refused() {
    let whole = without_length(&packed());
    let (archive, _) = serve(whole[..whole.len() - 100].to_vec());
    assert_names(&refusal(&archive), &["cannot be read as a zip archive"]);
}

#[test]
fn a_missing_page_is_named_with_its_status() {
    let (archive, _) = serve(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec());
    assert_names(&refusal(&archive), &[&archive.url, "404", "SIGNET_DATA"]);
}

#[test]
fn a_closed_port_is_named_with_the_way_out() {
    // Bound and let go at once, so that nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let archive = archive(listener.local_addr().unwrap());
    drop(listener);
    assert_names(
        &refusal(&archive),
        &[&archive.url, "refused", "SIGNET_DATA"],
    );
}

#[test]
fn a_silent_server_is_given_up() {
    // The system takes the connection, and nobody answers it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut archive = archive(listener.local_addr().unwrap());
    archive.limits.stall = Duration::from_millis(200);
    assert_names(&refusal(&archive), &[&archive.url, "timeout"]);
}

#[test]
fn a_flipped_byte_in_an_image_is_found() {
    let mut images = IMAGES;
    images[2].1 = b"mine";
    let (archive, _) = serve(with_length(&pack(|_| (), &images)));
    assert_names(&refusal(&archive), &["digest", &archive.digest]);
}

#[test]
fn a_flipped_byte_in_the_archive_is_found() {
    let image = b"found again by its content";
    let mut body = packed_after(|zip| {
        let name = "digits-master/Dataset/0/IMG_3.JPG";
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(name, stored).unwrap();
        zip.write_all(image).unwrap();
    });
    let start = body
        .windows(image.len())
        .position(|part| part == image)
        .unwrap();
    body[start] ^= 1;
    let (archive, _) = serve(with_length(&body));
    assert_names(&refusal(&archive), &["IMG_3.JPG", "checksum"]);
}

#[test]
fn a_missing_image_is_counted() {
    let (archive, _) = serve(with_length(&pack(|_| (), &IMAGES[1..])));
    assert_names(&refusal(&archive), &["found 2 images, expected 3"]);
}

#[test]
fn what_is_no_zip_archive_is_refused() {
    let (archive, _) = serve(with_length(b"<html>please log in</html>"));
    assert_names(&refusal(&archive), &["cannot be read as a zip archive"]);
}

#[test]
fn names_that_lead_outside_are_refused() {
    for name in [
        "../evil",
        "../../evil.JPG",
        "digits-master/../evil",
        "digits-master/Dataset/0/../../../../evil.JPG",
        "digits-master/Dataset/0/..",
        "..\\evil.JPG",
        "digits-master/Dataset/0/..\\evil.JPG",
        "C:/evil.JPG",
        "digits-master/Dataset/0/C:evil.JPG",
    ] {
        let (archive, _) = serve(with_length(&packed_after(|zip| put(zip, name, b"evil"))));
        assert_names(&refusal(&archive), &["leads out", &format!("{name:?}")]);
    }
}

#[test]
fn an_absolute_path_is_refused() {
    let around = TempDir::new().unwrap();
    let name = around.path().join("evil.JPG").display().to_string();
    let (archive, _) = serve(with_length(&packed_after(|zip| put(zip, &name, b"evil"))));
    assert_names(&refusal_in(&around, &archive), &["leads out", &name]);
}

#[test]
fn a_symbolic_link_is_refused() {
    let around = TempDir::new().unwrap();
    let secret = around.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let (archive, _) = serve(with_length(&packed_after(|zip| {
        let name = "digits-master/Dataset/0/IMG_3.JPG";
        let to = secret.display();
        zip.add_symlink(name, to, SimpleFileOptions::default())
            .unwrap();
    })));
    assert_names(
        &refusal_in(&around, &archive),
        &["IMG_3.JPG", "symbolic link"],
    );
}

#[test]
fn a_symbolic_link_in_a_folders_place_is_not_followed() {
    let around = TempDir::new().unwrap();
    let elsewhere = around.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let (archive, _) = serve(with_length(&packed_after(|zip| {
        let to = elsewhere.display();
        zip.add_symlink("digits-master/Dataset", to, SimpleFileOptions::default())
            .unwrap();
    })));

    fetch(&archive, &around.path().join("digits")).unwrap();

    assert!(tree(&elsewhere).is_empty());
}

#[test]
fn a_file_that_grows_beyond_its_claimed_size_is_stopped() {
    const SIZE: usize = 200_123;
    let mut body = packed_after(|zip| {
        put(zip, "digits-master/Dataset/0/IMG_3.JPG", &[0; SIZE]);
    });
    // The size stands before the content and in the directory at the end.
    let truth = (SIZE as u32).to_le_bytes();
    let places: Vec<usize> = (0..body.len() - 4)
        .filter(|&at| body[at..at + 4] == truth)
        .collect();
    assert_eq!(places.len(), 2);
    for at in places {
        body[at..at + 4].copy_from_slice(&10u32.to_le_bytes());
    }
    let (mut archive, _) = serve(with_length(&body));
    archive.limits.file = 100_000;
    assert_names(&refusal(&archive), &["IMG_3.JPG", "100000 bytes"]);
}

#[test]
fn files_that_are_too_large_together_are_stopped() {
    let (mut archive, _) = serve(with_length(&packed()));
    archive.limits.unpacked = 30;
    assert_names(&refusal(&archive), &["9/IMG_1.JPG", "more than"]);
}

#[test]
fn an_archive_with_too_many_entries_is_refused() {
    let (mut archive, _) = serve(with_length(&packed()));
    archive.limits.entries = 4;
    assert_names(&refusal(&archive), &["5 entries", "4 allowed"]);
}

#[test]
fn an_archive_that_is_too_large_is_refused() {
    for answer in [with_length(&packed()), without_length(&packed())] {
        let (mut archive, _) = serve(answer);
        archive.limits.archive = 100;
        assert_names(&refusal(&archive), &["100 allowed"]);
    }
}

#[test]
fn a_target_with_something_else_in_it_is_left_alone() {
    let around = TempDir::new().unwrap();
    let target = around.path().join("data/digits");
    fs::create_dir_all(target.join("Dataset/0")).unwrap();
    fs::write(target.join("Dataset/0/mine.JPG"), "mine").unwrap();
    let (archive, requests) = serve(with_length(&packed()));

    let text = refusal_in(&around, &archive);

    assert_names(
        &text,
        &[&target.display().to_string(), "found 1 images", "--out"],
    );
    assert_eq!(requests.load(Ordering::SeqCst), 0);
}

#[test]
fn a_target_below_a_file_is_refused_before_the_download() {
    let around = TempDir::new().unwrap();
    fs::write(around.path().join("data"), "a file").unwrap();
    let (archive, requests) = serve(with_length(&packed()));

    assert_names(&refusal_in(&around, &archive), &["data", "--out"]);
    assert_eq!(requests.load(Ordering::SeqCst), 0);
}

#[test]
fn an_image_changed_later_is_found_out() {
    let around = TempDir::new().unwrap();
    let target = around.path().join("digits");
    let (archive, _) = serve(with_length(&packed()));
    fetch(&archive, &target).unwrap();

    fs::write(target.join("Dataset/9/IMG_1.JPG"), "mine").unwrap();

    assert_names(
        &format!("{:#}", fetch(&archive, &target).unwrap_err()),
        &["digest", "--out"],
    );
}
