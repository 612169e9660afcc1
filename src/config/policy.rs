//! What a changed key means for a run that goes on.

use serde::{Deserialize, Serialize};

/// What may become of a key between two launches of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// The run goes on: what was learned so far would have been the same.
    Free,
    /// Another run branches off: what follows differs from what the run would have been.
    Branch,
    /// Nothing learned so far would mean the same.
    Refused,
}

impl Policy {
    /// What it means, in a line.
    pub fn meaning(self) -> &'static str {
        match self {
            Policy::Free => "free: the run goes on",
            Policy::Branch => "branch: needs --as NAME, under which another run branches off",
            Policy::Refused => "refused: nothing learned so far would mean the same",
        }
    }

    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Policy::Free => "free",
            Policy::Branch => "branch",
            Policy::Refused => "refused",
        }
    }
}
