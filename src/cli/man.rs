//! `presenced man`: the manual page, one for all commands, made from the same words as `--help`.

use std::io;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::output::print;
use super::{Cli, Error, Exit, examples};

/// The arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced man | man -l -          Read it"
    "presenced man > ~/.local/share/man/man1/presenced.1"
))]
pub(super) struct Args {}

/// Runs it.
pub(super) fn run(Args {}: Args) -> Result<Exit, Error> {
    let mut page = Vec::new();
    write_page(&mut page).expect("writing into memory does not fail");
    print(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Ok)
}

/// The page in roff.
fn write_page(page: &mut Vec<u8>) -> io::Result<()> {
    let command = Cli::command();
    let man = Man::new(command.clone()).title("PRESENCED").manual("User Commands");
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    Roff::new().control("SH", ["COMMANDS"]).to_writer(page)?;
    for subcommand in command.get_subcommands() {
        write_command("presenced", subcommand, page)?;
    }
    Roff::new().control("SH", ["EXAMPLES"]).to_writer(page)?;
    write_examples(&command, 1, page)
}

/// One command's part: its synopsis, what it does, its options and its examples, under one heading; then those of its own
/// commands.
fn write_command(parent: &str, command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let name = format!("{parent} {}", command.get_name());
    Roff::new().control("SS", [name.as_str()]).to_writer(page)?;
    let man = Man::new(command.clone().bin_name(&name).disable_help_flag(true));
    let mut sections = Vec::new();
    man.render_synopsis_section(&mut sections)?;
    man.render_description_section(&mut sections)?;
    man.render_options_section(&mut sections)?;
    // A section of a page of its own is a paragraph here.
    for line in sections.split_inclusive(|&byte| byte == b'\n') {
        page.extend_from_slice(if line.starts_with(b".SH ") { b".PP\n" } else { line });
    }
    write_examples(command, 0, page)?;
    command.get_subcommands().try_for_each(|subcommand| write_command(&name, subcommand, page))
}

/// The examples as they stand, without their first `skip` lines: their columns are made of spaces.
fn write_examples(command: &Command, skip: usize, page: &mut Vec<u8>) -> io::Result<()> {
    let Some(examples) = command.get_after_help() else { return Ok(()) };
    let mut roff = Roff::new();
    roff.control("PP", []).control("nf", []);
    for line in examples.to_string().lines().skip(skip) {
        roff.text([roman(line)]);
    }
    roff.control("fi", []).to_writer(page)
}
