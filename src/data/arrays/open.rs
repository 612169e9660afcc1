//! Finding an array: a `.npy` file, or a member of a `.npz` archive, named as if the archive were a folder.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{BufReader, Read, Seek};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use zip::ZipArchive;

use super::array::Array;

/// The most that deflate makes of one byte (RFC 1951: 258 bytes of two bits).
const BEST_DEFLATE: u64 = 1032;

/// How many arrays of an archive a message lists.
const LISTED: usize = 12;

/// Opens the array at `path` and hands it to `job`; `key` is the setting that names it.
///
/// # Errors
/// A path where no array is, an archive that leaves open which, and whatever `job` says.
pub(super) fn open<T>(key: &str, path: &Path, job: impl FnOnce(Array) -> Result<T>) -> Result<T> {
    let is_file = |path: &&Path| path.metadata().is_ok_and(|found| found.is_file());
    // Below a file no file can lie, so what stands there is a name in an archive.
    let (file, member) = match path.ancestors().skip(1).find(is_file) {
        Some(archive) => (archive, path.strip_prefix(archive).ok()),
        None => (path, None),
    };
    let place = || format!("{}: cannot be read", file.display());
    let mut opened = open_file(file)?;
    let size = opened.metadata().with_context(place)?.len();
    let mut magic = Vec::new();
    opened
        .by_ref()
        .take(2)
        .read_to_end(&mut magic)
        .with_context(place)?;
    opened.rewind().with_context(place)?;
    let mut opened = BufReader::new(opened);
    if magic != b"PK" {
        if let Some(member) = member {
            bail!(
                "{}: is no .npz archive, so it holds no {}",
                file.display(),
                member.display()
            );
        }
        let load = format!("numpy.load({:?})", path.display().to_string());
        return job(Array::begin(
            path.display().to_string(),
            load,
            &mut opened,
            size,
        )?);
    }
    let mut archive = ZipArchive::new(opened)
        .with_context(|| format!("{}: is damaged, or no .npz archive", file.display()))?;
    let mut names: Vec<String> = archive
        .file_names()
        .filter(|name| name.ends_with(".npy"))
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    let wanted = member.map(|member| member.display().to_string());
    let is_wanted = |name: &&String| match &wanted {
        Some(wanted) => *name == wanted || name.strip_suffix(".npy") == Some(wanted),
        None => names.len() == 1,
    };
    let Some(name) = names.iter().find(is_wanted) else {
        bail!(
            "{}",
            choice(key, file, &mut archive, &names, wanted.as_deref())
        );
    };
    member_of(&mut archive, file, size, name, job)
}

/// Opens the array `name` of `archive`, which is `size` bytes long.
fn member_of<T>(
    archive: &mut ZipArchive<BufReader<File>>,
    file: &Path,
    size: u64,
    name: &str,
    job: impl FnOnce(Array) -> Result<T>,
) -> Result<T> {
    let bare = name.strip_suffix(".npy").unwrap_or(name);
    let place = format!("{}/{bare}", file.display());
    let mut body = archive
        .by_name(name)
        .with_context(|| format!("{place}: cannot be unpacked"))?;
    let (packed, unpacked) = (body.compressed_size(), body.size());
    ensure!(
        packed <= size && unpacked / BEST_DEFLATE <= packed,
        "{place}: is said to unpack {packed} bytes of {size} to {unpacked}, which cannot be; write the archive again with numpy.savez"
    );
    let load = format!("numpy.load({:?})[{bare:?}]", file.display().to_string());
    job(Array::begin(place, load, &mut body, unpacked)?)
}

/// What to say where an archive leaves open which of its arrays is meant.
fn choice(
    key: &str,
    file: &Path,
    archive: &mut ZipArchive<BufReader<File>>,
    names: &[String],
    wanted: Option<&str>,
) -> String {
    let shown = file.display();
    if names.is_empty() {
        return format!("{shown}: holds no array; numpy.savez writes archives of them");
    }
    let (mut list, mut example) = (Vec::new(), None);
    for name in names.iter().take(LISTED) {
        let bare = name.strip_suffix(".npy").unwrap_or(name);
        let describe = |array: Array| Ok(format!("{:?} {}", array.shape, array.element));
        // Held against its own claim alone: the numbers are not read here.
        match member_of(archive, file, u64::MAX, name, describe) {
            Ok(described) => {
                example.get_or_insert(bare);
                list.push(format!("{bare:?} ({described})"));
            }
            Err(_) => list.push(format!("{bare:?} (of a type that is not read)")),
        }
    }
    if names.len() > LISTED {
        list.push(format!("{} more", names.len() - LISTED));
    }
    let problem = match wanted {
        Some(wanted) => format!("has no {wanted:?} but"),
        None => "holds".to_owned(),
    };
    let example = example.unwrap_or(&names[0]);
    format!(
        "{shown}: {problem} {}; name one, such as data.source.{key}: {shown}/{example}",
        list.join(", ")
    )
}

/// Opens a file of its own. A pipe would wait for somebody to write, so it is not opened, and not waited for if it takes
/// the file's place meanwhile.
#[allow(clippy::disallowed_methods)] // for reading
fn open_file(path: &Path) -> Result<File> {
    let place = || format!("{}: cannot be read", path.display());
    check_kind(path, &path.metadata().with_context(place)?)?;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .with_context(place)?;
    check_kind(path, &opened.metadata().with_context(place)?)?;
    Ok(opened)
}

fn check_kind(path: &Path, found: &Metadata) -> Result<()> {
    let kind = found.file_type();
    let kind = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    bail!("{}: is {kind}, not a .npy or .npz file", path.display())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;
    use crate::data::arrays::header::written;
    use crate::data::arrays::number::Type;

    fn archive(method: CompressionMethod) -> Vec<u8> {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["a.npy", "b.npy"] {
            // As numpy writes them, with the sizes of large archives.
            let options = SimpleFileOptions::default()
                .compression_method(method)
                .large_file(true);
            archive.start_file(name, options).unwrap();
            archive.write_all(&written("|u1", &[4])).unwrap();
            archive.write_all(&[1, 2, 3, 4]).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    fn read(path: &Path) -> Result<Vec<f32>> {
        open("images", path, |mut array| {
            let mut found = Vec::new();
            array.each(Type::floats, |_, _, number| found.push(number))?;
            Ok(found)
        })
    }

    #[test]
    fn an_archive_changed_or_cut_anywhere_is_read_or_refused_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.npz");
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let whole = archive(method);
            std::fs::write(&file, &whole).unwrap();
            assert_eq!(read(&file.join("b")).unwrap(), [1.0, 2.0, 3.0, 4.0]);
            for at in 0..whole.len() {
                std::fs::write(&file, &whole[..at]).unwrap();
                assert!(
                    read(&file.join("b")).is_err(),
                    "{at} of {} bytes",
                    whole.len()
                );
                for byte in [0, 0xFF, whole[at] ^ 1] {
                    let mut changed = whole.clone();
                    changed[at] = byte;
                    std::fs::write(&file, &changed).unwrap();
                    // Numbers that are read at all are the right ones.
                    if let Ok(found) = read(&file.join("b")) {
                        assert_eq!(found, [1.0, 2.0, 3.0, 4.0], "byte {at} as {byte}");
                    }
                    let _ = read(&file);
                }
            }
        }
    }
}
