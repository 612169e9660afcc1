//! `signet man` and `signet completions`: what the command line tells of itself to other programs.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::{Arguments, completion};
use crate::disk::Folder;
use crate::fault::{Blame, Fault};
use crate::messages::shell_quote;
use crate::report::reference;

/// Writes a page for signet, one for each verb, and one for all keys of an experiment into the sections of the manual in
/// `dir`.
pub(super) fn write_pages(dir: &Path) -> Result<()> {
    let mut all = Arguments::command().disable_help_subcommand(true);
    all.build();
    let write = || {
        let folder = Folder::make(dir)?;
        let keys = reference::manual();
        let formats = folder.make_folder("man5")?;
        formats.write_whole("signet-experiment.5", keys.as_bytes())?;
        write_page(&all, &folder.make_folder("man1")?)
    };
    let pages = 1 + write().blame(Fault::Run)?;
    crate::show!(
        "wrote {pages} pages; read them with `man -M {} signet`",
        shell_quote(dir)
    )
}

/// Writes the page of `command` and those of the verbs below it; how many.
fn write_page(command: &clap::Command, folder: &Folder) -> Result<usize> {
    let version = concat!("signet ", env!("CARGO_PKG_VERSION"));
    let page = Man::new(command.clone()).source(version).manual("signet");
    let mut text = Vec::new();
    page.render(&mut text)?;
    text.extend_from_slice(b".SH \"SEE ALSO\"\nsignet(1), signet\\-experiment(5)\n");
    folder.write_whole(page.get_filename(), &text)?;
    let below = command
        .get_subcommands()
        .map(|verb| write_page(verb, folder));
    Ok(1 + below.sum::<Result<usize>>()?)
}

/// Prints the script by which `shell` completes calls of this program, which was `called` so.
pub(super) fn print_script(shell: Shell, called: &OsStr) -> Result<()> {
    let called = Path::new(called);
    // A plain name is looked for again; a path must not depend on the folder of today.
    let program = match called.components().count() {
        0 | 1 => called.to_owned(),
        _ => std::path::absolute(called)?,
    };
    crate::out!("{}", completion::script(shell, &program).trim_end())
}
