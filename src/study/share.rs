//! A share of the trials of a study, `K/N`: what one job of an array trains, the other jobs being on other machines.

use std::fmt;
use std::str::FromStr;

/// The `number`-th of `of` shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Which one, from 1 on.
    number: usize,
    /// How many there are.
    of: usize,
}

impl Share {
    /// Whether the trial at `place` of a list is in it. Places are dealt in turn, so that no share has two trials more than
    /// another, and none depends on what other jobs do.
    pub fn holds(self, place: usize) -> bool {
        place % self.of == self.number - 1
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(word: &str) -> Result<Share, String> {
        let numbers = word.split_once('/');
        let numbers =
            numbers.and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Share { number, of }),
            Some((_, of)) if of > 0 => Err(format!(
                "K counts from 1 to N, here 1/{of} to {of}/{of} (as in sbatch --array=1-{of})"
            )),
            _ => {
                Err("expected the number of a share and how many there are, such as 1/4".to_owned())
            }
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trial_is_in_one_share_and_no_share_has_two_more_than_another() {
        for of in 1..=6 {
            let shares: Vec<Share> = (1..=of).map(|number| Share { number, of }).collect();
            for trials in 0..=13 {
                let sizes = shares
                    .iter()
                    .map(|share| (0..trials).filter(|&place| share.holds(place)).count());
                let sizes: Vec<usize> = sizes.collect();
                assert_eq!(sizes.iter().sum::<usize>(), trials);
                assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            }
        }
    }

    #[test]
    fn a_share_is_read_as_it_is_written_and_counts_from_one() {
        for word in ["1/1", "1/4", "4/4", "10/12"] {
            assert_eq!(word.parse::<Share>().unwrap().to_string(), word);
        }
        for word in ["0/4", "5/4"] {
            let why = word.parse::<Share>().unwrap_err();
            assert!(
                why.starts_with("K counts from 1 to N, here 1/4 to 4/4"),
                "{why}"
            );
        }
        for word in [
            "",
            "x",
            "3",
            "/",
            "1/",
            "/4",
            "0/0",
            "1/0",
            "-1/4",
            "1/4/2",
            "1.5/4",
            "1/99999999999999999999",
        ] {
            let why = word.parse::<Share>().unwrap_err();
            assert!(why.ends_with("such as 1/4"), "{word}: {why}");
        }
    }
}
