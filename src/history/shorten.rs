//! Making the file shorter: the oldest records go, except for what is still true. The file is read line by line, so that this
//! needs little memory.

use std::collections::HashMap;
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::path::Path;

use jiff::Timestamp;

use super::Limits;
use super::lines::{Head, Lines};
use crate::regular_file;
use crate::whole_file::{Draft, PRIVATE};

/// Removes what is older than `limits` allow, and lines that cannot be read. `room`: how many bytes of recent lines may stay. Returns
/// whether the file is another one now.
pub(super) fn shorten(path: &Path, limits: &Limits, room: u64, now: Timestamp) -> io::Result<bool> {
    let file = match regular_file::open(path).map_err(io::Error::from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    let mut lines = Lines::of(file.try_clone()?);
    let since = now.checked_sub(limits.keep).unwrap_or(Timestamp::MIN);
    let length = file.metadata()?.len();
    let mut cut = 0;
    let mut has_bad_lines = false;
    while let Some((start, line)) = lines.next()? {
        let head = Head::of(line);
        has_bad_lines |= head.is_none();
        if head.is_some_and(|head| head.at < since) || length.saturating_sub(start) > room {
            cut = start + line.len() as u64;
        }
    }
    let still_true = Still::true_before(cut, path, limits.max_bytes / 8)?;
    if !has_bad_lines && still_true.is_all {
        return Ok(false);
    }
    let mut draft = BufWriter::new(Draft::new(path, PRIVATE)?);
    let mut lines = Lines::of(regular_file::open(path)?);
    while let Some((start, line)) = lines.next()? {
        let is_kept =
            if start < cut { still_true.starts.binary_search(&start).is_ok() } else { Head::of(line).is_some() };
        if is_kept {
            draft.write_all(line)?;
        }
    }
    draft.into_inner().map_err(io::IntoInnerError::into_error)?.replace()?;
    Ok(true)
}

/// The lines of a part of the file that are still true at its end.
struct Still {
    /// Where they start, in order.
    starts: Vec<u64>,
    /// Whether these are all its lines.
    is_all: bool,
}

impl Still {
    /// Those of the lines before `cut`: the last one about the daemon, and about each account and user that is not gone, but at most
    /// `room` bytes, of which the newest count.
    fn true_before(cut: u64, path: &Path, room: u64) -> io::Result<Self> {
        let mut lines = Lines::of(regular_file::open(path)?);
        let mut count = 0;
        let mut daemon = None;
        let mut accounts: HashMap<String, HashMap<Option<String>, (u64, u64)>> = HashMap::new();
        while let Some((start, line)) = lines.next()? {
            if start >= cut {
                break;
            }
            count += 1;
            let Some(Head { event, account, user, .. }) = Head::of(line) else { continue };
            let place = (start, line.len() as u64);
            match (event, account) {
                ("held", Some(account)) => {
                    let users = accounts.entry(account.to_owned()).or_default();
                    users.insert(user.map(str::to_owned), place);
                }
                ("gone", Some(account)) if user.is_none() => drop(accounts.remove(account)),
                ("gone", Some(account)) => {
                    accounts.get_mut(account).map(|users| users.remove(&user.map(str::to_owned)));
                }
                (_, Some(_)) => {}
                (event, None) => {
                    daemon = Some(place);
                    if event == "started" {
                        // A new daemon makes new decisions.
                        accounts.clear();
                    }
                }
            }
        }
        let mut places: Vec<_> = accounts.into_values().flat_map(HashMap::into_values).chain(daemon).collect();
        places.sort_unstable_by_key(|(start, _)| std::cmp::Reverse(*start));
        let mut sum = 0;
        let fitting = places.iter().take_while(|(_, length)| {
            sum += length;
            sum <= room
        });
        let mut starts: Vec<_> = fitting.map(|(start, _)| *start).collect();
        starts.reverse();
        Ok(Self { is_all: starts.len() == count, starts })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::SignedDuration;

    use super::*;

    const LIMITS: Limits = Limits { keep: SignedDuration::from_hours(2), max_bytes: 100_000 };

    fn at(time: &str) -> Timestamp {
        format!("2026-11-24T{time}Z").parse().unwrap()
    }

    /// Of each line a time, an event, and whom it is about.
    fn shortened(lines: &[(&str, &str, &str)], room: u64) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let text = lines.iter().map(|(time, event, about)| {
            let about = match about.split_once('/') {
                _ if about.is_empty() => String::new(),
                Some((account, user)) => format!(r#","account":"{account}","user":"{user}""#),
                None => format!(r#","account":"{about}""#),
            };
            format!(r#"{{"at":"2026-11-24T{time}:00Z","event":"{event}"{about}}}{}"#, "\n")
        });
        fs::write(&path, text.collect::<String>()).unwrap();
        let is_other = shorten(&path, &LIMITS, room, at("12:00:00")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(is_other, text.lines().count() < lines.len());
        text.lines().map(|line| line[18..23].to_owned()).collect()
    }

    #[test]
    fn what_is_still_true_of_each_user_stays() {
        let lines = [
            ("08:00", "started", ""),
            ("08:01", "held", "work"),
            ("08:02", "held", "agents/ada"),
            ("08:03", "held", "agents/ben"),
            ("08:04", "held", "agents/ada"),
            ("08:05", "gone", "agents/ben"),
            ("08:06", "held", "bots/cleo"),
            ("08:07", "gone", "bots"),
            ("10:00", "held", "agents/dora"),
        ];
        assert_eq!(shortened(&lines, 100_000), ["08:00", "08:01", "08:04", "10:00"]);
        // What is not too old stays if there is room for it.
        assert_eq!(shortened(&lines[8..], 100_000), ["10:00"]);
    }

    #[test]
    fn what_a_daemon_before_held_is_not_true_any_more() {
        let lines = [
            ("08:00", "held", "agents/ada"),
            ("08:01", "lost", ""),
            ("08:02", "started", ""),
            ("11:00", "held", "a/b"),
        ];
        assert_eq!(shortened(&lines, 100_000), ["08:02", "11:00"]);
    }

    #[test]
    fn the_newest_stay_where_there_is_no_room_for_all() {
        let times: Vec<_> = (0..60).map(|minute| format!("11:{minute:02}")).collect();
        let users: Vec<_> = (0..60).map(|user| format!("agents/{user}")).collect();
        let lines: Vec<_> =
            times.iter().zip(&users).map(|(time, user)| (time.as_str(), "held", user.as_str())).collect();
        let kept = shortened(&lines, 1000);
        // Nothing that is still true needs to go here, because each user has one line.
        assert_eq!(kept.len(), 60);
        let same: Vec<_> = times.iter().map(|time| (time.as_str(), "held", "agents/ada")).collect();
        let kept = shortened(&same, 1000);
        assert!((10..20).contains(&kept.len()) && kept.last().unwrap() == "11:59", "{kept:?}");
    }

    #[test]
    fn lines_that_are_too_long_or_no_records_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let good = "{\"at\":\"2026-11-24T11:00:00Z\",\"event\":\"asleep\"}\n";
        let bad = [vec![b'x'; 1 << 20], vec![b'\n'], b"{\"at\":\"2026-11-24T11:00:00Z\"".to_vec()].concat();
        fs::write(&path, [good.as_bytes(), &bad, b"\n", good.as_bytes(), b"\0\0"].concat()).unwrap();
        assert!(shorten(&path, &LIMITS, 10 << 20, at("12:00:00")).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), good.repeat(2));
        assert!(!shorten(&path, &LIMITS, 10 << 20, at("12:00:00")).unwrap());
    }
}
