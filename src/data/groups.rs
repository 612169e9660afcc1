//! Which images belong together, as those of one film do.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use regex_lite::Regex;

use super::listing::ImageFile;
use crate::config::data::{Group, NamedGroup};

/// Groups of images, each image in one.
#[derive(Debug)]
pub struct Groups {
    /// Of each image, an index into `names`.
    of: Vec<usize>,
    /// In the order in which their first images come.
    names: Vec<String>,
}

impl Groups {
    /// Of images, each with the name of its group.
    pub fn new(images: Vec<String>) -> Groups {
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut names = Vec::new();
        let of = images.into_iter().map(|name| {
            let next = names.len();
            *known.entry(name).or_insert_with_key(|name| {
                names.push(name.clone());
                next
            })
        });
        let of = of.collect();
        Groups { of, names }
    }

    /// The number of groups.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The group of `image`.
    pub fn of(&self, image: usize) -> usize {
        self.of[image]
    }

    /// What the group of `image` is called.
    pub fn name_of(&self, image: usize) -> &str {
        &self.names[self.of[image]]
    }

    /// The images of `pool`, group by group.
    pub fn within(&self, pool: &[usize]) -> Vec<Vec<usize>> {
        let mut groups = vec![Vec::new(); self.count()];
        pool.iter()
            .for_each(|&image| groups[self.of[image]].push(image));
        groups.retain(|group| !group.is_empty());
        groups
    }
}

/// What says to which group an image file belongs.
pub(super) enum GroupRule {
    None,
    Folder,
    Column,
    Pattern(Regex),
}

impl GroupRule {
    /// The one that `group` asks for.
    pub(super) fn new(group: &Group) -> GroupRule {
        match group {
            Group::Named(NamedGroup::None) => GroupRule::None,
            Group::Named(NamedGroup::Folder) => GroupRule::Folder,
            Group::By(by) => by.pattern.as_ref().map_or(GroupRule::Column, |pattern| {
                GroupRule::Pattern(Regex::new(pattern).expect("the experiment was checked"))
            }),
        }
    }

    /// The group of `file`; nothing where each is for itself.
    ///
    /// # Errors
    /// A name that a pattern does not match.
    pub(super) fn of(&self, file: &ImageFile) -> Result<Option<String>> {
        Ok(match self {
            GroupRule::None => None,
            GroupRule::Folder => {
                let folder = Path::new(&file.name).parent().unwrap_or(Path::new(""));
                Some(folder.to_string_lossy().into_owned())
            }
            GroupRule::Column => file.group.clone(),
            GroupRule::Pattern(regex) => Some(matched(regex, &file.name)?),
        })
    }
}

/// What the groups of `pattern` match in the last part of the path `name`; all that matches where it has no groups.
fn matched(pattern: &Regex, name: &str) -> Result<String> {
    let file = name.rsplit('/').next().unwrap_or(name);
    let found = pattern.captures(file).with_context(|| {
        format!("data.group.pattern: {pattern} does not match {file:?} ({name}); each image needs a group")
    })?;
    let groups: Vec<&str> = found
        .iter()
        .skip(usize::from(found.len() > 1))
        .map(|group| group.map_or("", |group| group.as_str()))
        .collect();
    let group = groups.join(" ");
    if group.trim().is_empty() {
        return Err(anyhow!(
            "data.group.pattern: {pattern} matches nothing in {file:?} ({name}); each image needs a group"
        ));
    }
    Ok(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_a_pattern_name_the_group_of_an_image() {
        // [" ".join(re.search(p, n.split("/")[-1]).groups()) or re.search(p, n.split("/")[-1])[0]]
        let cases = [
            (r"^(.+)_\d+\.jpg$", "0/cat_in_rain_0012.jpg", "cat_in_rain"),
            (r"film\d+", "a/b/x-film07-3.png", "film07"),
            (r"^(\w)\w*-(\d)", "0/person-7-a.png", "p 7"),
            (r"^é.", "1/éa9.png", "éa"),
        ];
        for (pattern, name, expected) in cases {
            let found = matched(&Regex::new(pattern).unwrap(), name).unwrap();
            assert_eq!(found, expected, "{pattern} in {name}");
        }
        for (pattern, name, words) in [
            (
                r"^film",
                "film/a.png",
                "data.group.pattern: ^film does not match \"a.png\" (film/a.png)",
            ),
            (
                r"^(x?)",
                "0/a.png",
                "data.group.pattern: ^(x?) matches nothing in \"a.png\" (0/a.png)",
            ),
        ] {
            let message = matched(&Regex::new(pattern).unwrap(), name).unwrap_err();
            assert!(message.to_string().starts_with(words), "{message}");
        }
    }
}
