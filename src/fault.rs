//! Whose fault an error is, which decides the exit code.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The kinds of failure a user can tell apart by the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// signet's own: a panic.
    Internal = 1,
    /// The command line or the experiment file.
    Config = 2,
    /// Images, labels, splits.
    Data = 3,
    /// Run directories and weights.
    Run = 4,
    /// An artefact that is not what the live model is.
    Export = 5,
    /// A loss or gradient that is not finite.
    Diverged = 6,
    /// Nobody's: SIGINT stopped it, after a checkpoint.
    Interrupted = 130,
    /// Nobody's: SIGTERM, SIGUSR1, SIGUSR2 or SIGHUP stopped it, after a checkpoint.
    Terminated = 143,
}

impl Fault {
    /// Every fault, by exit code.
    pub const ALL: [Fault; 8] = [
        Fault::Internal,
        Fault::Config,
        Fault::Data,
        Fault::Run,
        Fault::Export,
        Fault::Diverged,
        Fault::Interrupted,
        Fault::Terminated,
    ];

    /// What the exit code says, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Fault::Internal => "a fault of signet's own",
            Fault::Config => "command line or config",
            Fault::Data => "data",
            Fault::Run => "run",
            Fault::Export => "an artefact that fails its check",
            Fault::Diverged => "training diverged",
            Fault::Interrupted => "stopped by SIGINT",
            Fault::Terminated => "by SIGTERM, SIGUSR1, SIGUSR2 or SIGHUP, after a checkpoint",
        }
    }

    /// Of a run that `signal` stopped.
    pub fn stopped_by(signal: i32) -> Fault {
        match signal {
            signal_hook::consts::SIGINT => Fault::Interrupted,
            _ => Fault::Terminated,
        }
    }
}

/// Every exit code with its meaning, for `signet --help`.
pub fn exit_codes() -> String {
    let codes = Fault::ALL.map(|fault| format!("{} {}", fault as u8, fault.meaning()));
    format!(
        "Exit codes: 0 done, {}; a second signal ends it at once.",
        codes.join(", ")
    )
}

/// An error whose fault was said. It reads exactly as the error inside.
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

/// Says whose fault an error is, where that is not the usual one of the verb.
pub trait Blame<T> {
    /// Marks the error, if there is one, with `fault`; what was said closer to the cause stays.
    ///
    /// # Errors
    /// The same error, marked.
    fn blame(self, fault: Fault) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Blame<T> for Result<T, E> {
    fn blame(self, fault: Fault) -> anyhow::Result<T> {
        self.map_err(|error| {
            let error = error.into();
            match fault_of(&error) {
                Some(_) => error,
                None => anyhow::Error::new(Blamed { fault, error }),
            }
        })
    }
}

/// The fault `error` was marked with.
pub fn fault_of(error: &anyhow::Error) -> Option<Fault> {
    let blamed = error.downcast_ref::<Blamed>();
    blamed.map(|blamed| blamed.fault)
}

/// The error of type `T` in `error`, whoever is to blame.
pub fn cause<T: fmt::Display + fmt::Debug + Send + Sync + 'static>(
    error: &anyhow::Error,
) -> Option<&T> {
    let blamed = error.downcast_ref::<Blamed>().map(|blamed| &blamed.error);
    blamed.unwrap_or(error).downcast_ref()
}

/// The longest message of a panic that is shown, in characters.
const LONGEST: usize = 500;

thread_local! {
    /// Whether a panic of this thread belongs to one item and is told as its error.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Does `work` of one item among many, in code that is not ours: a panic in it is that item's error.
///
/// # Errors
/// Those of `work`, and its panic.
pub fn contained<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    CONTAINED.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(false);
    done.unwrap_or_else(|payload| {
        Err(anyhow::anyhow!(
            "brings its reader down ({}); please report it",
            words_of(&*payload)
        ))
    })
}

/// What a panic says, on one line.
fn words_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or(payload.downcast_ref::<&str>().copied());
    let words = crate::bridge::first_words(text.unwrap_or("no message"));
    words.chars().take(LONGEST).collect()
}

/// Makes a panic one line on standard error.
pub fn report_panics_in_one_line() {
    std::panic::set_hook(Box::new(|panic| {
        if CONTAINED.get() {
            return;
        }
        let place = panic.location().map_or(String::new(), |at| {
            format!(" ({}:{})", at.file(), at.line())
        });
        let words = words_of(panic.payload());
        crate::error!("a fault of signet's own{place}: {words}; please report it");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_fault_nearest_to_the_cause_stays_and_leaves_the_sentence_alone() {
        let inner = anyhow::anyhow!("no such file").context("cannot read x.png");
        let error = Err::<(), _>(inner)
            .blame(Fault::Data)
            .context("loading images")
            .blame(Fault::Run)
            .unwrap_err();
        assert_eq!(fault_of(&error), Some(Fault::Data));
        assert_eq!(
            format!("{error:#}"),
            "loading images: cannot read x.png: no such file"
        );
        assert_eq!(fault_of(&anyhow::anyhow!("surprise")), None);
    }

    #[test]
    fn a_panic_in_the_work_of_one_item_is_its_error() {
        let done: anyhow::Result<()> = contained(|| panic!("index {} out of range", 7));
        let message = done.unwrap_err().to_string();
        assert!(message.contains("(index 7 out of range)"), "{message}");
        assert_eq!(contained(|| Ok(1)).unwrap(), 1);
    }
}
