//! Holds every help text to the guide in CONTRIBUTING.md: what can be told by a program of it.

use clap::{Arg, Command, CommandFactory};

use super::Cli;
use super::terminal::text::columns;

/// The columns of a terminal that help is written for.
const WIDTH: usize = 80;

/// What values are called.
const VALUES: [&str; 17] = [
    "ACCOUNT", "ADDRESS", "DIR", "DURATION", "FILE", "FORMAT", "ID", "METHOD", "N", "NAME", "PATH", "PRESENCE",
    "SHELL", "TENANT", "TIME", "VALUE", "ZONE",
];

/// Every command with the words that call it, the program itself first.
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
    assert!(all.len() > 10, "there are commands");
    all
}

/// A text of one line that is no sentence.
#[track_caller]
fn assert_phrase(whose: &str, text: &str) {
    let first = text.chars().next().unwrap_or(' ');
    assert!(first.is_uppercase() || first == '`', "{whose} begins with a capital letter: {text}");
    assert!(!text.ends_with(['.', '!', '…', ' ']), "{whose} is no sentence with a full stop: {text}");
    assert!(!text.contains('\n'), "{whose} is one line: {text}");
}

/// The examples of a command: the part of each line that is typed.
fn examples(command: &Command) -> Vec<String> {
    let Some(help) = command.get_after_help() else { return Vec::new() };
    // A long one goes on in the next line, as in a shell.
    let text = help.to_string().replace("\\\n    ", "");
    let lines = text.lines().skip(1).take_while(|line| line.starts_with("  "));
    lines.map(|line| line.trim_start().split("   ").next().unwrap_or_default().trim_end().to_owned()).collect()
}

/// The words of each call of the program in a line of shell.
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
fn every_command_says_what_it_does_as_an_order() {
    for (words, command) in commands() {
        let about = command.get_about().unwrap_or_else(|| panic!("{words} says what it does")).to_string();
        assert_phrase(&words, &about);
        let verb = about.split(' ').next().unwrap_or_default();
        // The program itself is described.
        let is_order = words == "presenced" || !(verb.ends_with('s') || verb.ends_with("ing"));
        assert!(is_order, "{words} tells to do it, in the imperative: {about}");
        assert!(words == "presenced" || columns(&about) <= 66, "{words} fits the list of commands: {about}");
    }
}

#[test]
fn every_option_is_described() {
    for (words, command) in commands() {
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let whose = format!("{words}, {argument}");
            let help = argument.get_help().unwrap_or_else(|| panic!("{whose} is described")).to_string();
            assert_phrase(&whose, &help);
            for name in value_names(argument) {
                assert!(VALUES.contains(&name.as_str()), "{whose}: <{name}> is a value as others are called");
            }
        }
    }
}

fn value_names(argument: &Arg) -> Vec<String> {
    let takes_one = argument.get_action().takes_values();
    let names = argument.get_value_names().unwrap_or_default();
    names.iter().filter(|_| takes_one).map(ToString::to_string).collect()
}

#[test]
fn every_command_has_examples_that_can_be_typed() {
    for (words, command) in commands() {
        let examples = examples(&command);
        assert!((1..=8).contains(&examples.len()), "{words} has examples, and not too many: {examples:?}");
        let mut own = 0;
        for example in &examples {
            for call in calls(example) {
                own += usize::from(format!("{} ", call.join(" ")).starts_with(&format!("{words} ")));
                if let Err(error) = Cli::command().try_get_matches_from(&call) {
                    panic!("{words}: `{example}` can be typed\n{error}");
                }
            }
        }
        assert!(own > 0, "{words}: one of the examples is of it: {examples:?}");
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
fn a_line_of_shell_is_taken_apart() {
    assert_eq!(calls("presenced check && presenced reload"), [vec!["presenced", "check"], vec!["presenced", "reload"]]);
    assert_eq!(calls("source <(presenced completions bash)"), [["presenced", "completions", "bash"]]);
    assert_eq!(calls("presenced status --format '{a} | {b}' > x"), [["presenced", "status", "--format", "{a} | {b}"]]);
}
