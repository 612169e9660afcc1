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

const SHELLS: Shells = Shells(&[&BASH, &Elvish, &Fish, &Powershell, &ZSH]);

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
        // What lies in a run is none.
        if current.to_string_lossy().ends_with('/') && is_run(Path::new(current)) {
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
pub fn settings(within: &'static [&'static str]) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let current = current.to_string_lossy();
        let found = match current.split_once('=') {
            None => keys_from(&current, "="),
            Some((key, value)) => values_of(key, value),
        };
        let fits = |found: &CompletionCandidate| {
            let found = found.get_value().to_string_lossy();
            // Files extend others, and overrides do not.
            let lies_in = |key: &&str| found.starts_with(*key) || key.starts_with(&*found);
            found != "extends=" && within.iter().any(lies_in)
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
    let is_list =
        |line: &&Line| line.key == plain(section, &all) && line.holds.contains(&Holds::Sections);
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
        for holds in &line.holds {
            match holds {
                Holds::Section if line.default.as_deref() != Ok("null") => add("."),
                Holds::Section | Holds::Sections => {
                    add(end);
                    add(".");
                }
                Holds::Choices(_) | Holds::Path | Holds::Open => add(end),
            }
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
        for holds in &line.holds {
            match holds {
                Holds::Choices(choices) => values.extend(choices.iter().map(OsString::from)),
                Holds::Path => {
                    let found = PathCompleter::any().complete(OsStr::new(value));
                    values.extend(found.iter().map(|found| found.get_value().to_owned()));
                }
                Holds::Open => values.extend(line.default.as_ref().ok().map(OsString::from)),
                Holds::Section | Holds::Sections => {}
            }
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

/// A shell with a script of our own.
struct OwnScript {
    name: &'static str,
    /// By which it asks the program of a path, quoted.
    script: fn(&str) -> String,
    /// The answer, where words and the folder are as for [`complete`].
    answer: fn(&mut clap::Command, Vec<OsString>, Option<&Path>) -> IoResult<String>,
}

impl EnvCompleter for OwnScript {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is(&self, name: &str) -> bool {
        name == self.name
    }

    fn write_registration(
        &self,
        _: &str,
        _: &str,
        _: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> IoResult<()> {
        out.write_all((self.script)(&shell_quote(Path::new(completer))).as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        out: &mut dyn Write,
    ) -> IoResult<()> {
        out.write_all((self.answer)(command, words, folder)?.as_bytes())
    }
}

/// Takes `a.b=c` for three words where it is not quoted, so that these are put together again.
const BASH: OwnScript = OwnScript {
    name: "bash",
    script: bash_script,
    answer: answer_bash,
};

fn bash_script(program: &str) -> String {
    // $2 is what bash puts an answer in place of. What stands behind the cursor does not count.
    format!(
        r#"_signet() {{
    mapfile -t COMPREPLY < <({VARIABLE}=bash {REPLACED}=$2 {program} -- "${{COMP_WORDS[@]:0:COMP_CWORD+1}}" 2>/dev/null)
    if [[ ${{#COMPREPLY[@]}} == 1 && ${{COMPREPLY[0]}} == *[=/.] ]]; then
        compopt -o nospace
    fi
}}
complete -o bashdefault -F _signet signet
"#
    )
}

fn answer_bash(
    command: &mut clap::Command,
    mut words: Vec<OsString>,
    folder: Option<&Path>,
) -> IoResult<String> {
    let mut answer = String::new();
    let replaced = std::env::var(REPLACED).unwrap_or_default();
    let last = words.pop().unwrap_or_default();
    let quoted = last.to_string_lossy().starts_with(['"', '\'']);
    let written = |word: &str| {
        if quoted {
            word.to_owned()
        } else {
            unescaped(word)
        }
    };
    words.iter_mut().for_each(|word| *word = unquoted(word));
    words.push(match separates(&last) {
        true => last,
        false => written(&replaced).into(),
    });
    let words = put_together(&words);
    let typed = words.last().map_or(0, |word| word.len());
    let kept = typed.saturating_sub(written(&replaced).len());
    for found in candidates(command, words, folder)? {
        let found = found.get_value().to_string_lossy();
        let found = found.get(kept..).unwrap_or_default();
        let found = if quoted {
            found.to_owned()
        } else {
            escaped(found)
        };
        answer += &format!("{found}\n");
    }
    Ok(answer)
}

/// The variable with what bash puts an answer in place of.
const REPLACED: &str = "SIGNET_REPLACED";

/// What may stand in place of the last of `words`.
fn candidates(
    command: &mut clap::Command,
    words: Vec<OsString>,
    folder: Option<&Path>,
) -> IoResult<Vec<CompletionCandidate>> {
    let last = words.len().saturating_sub(1);
    complete(command, words, last, folder)
}

/// Whether bash cuts words at `word`, and makes it one of its own.
fn separates(word: &OsStr) -> bool {
    word == "=" || word == ":"
}

/// `words` with those that bash cut at `=` and `:` as one.
fn put_together(words: &[OsString]) -> Vec<OsString> {
    let mut whole: Vec<OsString> = Vec::new();
    let mut behind = false;
    for word in words {
        match whole.last_mut() {
            Some(last) if behind || separates(word) => last.push(word),
            _ => whole.push(word.clone()),
        }
        behind = separates(word);
    }
    whole
}

/// A word of a command line without its quotes.
fn unquoted(word: &OsStr) -> OsString {
    match shlex::split(&word.to_string_lossy()).as_deref() {
        Some([one]) => one.into(),
        _ => word.to_owned(),
    }
}

/// `text` without the backslashes that keep characters from meaning something to a shell.
fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        let escapes = c == '\\';
        plain.extend(if escapes { characters.next() } else { Some(c) });
    }
    plain
}

/// `text` with a backslash before whatever means something to a shell.
fn escaped(text: &str) -> String {
    let mut written = String::new();
    for c in text.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_./=:,+@%~".contains(c) {
            written.push('\\');
        }
        written.push(c);
    }
    written
}

/// Is to write no space behind what goes on.
const ZSH: OwnScript = OwnScript {
    name: "zsh",
    script: zsh_script,
    answer: answer_zsh,
};

fn zsh_script(program: &str) -> String {
    format!(
        r#"#compdef signet
_signet() {{
    local -a open=() whole=()
    local found
    for found in "${{(@f)$({VARIABLE}=zsh {program} -- "${{(@Q)words[1,CURRENT-1]}}" "${{(Q)PREFIX}}" 2>/dev/null)}}"; do
        case "$found" in
            +*) open+=("${{found:1}}") ;;
            -*) whole+=("${{found:1}}") ;;
        esac
    done
    [[ -n $open ]] && _describe -V 'values' open -S ''
    [[ -n $whole ]] && _describe -V 'values' whole
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _signet "$@"
else
    compdef _signet signet
fi
"#
    )
}

/// A line each: `+` where the word goes on and `-` where not, the value, and behind a colon what it means.
fn answer_zsh(
    command: &mut clap::Command,
    words: Vec<OsString>,
    folder: Option<&Path>,
) -> IoResult<String> {
    let mut answer = String::new();
    for found in candidates(command, words, folder)? {
        let value = found.get_value().to_string_lossy();
        let goes_on = if value.ends_with(['=', '/', '.']) {
            '+'
        } else {
            '-'
        };
        let value = value.replace('\\', "\\\\").replace(':', "\\:");
        let help = found
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let help = help.lines().next().map(|line| format!(":{line}"));
        answer += &format!("{goes_on}{value}{}\n", help.unwrap_or_default());
    }
    Ok(answer)
}
