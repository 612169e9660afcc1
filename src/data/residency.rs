//! Where the pixels of an experiment are while it runs, as `data.residency` says or as there is room.

use std::path::{Path, PathBuf};

use crate::config::data::{Cache, DataConfig, Residency};

/// The share of the free memory that images may take, so that a model has room, too.
const SHARE: f64 = 0.5;

/// Whether images are read from their files when they are needed, and what is to be said of that.
pub(super) fn streams(config: &DataConfig, images: usize) -> (bool, Option<String>) {
    let bytes = images as u64 * config.image.bytes() as u64;
    let room = free_memory().map(|free| (free as f64 * SHARE) as u64);
    let mebibytes = |bytes: u64| format!("{} MiB", bytes >> 20);
    match (config.residency, room) {
        (Residency::Stream, _) => (true, None),
        (Residency::Auto, Some(room)) if bytes > room => {
            let note = format!(
                "the images take {} and half of the free memory is {}, so they are read from the disk when they are needed \
                 (data.residency)",
                mebibytes(bytes),
                mebibytes(room)
            );
            (true, Some(note))
        }
        _ => (false, None),
    }
}

/// Whether there is a cache of prepared images, as far as `config` alone says.
pub fn has_cache(config: &DataConfig) -> bool {
    let streams = config.residency == Residency::Stream;
    cache(config, streams).is_some()
}

/// The folder of prepared images, if there is to be one: where one was named, or for images that are streamed.
pub(super) fn cache(config: &DataConfig, streams: bool) -> Option<PathBuf> {
    match &config.cache {
        Cache::Folder(folder) => Some(folder.clone()),
        Cache::Auto if streams => {
            let named = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty());
            let home = || named("HOME").map(|home| Path::new(&home).join(".cache"));
            let above = named("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
            above.map(|above| above.join("signet"))
        }
        Cache::Auto | Cache::None => None,
    }
}

/// Bytes that this process may take without pushing anybody out: of the machine, and of its control groups. Nothing where
/// nobody says, as on other systems than Linux.
fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kilobytes = after(&text, "MemAvailable:")?.strip_suffix(" kB")?;
    let free = kilobytes.parse::<u64>().ok()? * 1024;
    // As the second version of control groups has it, and the first.
    let versions = [
        ("0::/", "", "memory.max", "memory.current"),
        (
            ":memory:/",
            "memory",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
        ),
    ];
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let left = versions
        .into_iter()
        .filter_map(|(mark, mount, limit, used)| {
            let path = own
                .lines()
                .find_map(|line| Some(line.split_once(mark)?.1))?;
            let mount = Path::new("/sys/fs/cgroup").join(mount);
            // The limit of a group holds for those in it, too.
            let groups = Path::new(path).ancestors().map(|group| mount.join(group));
            groups
                .filter_map(|group| left_in(&group, limit, used))
                .min()
        });
    Some(left.fold(free, u64::min))
}

/// Bytes that a control group has left, counting those of files that it can let go.
fn left_in(group: &Path, limit: &str, used: &str) -> Option<u64> {
    let read = |name: &str| std::fs::read_to_string(group.join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    let files = read("memory.stat").and_then(|text| after(&text, "inactive_file ")?.parse().ok());
    let used = number(used)?.saturating_sub(files.unwrap_or(0));
    Some(number(limit)?.saturating_sub(used))
}

/// What stands behind `name` in its line.
fn after<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}
