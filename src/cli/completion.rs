//! Completion in shells. The script that `signet completions SHELL` prints has the shell call this program with the words
//! so far; it answers with what may stand at the cursor, before libtorch is loaded.

use std::ffi::{OsStr, OsString};
use std::io::{Result as IoResult, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
    complete,
};
use clap_complete::env::{CompleteEnv, Elvish, EnvCompleter, Fish, Powershell, Shells};

use super::Arguments;
use crate::config::model::ModelKind;
use crate::config::reference::{Holds, Line, lines, plain};
use crate::messages::shell_quote;

/// The variable that says which shell asks.
const VARIABLE: &str = "SIGNET_COMPLETE";

const SHELLS: Shells = Shells(&[&Bash, &Elvish, &Fish, &Powershell, &Zsh]);

/// Answers a shell that asks what may stand at the cursor.
///
/// # Errors
/// It was asked, and has been answered: the exit code.
pub fn answer(words: &[OsString]) -> Result<(), u8> {
    let folder = std::env::current_dir().ok();
    let answer = CompleteEnv::with_factory(Arguments::command)
        .var(VARIABLE)
        .shells(SHELLS)
        .try_complete(words.iter().cloned(), folder.as_deref());
    match answer {
        Ok(false) => Ok(()),
        Ok(true) => Err(std::io::stdout().flush().map_or(4, |()| 0)),
        Err(error) => {
            let _ = error.print();
            Err(2)
        }
    }
}

/// The script by which `shell` completes calls of `program`.
pub fn script(shell: Shell, program: &Path) -> String {
    let mut script = Vec::new();
    let own = SHELLS.completer(&shell.to_string());
    let program = program.to_string_lossy();
    own.expect("each shell has one")
        .write_registration(VARIABLE, "signet", "signet", &program, &mut script)
        .expect("memory can be written");
    String::from_utf8_lossy(&script).into_owned()
}

/// Experiment files, and the folders on the way to them.
pub fn experiments() -> ArgValueCompleter {
    let is_yaml = |path: &Path| {
        let extension = path.extension().and_then(OsStr::to_str);
        extension.is_some_and(|extension| ["yaml", "yml"].contains(&extension))
    };
    ArgValueCompleter::new(PathCompleter::any().filter(is_yaml))
}

/// Run directories, first those in the folder where runs lie by default, and the folders on the way to others.
pub fn runs() -> ArgValueCompleter {
    let is_run = |path: &Path| path.join("resolved.yaml").is_file();
    let paths = PathCompleter::any().filter(is_run);
    ArgValueCompleter::new(move |current: &OsStr| {
        if is_run(Path::new(current)) {
            return vec![CompletionCandidate::new(current)];
        }
        let mut found = Vec::new();
        if current.is_empty() {
            let usual = paths.complete(OsStr::new("runs/")).into_iter();
            found.extend(usual.filter(|run| is_run(Path::new(run.get_value()))));
        }
        found.extend(paths.complete(current));
        found
    })
}

/// Kinds of models.
pub fn kinds() -> ArgValueCandidates {
    let candidates = || ModelKind::WORDS.iter().map(CompletionCandidate::new);
    ArgValueCandidates::new(move || candidates().collect())
}

/// Keys of an experiment, a step at a time as in a path.
pub fn keys() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| keys_from(&current.to_string_lossy(), ""))
}

/// `KEY=VALUE` for a key that begins with `within`: first the key, a step at a time, then the values it takes.
pub fn settings(within: &'static str) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let current = current.to_string_lossy();
        let found = match current.split_once('=') {
            None => keys_from(&current, "="),
            Some((key, value)) => values_of(key, value),
        };
        let fits = |found: &CompletionCandidate| {
            let found = found.get_value().to_string_lossy();
            found.starts_with(within) || within.starts_with(&*found)
        };
        found.into_iter().filter(fits).collect()
    })
}

/// The keys that `current` may become, each with `end` unless it is a section, whose keys come behind a dot.
fn keys_from(current: &str, end: &str) -> Vec<CompletionCandidate> {
    let all = lines();
    let (section, step) = current.rsplit_once('.').unwrap_or(("", current));
    let path = |name: &str| match section {
        "" => name.to_owned(),
        section => format!("{section}.{name}"),
    };
    // Of a list of sections, the first item is offered, and whichever else somebody begins to write.
    let item = section.rsplit('.').next().unwrap_or_default();
    let is_list = |line: &&Line| line.key == plain(section, &all) && line.holds == Holds::Sections;
    if item.parse::<usize>().is_err() && all.iter().any(|line| is_list(&line)) {
        let item = step.parse().unwrap_or(0);
        return vec![CompletionCandidate::new(path(&format!("{item}.")))];
    }
    // A section that holds what is above it has the keys of that.
    let section = plain(&path(""), &all);
    let mut found: Vec<CompletionCandidate> = Vec::new();
    for line in &all {
        let name = line.key.strip_prefix(&section).unwrap_or(".");
        if name.contains('.') || !name.starts_with(step) {
            continue;
        }
        let mut add = |end: &str| {
            let value = path(name) + end;
            if !found.iter().any(|known| *known.get_value() == *value) {
                found.push(CompletionCandidate::new(value).help(Some(line.about.into())));
            }
        };
        match line.holds {
            Holds::Section => add("."),
            Holds::Sections => {
                add(end);
                add(".");
            }
            Holds::Choices(_) | Holds::Path | Holds::Open => add(end),
        }
    }
    found
}

/// What may stand behind `key=`, of which `value` is written: choices, paths, or the default.
fn values_of(key: &str, value: &str) -> Vec<CompletionCandidate> {
    let all = lines();
    let plain = plain(key, &all);
    let mut values: Vec<OsString> = Vec::new();
    for line in all.iter().filter(|line| line.key == plain) {
        match &line.holds {
            Holds::Choices(choices) => values.extend(choices.iter().map(OsString::from)),
            Holds::Path => {
                let found = PathCompleter::any().complete(OsStr::new(value));
                values.extend(found.iter().map(|found| found.get_value().to_owned()));
            }
            Holds::Open => values.extend(line.default.as_ref().ok().map(OsString::from)),
            Holds::Section | Holds::Sections => {}
        }
    }
    let mut found: Vec<CompletionCandidate> = Vec::new();
    for own in values {
        let whole: OsString = [OsStr::new(key), OsStr::new("="), &own]
            .into_iter()
            .collect();
        let begins = own.to_string_lossy().starts_with(value);
        if begins && !found.iter().any(|known| *known.get_value() == whole) {
            found.push(CompletionCandidate::new(whole));
        }
    }
    found
}

/// Bash, which takes `a.b=c` for three words, so that these are put together again.
struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
    }

    fn write_registration(
        &self,
        variable: &str,
        _: &str,
        program: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> IoResult<()> {
        let completer = shell_quote(Path::new(completer));
        write!(
            out,
            r#"_{program}() {{
    local IFS=$'\013' words=("${{COMP_WORDS[@]}}")
    # What stands behind the cursor does not count. A separator under it does: bash hands it over as nothing.
    [[ ${{words[COMP_CWORD]}} == [=:] ]] || words[COMP_CWORD]=$2
    COMPREPLY=($(_CLAP_IFS=$IFS _CLAP_COMPLETE_INDEX=$COMP_CWORD {variable}=bash {completer} -- "${{words[@]}}"))
    if [[ ${{#COMPREPLY[@]}} == 1 && ${{COMPREPLY[0]}} == *[=/.] ]]; then
        compopt -o nospace
    fi
}}
complete -o bashdefault -F _{program} {program}
"#
        )
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        out: &mut dyn Write,
    ) -> IoResult<()> {
        let index = number_in("_CLAP_COMPLETE_INDEX").unwrap_or(words.len());
        let (words, index) = put_together(&words, index);
        // It replaces what stands behind the last separator alone.
        let typed = words[index].to_string_lossy();
        let separators = [':', '='];
        let kept = typed.rfind(separators).map_or(0, |at| at + 1);
        for found in complete(command, words.clone(), index, folder)? {
            let found = found.get_value().to_string_lossy();
            write!(out, "{}\x0b", found.get(kept..).unwrap_or_default())?;
        }
        Ok(())
    }
}

fn number_in(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}

/// `words` with those that bash cut at `=` and `:` as one, and which of them that at `index` is part of.
fn put_together(words: &[OsString], index: usize) -> (Vec<OsString>, usize) {
    let separates = |word: &OsString| word == "=" || word == ":";
    let mut whole: Vec<OsString> = Vec::new();
    let (mut at, mut before) = (0, false);
    for (number, word) in words.iter().enumerate() {
        let separator = separates(word);
        match whole.last_mut() {
            Some(last) if before || separator => last.push(word),
            _ => whole.push(word.clone()),
        }
        before = separator;
        if number <= index {
            at = whole.len() - 1;
        }
    }
    if index >= words.len() {
        whole.push(OsString::new());
        at = whole.len() - 1;
    }
    (whole, at)
}

/// Zsh, which is to write no space behind what goes on.
struct Zsh;

impl EnvCompleter for Zsh {
    fn name(&self) -> &'static str {
        "zsh"
    }

    fn is(&self, name: &str) -> bool {
        name == "zsh"
    }

    fn write_registration(
        &self,
        variable: &str,
        _: &str,
        program: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> IoResult<()> {
        let completer = shell_quote(Path::new(completer));
        write!(
            out,
            r#"#compdef {program}
_{program}() {{
    local -a open=() whole=()
    local found
    for found in "${{(@f)$(_CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$((CURRENT - 1)) {variable}=zsh {completer} -- "${{words[@]}}" 2>/dev/null)}}"; do
        case "${{found%%:*}}" in
            *[=/.]) open+=("$found") ;;
            ?*) whole+=("$found") ;;
        esac
    done
    [[ -n $open ]] && _describe -V 'values' open -S ''
    [[ -n $whole ]] && _describe -V 'values' whole
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _{program} "$@"
else
    compdef _{program} {program}
fi
"#
        )
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        out: &mut dyn Write,
    ) -> IoResult<()> {
        clap_complete::env::Zsh.write_complete(command, words, folder, out)
    }
}
