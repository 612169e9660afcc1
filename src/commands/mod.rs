//! One file per verb, each wiring the parts of signet together; decisions live in those parts.

mod check;
mod config;
mod cv;
mod data;
mod doctor;
mod eval;
mod export;
mod launch;
mod live;
mod manual;
mod predict;
mod prove;
mod report;
mod resume;
mod runs;
mod study;
mod sweep;
mod train;
mod verify;

use std::ffi::OsString;
use std::io::Write;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::anyhow;
use serde::Serialize;

use crate::bridge::process;
use crate::cli::{self, Arguments, Command, DataCommand, FilesArguments, Overrides, completion};
use crate::config::Experiment;
use crate::config::document::{self, Document, Problems};
use crate::data::ahead::read_ahead;
use crate::data::{Dataset, residency};
use crate::disk;
use crate::distributed::launcher::Launcher;
use crate::distributed::{Ranks, tell_torchrun};
use crate::fault::{self, Blame, Fault};
use crate::messages;
use crate::model::plan;
use crate::run::display::Style;
use crate::run::interrupt;

/// What of a command line can be done before libtorch has started, which takes a fifth of a second: mistakes and questions
/// about it are answered, with the exit code as an error, and images that it will want begin to be read.
///
/// # Errors
/// There is nothing left to do.
pub fn before_libraries(words: &[OsString]) -> Result<(), u8> {
    completion::answer(words)?;
    let arguments = cli::parse(words)?;
    let own = |run: &Path| run.join("resolved.yaml");
    let (file, set) = match arguments.command {
        Command::Completions { shell } => {
            return Err(manual::print_script(shell, &words[0]).map_or(Fault::Run as u8, |()| 0));
        }
        Command::Train(command) => (command.config.clone(), command.overrides().set),
        Command::Resume(command) => (own(&command.run), command.overrides.set),
        Command::Export(command) => (own(&command.run), command.set),
        Command::Eval(command) if command.data.is_none() => {
            (own(&command.target), command.moved.set)
        }
        Command::Verify(command) => match command.against {
            Some(run) => (own(&run), command.moved.set),
            None => return Ok(()),
        },
        Command::Data(
            DataCommand::Info { config, overrides }
            | DataCommand::Check {
                config, overrides, ..
            }
            | DataCommand::Npy {
                config, overrides, ..
            },
        ) => (config, overrides.set),
        _ => return Ok(()),
    };
    // What comes out of a pipe can be read once. Whatever is wrong is said when the verb reads it.
    if file.is_file()
        && let Ok(experiment) = Experiment::load(&file, &set, &[])
        && !waits_for_another(&experiment)
    {
        read_ahead(experiment.data);
    }
    Ok(())
}

/// Whether this process is one of several, of which another may prepare the images.
fn waits_for_another(experiment: &Experiment) -> bool {
    let several = matches!(Launcher::here(), Ok(Some(launcher)) if launcher.world > 1);
    several && residency::has_cache(&experiment.data)
}

/// Does what the command line of this process asks for, says on standard error what went wrong, a panic too, in a line
/// for each problem, and answers with the exit code.
pub fn main() -> u8 {
    process::libraries_have_started();
    fault::report_panics_in_one_line();
    let words: Vec<OsString> = std::env::args_os().collect();
    let arguments = match completion::answer(&words).and_then(|()| cli::parse(&words)) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let usual = usual_fault(&arguments.command);
    let fault = match catch_unwind(|| run(arguments)) {
        Ok(Ok(())) => return 0,
        Ok(Err(error)) => {
            tell_torchrun(&error);
            messages::complain(&document::lines_of(&error));
            let of_config = fault::cause::<Problems>(&error).map(|_| Fault::Config);
            fault::fault_of(&error).or(of_config).unwrap_or(usual)
        }
        Err(_) => Fault::Internal,
    };
    fault as u8
}

/// Whose fault an error of `command` is where nothing closer to its cause has said.
fn usual_fault(command: &Command) -> Fault {
    match command {
        Command::Config(_) | Command::Completions { .. } => Fault::Config,
        Command::Data(_) => Fault::Data,
        Command::Verify(_) => Fault::Export,
        Command::Train(_)
        | Command::Resume(_)
        | Command::Cv(_)
        | Command::Sweep(_)
        | Command::Runs(_)
        | Command::Report(_)
        | Command::Eval(_)
        | Command::Predict(_)
        | Command::Export(_)
        | Command::Doctor
        | Command::Man { .. } => Fault::Run,
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let style = arguments.style();
    messages::set_up(arguments.level(), arguments.color, style == Style::Json);
    if let (Command::Train(_) | Command::Resume(_), Ok(Some(launcher))) =
        (&arguments.command, Launcher::here())
        && launcher.world > 1
    {
        messages::speak_as(launcher.rank);
    }
    process::has_working_folder().blame(Fault::Config)?;
    interrupt::tell_limits()?;
    process::start_workers().blame(Fault::Run)?;
    match arguments.command {
        Command::Train(command) => train::run(command, style),
        Command::Resume(command) => resume::run(command, style),
        Command::Cv(command) => cv::run(command, style),
        Command::Sweep(command) => sweep::run(command, style),
        Command::Runs(command) => runs::run(command),
        Command::Report(command) => report::run(command),
        Command::Eval(command) => eval::run(command),
        Command::Predict(command) => predict::run(command),
        Command::Export(command) => export::run(command),
        Command::Verify(command) => verify::run(command),
        Command::Doctor => doctor::run(),
        Command::Config(command) => config::run(command),
        Command::Data(command) => data::run(command, style),
        Command::Completions { shell } => {
            let called = std::env::args_os().next().unwrap_or("signet".into());
            manual::print_script(shell, &called)
        }
        Command::Man { dir } => manual::write_pages(&dir),
    }
}

/// Prints `shown`, and writes the same as JSON and CSV where that is wanted; what goes to standard output goes there alone.
fn tell(
    files: &FilesArguments,
    shown: &str,
    found: &impl Serialize,
    csv: impl Fn() -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    let to_stdout = |file: &Option<PathBuf>| file.as_deref() == Some(Path::new("-"));
    if files.json.is_some() && files.json == files.csv {
        return Err(anyhow!(
            "--json and --csv both write to {}; name another file for one of them",
            files.json.as_deref().unwrap_or(Path::new("-")).display()
        ))
        .blame(Fault::Config);
    }
    if !to_stdout(&files.json) && !to_stdout(&files.csv) {
        messages::show_text(shown)?;
    }
    if let Some(file) = &files.json {
        let text = serde_json::to_string_pretty(found)? + "\n";
        write_text(file, &text)?;
    }
    if let Some(file) = &files.csv {
        write_text(file, &csv()?)?;
    }
    Ok(())
}

/// Writes `text` to `file`; `-` is standard output.
fn write_text(file: &Path, text: &str) -> anyhow::Result<()> {
    if file == Path::new("-") {
        return messages::heard(std::io::stdout().write_all(text.as_bytes()));
    }
    disk::write_named(file, text.as_bytes()).blame(Fault::Run)
}

/// Says what one should know of how the data was read, and what was left out of it.
fn report_reading(data: &Dataset) {
    for note in &data.notes {
        crate::status!("signet: {note}");
    }
    const SHOWN: usize = 3;
    let named = |(name, why): &(String, String)| format!("{name} {why}");
    let first: Vec<String> = data.left_out.iter().take(SHOWN).map(named).collect();
    let more = match data.left_out.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("; and {more} more, which --verbose and `signet data info` name"),
    };
    if !first.is_empty() {
        let count = data.left_out.len();
        crate::status!("signet: left out {count}: {}{more}", first.join("; "));
    }
    for left_out in data.left_out.iter().map(named) {
        crate::verbose!("left out: {left_out}");
    }
}

/// The processes that train a run together, this one among them; each waits for the others as many seconds as `timeout`.
fn meet(timeout: usize) -> anyhow::Result<Rc<Ranks>> {
    let Some(launcher) = Launcher::here()? else {
        if let Some(remark) = Launcher::remark() {
            crate::status!("signet: {remark}");
        }
        return Ok(Rc::new(Ranks::alone()));
    };
    let ranks = Ranks::meet(&launcher, Duration::from_secs(timeout as u64))?;
    Ok(Rc::new(ranks))
}

/// Reads an experiment under every rule there is.
fn load(file: &Path, overrides: &Overrides) -> anyhow::Result<Experiment> {
    Ok(open(file, overrides)?.0)
}

/// The same, with the document it came from.
fn open(file: &Path, overrides: &Overrides) -> anyhow::Result<(Experiment, Document)> {
    let document = Document::open(file, &overrides.set)?;
    let experiment = Experiment::from_document(&document, file, &[plan::check])?;
    Ok((experiment, document))
}
