//! `signet man` and `signet completions`: what the command line tells of itself to other programs.

use std::path::Path;

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::{Arguments, completion};
use crate::disk::Folder;
use crate::fault::{Blame, Fault};

/// Writes a page for signet and one for each verb into `dir`.
pub(super) fn write_pages(dir: &Path) -> Result<()> {
    let mut all = Arguments::command().disable_help_subcommand(true);
    all.build();
    let folder = Folder::make(dir).blame(Fault::Run)?;
    let count = write_page(&all, &folder).blame(Fault::Run)?;
    crate::show!(
        "wrote {count} pages; read them with `man -l {}`",
        folder.file("signet.1").display()
    )
}

/// Writes the page of `command` and those of the verbs below it; how many.
fn write_page(command: &clap::Command, folder: &Folder) -> Result<usize> {
    let page = Man::new(command.clone()).manual("signet");
    let mut text = Vec::new();
    page.render(&mut text)?;
    folder.write_whole(page.get_filename(), &text)?;
    let below = command
        .get_subcommands()
        .map(|verb| write_page(verb, folder));
    Ok(1 + below.sum::<Result<usize>>()?)
}

/// Prints the script by which `shell` completes calls of this program, under the name it was called by.
pub(super) fn print_script(shell: Shell) -> Result<()> {
    let called = std::env::args_os().next().unwrap_or("signet".into());
    let called = Path::new(&called);
    // A plain name is looked for again; a path must not depend on the folder of today.
    let program = match called.components().count() {
        0 | 1 => called.to_owned(),
        _ => std::path::absolute(called)?,
    };
    crate::out!("{}", completion::script(shell, &program).trim_end())
}
