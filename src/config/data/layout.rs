//! Where class folders lie below a root, as the names of folders tell.

use std::path::{Path, PathBuf};

/// What the folders and values of the parts are called: train, val, test.
pub const PART_WORDS: [&[&str]; 3] = [
    &["train", "training"],
    &["val", "valid", "validation", "dev"],
    &["test", "testing"],
];

/// Where class folders, or the folders of the parts with class folders in them, lie below a root.
#[derive(Debug, Default)]
pub struct Layout {
    /// Folders that lead there, each the only one in that before it.
    pub behind: Vec<String>,
    /// The folders that are parts, each with its number in [`PART_WORDS`]; none where the class folders lie there at once.
    pub parts: Vec<(usize, String)>,
}

impl Layout {
    /// Of `root`. With a `depth` nothing leads there; folders that are called like `classes` are no parts, and neither are
    /// folders without folders in them, or without the train part. What cannot be listed holds no folders.
    pub fn of(root: &Path, depth: Option<usize>, classes: Option<&[String]>) -> Layout {
        let mut layout = Layout::default();
        let (mut at, mut names) = (root.to_owned(), folders_in(root));
        while let ([only], None) = (&names[..], depth) {
            let inner = folders_in(&at.join(only));
            if inner.is_empty() {
                break;
            }
            at.push(only);
            layout.behind.push(only.clone());
            names = inner;
        }
        let asked = |classes: &[String]| classes.iter().all(|class| names.contains(class));
        if classes.is_some_and(asked) {
            return layout;
        }
        let part = |name: &String| {
            let word = name.to_lowercase();
            let number = PART_WORDS
                .iter()
                .position(|words| words.contains(&&*word))?;
            let holds_folders = !folders_in(&at.join(name)).is_empty();
            holds_folders.then(|| (number, name.clone()))
        };
        let parts: Option<Vec<_>> = names.iter().map(part).collect();
        let has_train = |parts: &Vec<_>| parts.iter().any(|(number, _)| *number == 0);
        layout.parts = parts.filter(has_train).unwrap_or_default();
        layout.parts.sort_unstable();
        layout
    }

    /// The folder that it is about, from the root.
    pub fn place(&self) -> PathBuf {
        self.behind.iter().collect()
    }
}

/// The names of the folders in `folder` that are not hidden.
fn folders_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let names = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| !name.starts_with('.') && name != "__MACOSX")
        .collect()
}
