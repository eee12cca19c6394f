//! `presenced man`: the manual pages, made from the same texts as `--help`. It prints one page for all commands, or writes that
//! page and one for each command to a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::Cli;
use super::context::examples;
use super::error::{Error, Exit};
use super::terminal::output::print;

/// The name of the manual, at the top of each page.
const MANUAL: &str = "User Commands";
/// No date, so that the same version makes the same page. An empty text would move the next fields up.
const NO_DATE: &str = " ";

/// The arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "presenced man | man -l -                        Read it"
    "presenced man --dir ~/.local/share/man/man1     Then: man presenced-status"
))]
pub(super) struct Args {
    /// Write the page to this folder instead, with another page for each command
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs it.
pub(super) fn run(Args { dir }: Args) -> Result<Exit, Error> {
    let page = |write: &dyn Fn(&mut Vec<u8>) -> io::Result<()>| {
        let mut page = Vec::new();
        write(&mut page).expect("writing into memory does not fail");
        page
    };
    let whole = page(&|page| write_page(page));
    let Some(dir) = dir else {
        print(&String::from_utf8_lossy(&whole))?;
        return Ok(Exit::Ok);
    };
    save(&dir, "presenced", &whole)?;
    let mut command = Cli::command().disable_help_subcommand(true);
    // Gives each command its full name and the global options.
    command.build();
    for subcommand in command.get_subcommands() {
        let name = format!("presenced-{}", subcommand.get_name());
        save(&dir, &name, &page(&|page| write_command_page(subcommand, &name, page)))?;
    }
    Ok(Exit::Ok)
}

/// Writes a page to its file. Creates the folder if necessary.
fn save(dir: &Path, name: &str, page: &[u8]) -> Result<(), Error> {
    let path = dir.join(format!("{name}.1"));
    fs::create_dir_all(dir)
        .and_then(|()| fs::write(&path, page))
        .map_err(|error| Error::new(Exit::Failed, format!("cannot write {}: {error}", path.display())))
}

/// The page of all commands, in roff.
fn write_page(page: &mut Vec<u8>) -> io::Result<()> {
    let command = Cli::command();
    let man = Man::new(command.clone()).title("PRESENCED").date(NO_DATE).manual(MANUAL);
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

/// The part about one command, under one heading: its synopsis, description, options and examples; then its subcommands.
fn write_command(parent: &str, command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let name = format!("{parent} {}", command.get_name());
    Roff::new().control("SS", [name.as_str()]).to_writer(page)?;
    let man = Man::new(command.clone().bin_name(&name).disable_help_flag(true));
    let mut sections = Vec::new();
    man.render_synopsis_section(&mut sections)?;
    man.render_description_section(&mut sections)?;
    man.render_options_section(&mut sections)?;
    // A section of a separate page becomes a paragraph here.
    for line in sections.split_inclusive(|&byte| byte == b'\n') {
        page.extend_from_slice(if line.starts_with(b".SH ") { b".PP\n" } else { line });
    }
    write_examples(command, 0, page)?;
    command.get_subcommands().try_for_each(|subcommand| write_command(&name, subcommand, page))
}

/// The separate page of one command.
fn write_command_page(command: &Command, name: &str, page: &mut Vec<u8>) -> io::Result<()> {
    let source = concat!("presenced ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).title(name.to_uppercase()).date(NO_DATE).source(source).manual(MANUAL);
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if command.get_after_help().is_some() {
        Roff::new().control("SH", ["EXAMPLES"]).to_writer(page)?;
        write_examples(command, 1, page)?;
    }
    Roff::new().control("SH", ["SEE ALSO"]).text([bold("presenced"), roman("(1)")]).to_writer(page)
}

/// The examples without their first `skip` lines, unfilled because spaces align their columns; then the notes, in paragraphs.
fn write_examples(command: &Command, skip: usize, page: &mut Vec<u8>) -> io::Result<()> {
    let Some(text) = command.get_after_help() else { return Ok(()) };
    let text = text.to_string();
    let mut blocks = text.split("\n\n");
    let mut roff = Roff::new();
    roff.control("PP", []).control("nf", []);
    for line in blocks.next().into_iter().flat_map(str::lines).skip(skip) {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    for note in blocks {
        roff.control("PP", []).text([roman(note)]);
    }
    roff.to_writer(page)
}
