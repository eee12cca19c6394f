//! The file with the users of an account: one object id a line, then optionally a name.
//!
//! Leaves to others: reading it (`cli/check`, `daemon/`), and what follows from a bad line.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::UserEntry;
use super::users::Fault;

/// A longer file is not read.
pub(crate) const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Longer lines are not users.
const MAX_LINE_BYTES: usize = 1000;
/// How many bad lines are kept: a file that is something else may have millions.
const MAX_BAD_LINES: usize = 1000;

/// What is in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsersFile {
    /// The users, in the order of their lines.
    pub users: Vec<UserEntry>,
    /// The lines that are not users: at most the first thousand.
    pub bad: Vec<BadLine>,
}

/// A line that is not a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// One sentence: what is wrong, and what to write instead.
    pub reason: String,
}

/// Reads the file's content. Blank lines and lines that begin with `#` are ignored, and so is a byte order mark.
pub fn parse(text: &[u8]) -> UsersFile {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut file = UsersFile::default();
    let mut known = Known::default();
    for (line, bytes) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        match user(bytes, line, &mut known) {
            Ok(user) => file.users.extend(user),
            Err(Fault { message, help }) if file.bad.len() < MAX_BAD_LINES => {
                file.bad.push(BadLine { line, reason: format!("{message}: {help}") });
            }
            Err(_) => {}
        }
    }
    file
}

/// The lines of the ids and names so far.
#[derive(Default)]
struct Known {
    ids: HashMap<String, usize>,
    names: HashMap<String, usize>,
}

/// The user on a line; `None` if there is none.
fn user(line: &[u8], number: usize, known: &mut Known) -> Result<Option<UserEntry>, Fault> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    if line.len() > MAX_LINE_BYTES {
        let help = "write an object id, and then a name if you like";
        return Err(Fault::new("the line is longer than 1,000 bytes", help));
    }
    if line.contains(&0) {
        return Err(Fault::new("the line contains a NUL character", "save the file as plain text in UTF-8"));
    }
    let Ok(text) = str::from_utf8(line) else {
        return Err(Fault::new("the line is not UTF-8", "save the file as plain text in UTF-8"));
    };
    let user = UserEntry::parse(text)?;
    known.add(&user, number).map_err(|(what, other)| {
        let help = "remove one of the two lines, or correct it";
        Fault::new(format!("this {what} is also in line {other}"), help)
    })?;
    Ok(Some(user))
}

impl Known {
    /// Adds a user, unless its id or its name is there: then says which, and where.
    fn add(&mut self, user: &UserEntry, line: usize) -> Result<(), (&'static str, usize)> {
        if let Some(other) = self.ids.get(&user.id) {
            return Err(("object id", *other));
        }
        if let Some(name) = &user.name {
            match self.names.entry(name.clone()) {
                Entry::Occupied(other) => return Err(("name", *other.get())),
                Entry::Vacant(place) => place.insert(line),
            };
        }
        self.ids.insert(user.id.clone(), line);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const ID: &str = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3";

    fn id(number: usize) -> String {
        format!("00000000-0000-4000-8000-{number:012x}")
    }

    fn entry(id: &str, name: Option<&str>) -> UserEntry {
        UserEntry { id: id.to_owned(), name: name.map(str::to_owned) }
    }

    /// Why a file's one line is bad.
    fn reason(line: impl AsRef<[u8]>) -> String {
        let UsersFile { users, bad } = parse(line.as_ref());
        assert_eq!((users.len(), bad.len(), bad[0].line), (0, 1, 1), "{bad:?}");
        bad[0].reason.clone()
    }

    #[test]
    fn a_line_is_an_object_id_and_perhaps_a_name() {
        let text = format!(
            "\u{feff}# Agents\r\n\r\n{}\r\n  \t\n{}   Élodie  O'Neil-Müller (2nd) \n  # not yet: {}\n\t{}\tbot_7@x\n{}",
            ID.to_uppercase(),
            id(1),
            id(2),
            id(3),
            id(4),
        );
        let UsersFile { users, bad } = parse(text.as_bytes());
        assert_eq!(bad, []);
        assert_eq!(
            users,
            [
                entry(ID, None),
                entry(&id(1), Some("Élodie  O'Neil-Müller (2nd)")),
                entry(&id(3), Some("bot_7@x")),
                entry(&id(4), None),
            ]
        );
        assert_eq!(parse(b""), UsersFile::default());
        assert_eq!(parse(b"\xef\xbb\xbf"), UsersFile::default());
    }

    #[test]
    fn a_bad_line_says_what_to_write_instead_and_the_others_count() {
        let text = format!("{ID} a\nagent seven\n{}\n", id(1));
        let UsersFile { users, bad } = parse(text.as_bytes());
        assert_eq!(users, [entry(ID, Some("a")), entry(&id(1), None)]);
        let expected = "`agent` is not an object id; an object id looks like fa8bf3dc-eca7-46b7-bad1-db199b62afc3: write the \
                        object id first, and then a name if you like; the id is on the user's page in Entra";
        assert_eq!(bad, [BadLine { line: 2, reason: expected.to_owned() }]);

        for (line, words) in [
            ("../../etc/passwd", "`../../etc/passwd` is not an object id"),
            ("me@contoso.com", "`me@contoso.com` is a sign-in name"),
            ("fa8bf3dceca746b7bad1db199b62afc3", "is not an object id"),
            ("{fa8bf3dc-eca7-46b7-bad1-db199b62afc3}", "is not an object id"),
            ("fa8bf3dc-eca7-46b7-bad1-db199b62afcg", "is not an object id"),
            ("fa8bf3dc-eca7-46b7-bad1-db199b62afc3,anna", "is not an object id"),
        ] {
            assert!(reason(line).contains(words), "{}", reason(line));
        }
        assert!(reason("x".repeat(900)).len() < 300);
        assert!(reason(format!("{ID} {}", "x".repeat(1000))).starts_with("the line is longer than 1,000 bytes: write"));
        assert!(reason(format!("{ID} a\0b")).starts_with("the line contains a NUL character: save"));
        assert!(reason([ID.as_bytes(), b" \xfcnal"].concat()).starts_with("the line is not UTF-8: save"));
        let utf_16: Vec<u8> = format!("{ID} a").encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(reason(utf_16).starts_with("the line contains a NUL character"));
    }

    #[test]
    fn a_name_fits_a_path_an_address_and_a_topic() {
        let with = |name: &str| format!("{ID} {name}");
        for (name, words) in [
            (".", "starts with a dot"),
            ("..", "starts with a dot"),
            (".hidden", "starts with a dot"),
            ("../../etc/passwd", "starts with a dot"),
            ("a/b", "contains `/`, `+` or `#`"),
            ("a+b", "contains `/`, `+` or `#`"),
            ("room #7", "contains `/`, `+` or `#`"),
            ("# the night shift", "a comment follows"),
            ("a\tb", "a control character"),
            ("a\rb", "a control character"),
            ("a\u{7f}b", "a control character"),
            ("a\u{85}b", "a control character"),
            ("00000000-0000-4000-8000-000000000001", "looks like an object id"),
            (&"x".repeat(256), "longer than 255 bytes"),
            (&"é".repeat(128), "longer than 255 bytes"),
        ] {
            assert!(reason(with(name)).contains(words), "{name:?}: {}", reason(with(name)));
        }
        for name in ["a.b..c", "-", "ü", "$HOME `x` \"y\"", "%2e", &"x".repeat(255)] {
            assert_eq!(parse(with(name).as_bytes()).users, [entry(ID, Some(name))], "{name:?}");
        }
    }

    #[test]
    fn the_first_of_two_lines_with_one_id_or_one_name_counts() {
        let text = format!("# two\n{} a\n{} b\n{} a\n{} b\n{} A\n", id(1), id(1).to_uppercase(), id(2), id(3), id(4));
        let UsersFile { users, bad } = parse(text.as_bytes());
        // The name of a line that does not count is free.
        assert_eq!(users, [entry(&id(1), Some("a")), entry(&id(3), Some("b")), entry(&id(4), Some("A"))]);
        let reasons: Vec<_> = bad.iter().map(|bad| (bad.line, &*bad.reason)).collect();
        assert_eq!(
            reasons,
            [
                (3, "this object id is also in line 2: remove one of the two lines, or correct it"),
                (4, "this name is also in line 2: remove one of the two lines, or correct it"),
            ]
        );
    }

    #[test]
    fn a_file_that_is_something_else_costs_little() {
        let file = parse("\u{1}\n".repeat(2_000_000).as_bytes());
        assert_eq!((file.users.len(), file.bad.len(), file.bad[999].line), (0, 1000, 1000));
    }

    #[test]
    fn a_hundred_thousand_users_are_read() {
        let mut text = String::new();
        for number in 0..100_000 {
            writeln!(text, "{} agent {number}", id(number)).unwrap();
        }
        let file = parse(text.as_bytes());
        assert_eq!((file.users.len(), file.bad.len()), (100_000, 0));
        // Every line twice.
        let file = parse((text.clone() + &text).as_bytes());
        assert_eq!((file.users.len(), file.bad.len(), file.bad[0].line), (100_000, 1000, 100_001));
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_bytes_every_user_is_good(bytes in proptest::collection::vec(0_u8.., 0..300)) {
            for user in parse(&bytes).users {
                proptest::prop_assert!(super::super::users::is_object_id(&user.id));
            }
        }
    }
}
