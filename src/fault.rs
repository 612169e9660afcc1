//! Whose fault an error is, which decides the exit code.

use std::fmt;

/// The kinds of failure a user can tell apart by the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// signet's own.
    Internal = 1,
    /// The command line or the experiment file.
    Config = 2,
    /// Pictures, labels, splits.
    Data = 3,
    /// Run directories and weights.
    Run = 4,
    /// A loss or gradient that is not finite.
    Diverged = 6,
}

/// An error whose fault is known. It reads exactly as the error inside.
#[derive(Debug)]
struct Blamed {
    fault: Fault,
    error: anyhow::Error,
}

impl fmt::Display for Blamed {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl std::error::Error for Blamed {}

/// Says whose fault an error is.
pub trait Blame<T> {
    /// Marks the error, if there is one, with `fault`.
    ///
    /// # Errors
    /// The same error, marked.
    fn blame(self, fault: Fault) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Blame<T> for Result<T, E> {
    fn blame(self, fault: Fault) -> anyhow::Result<T> {
        self.map_err(|error| {
            anyhow::Error::new(Blamed {
                fault,
                error: error.into(),
            })
        })
    }
}

/// The fault `error` was marked with; an unmarked one is signet's own.
pub fn fault_of(error: &anyhow::Error) -> Fault {
    error
        .downcast_ref::<Blamed>()
        .map_or(Fault::Internal, |blamed| blamed.fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_fault_survives_context_and_leaves_the_sentence_alone() {
        let inner = anyhow::anyhow!("no such file").context("cannot read x.png");
        let error = Err::<(), _>(inner)
            .blame(Fault::Data)
            .context("loading pictures")
            .unwrap_err();
        assert_eq!(fault_of(&error), Fault::Data);
        assert_eq!(
            format!("{error:#}"),
            "loading pictures: cannot read x.png: no such file"
        );
        assert_eq!(fault_of(&anyhow::anyhow!("surprise")), Fault::Internal);
    }
}
