//! Making sure that all processes do the same before they begin: a digest of what each of them knows is gathered, and where two
//! differ, what differs is looked up and named.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::Tensor;

use super::ranks::Ranks;

/// What a process knows and the others should know alike: plural names and values, the most telling first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Facts(Vec<(String, String)>);

impl Facts {
    /// With one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Facts {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// Makes sure that all processes know the same.
    ///
    /// # Errors
    /// What differs, and in which rank; the same sentence in all of them.
    pub fn agree(&self, ranks: &Ranks) -> Result<()> {
        if ranks.world() == 1 {
            return Ok(());
        }
        let text = serde_json::to_string(self)?;
        let own = Tensor::from_slice(&Sha256::digest(&text)[..]);
        ranks.leave(&format!("facts/{}", ranks.rank()), &text)?;
        let all = ranks.gather_patiently(&own)?;
        let differs = |rank: &usize| !all.get(*rank as i64).equal(&all.get(0));
        let Some(other) = (1..ranks.world()).find(differs) else {
            return Ok(());
        };
        let known = |rank| -> Result<Facts> {
            Ok(serde_json::from_str(
                &ranks.find(&format!("facts/{rank}"), rank)?,
            )?)
        };
        let (first, second) = (known(0)?, known(other)?);
        let mut pairs = first.0.iter().zip(&second.0);
        match pairs.find(|((_, first), (_, second))| first != second) {
            Some(((name, first), (_, second))) => bail!(
                "{name} of the processes differ: {second} in rank {other}, but {first} in rank 0; start all of them alike"
            ),
            None => bail!("rank {other} is another version of signet than rank 0"),
        }
    }
}
