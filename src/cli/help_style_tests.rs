//! Checks every help text against the guide in CONTRIBUTING.md, as far as a test can.

use clap::{Arg, Command, CommandFactory};

use super::Cli;
use super::terminal::text::columns;

/// The terminal width for help texts, in columns.
const WIDTH: usize = 80;

/// The permitted names of values.
const VALUES: [&str; 19] = [
    "ACCOUNT", "ADDRESS", "DIR", "DURATION", "FILE", "FORMAT", "ID", "METHOD", "N", "NAME", "PATH", "PRESENCE",
    "SHELL", "STATE", "TENANT", "TIME", "USER", "VALUE", "ZONE",
];

/// Every command with the words that run it, the program itself first.
fn commands() -> Vec<(String, Command)> {
    let mut program = Cli::command().term_width(WIDTH);
    program.build();
    let mut all = vec![(program.get_name().to_owned(), program.clone())];
    let mut next = 0;
    while let Some((words, command)) = all.get(next).cloned() {
        let ours = command.get_subcommands().filter(|command| command.get_name() != "help");
        all.extend(ours.map(|command| (format!("{words} {}", command.get_name()), command.clone().term_width(WIDTH))));
        next += 1;
    }
    assert!(all.len() > 10, "too few commands");
    all
}

/// Asserts that a text is a phrase: one line, without a full stop.
#[track_caller]
fn assert_phrase(whose: &str, text: &str) {
    let first = text.chars().next().unwrap_or(' ');
    assert!(first.is_uppercase() || first == '`', "{whose} must start with a capital letter: {text}");
    assert!(!text.ends_with(['.', '!', '…', ' ']), "{whose} must not end with a full stop: {text}");
    assert!(!text.contains('\n'), "{whose} must be one line: {text}");
}

/// The examples of a command: the part of each line that the user types.
fn examples(command: &Command) -> Vec<String> {
    let Some(help) = command.get_after_help() else { return Vec::new() };
    // A long example continues on the next line, as in a shell.
    let text = help.to_string().replace("\\\n    ", "");
    let lines = text.lines().skip(1).take_while(|line| line.starts_with("  "));
    lines.map(|line| line.trim_start().split("   ").next().unwrap_or_default().trim_end().to_owned()).collect()
}

/// The words of each call of the program in a shell command.
fn calls(line: &str) -> Vec<Vec<String>> {
    let mut calls: Vec<Vec<String>> = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    for char in line.chars().chain([' ']) {
        match (quote, char) {
            (Some(open), char) if char == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, ' ' | '|' | '&' | '>' | '<' | ';' | '(' | ')') => {
                if let (Some(word), Some(call)) = (word.take(), calls.last_mut()) {
                    call.push(word);
                }
                if char != ' ' {
                    calls.push(Vec::new());
                }
            }
            (Some(_) | None, char) => word.get_or_insert_default().push(char),
        }
    }
    calls.retain(|call| call.first().is_some_and(|program| program == "presenced"));
    calls
}

#[test]
fn every_command_has_a_description_in_the_imperative() {
    for (words, command) in commands() {
        let about = command.get_about().unwrap_or_else(|| panic!("{words} has no description")).to_string();
        assert_phrase(&words, &about);
        let verb = about.split(' ').next().unwrap_or_default();
        // The program itself has a description instead.
        let is_imperative = words == "presenced" || !(verb.ends_with('s') || verb.ends_with("ing"));
        assert!(is_imperative, "{words} must use the imperative: {about}");
        assert!(words == "presenced" || columns(&about) <= 66, "{words} is too long for the list of commands: {about}");
    }
}

#[test]
fn every_option_is_described() {
    for (words, command) in commands() {
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let whose = format!("{words}, {argument}");
            let help = argument.get_help().unwrap_or_else(|| panic!("{whose} has no description")).to_string();
            assert_phrase(&whose, &help);
            for name in value_names(argument) {
                assert!(VALUES.contains(&name.as_str()), "{whose}: <{name}> is not a permitted name for a value");
            }
        }
    }
}

fn value_names(argument: &Arg) -> Vec<String> {
    let takes_value = argument.get_action().takes_values();
    let names = argument.get_value_names().unwrap_or_default();
    names.iter().filter(|_| takes_value).map(ToString::to_string).collect()
}

#[test]
fn every_command_has_examples_that_can_be_typed() {
    for (words, command) in commands() {
        let examples = examples(&command);
        assert!((1..=8).contains(&examples.len()), "{words} must have 1 to 8 examples: {examples:?}");
        let mut own = 0;
        for example in &examples {
            for call in calls(example) {
                own += usize::from(format!("{} ", call.join(" ")).starts_with(&format!("{words} ")));
                if let Err(error) = Cli::command().try_get_matches_from(&call) {
                    panic!("{words}: `{example}` is not valid\n{error}");
                }
            }
        }
        assert!(own > 0, "{words}: no example uses it: {examples:?}");
    }
}

#[test]
fn every_help_fits_the_terminal() {
    for (words, mut command) in commands() {
        for help in [command.render_help(), command.render_long_help()] {
            for line in help.to_string().lines() {
                assert!(columns(line) <= WIDTH, "{words}: {} columns: {line}", columns(line));
            }
        }
    }
}

#[test]
fn a_shell_command_is_split_into_calls() {
    assert_eq!(calls("presenced check && presenced reload"), [vec!["presenced", "check"], vec!["presenced", "reload"]]);
    assert_eq!(calls("source <(presenced completions bash)"), [["presenced", "completions", "bash"]]);
    assert_eq!(calls("presenced status --format '{a} | {b}' > x"), [["presenced", "status", "--format", "{a} | {b}"]]);
}
