#!/usr/bin/env python3
"""Compares presenced's occurrences with those of the Python packages icalendar and recurring-ical-events.

    tests/compare/agree.py [--files 6000] [--seed 0] [--keep FOLDER] [--presenced BINARY]

Installs the packages into a virtual environment, generates the files, asks both sides for the occurrences of 2026, and
compares starts and ends. Where the reference departs from RFC 5545, a rule that names the paragraph corrects its answer.
Every other difference is printed, and the exit code is 1. Without --presenced, the library is used through
`cargo run --example occurrences`.
"""

import argparse
import collections
import datetime as dt
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import venv

PACKAGES = ["icalendar", "recurring-ical-events", "tzdata"]
SYSTEM = "Europe/Berlin"
FROM, TO = "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"
# Only starts well within that range are compared, so that events across its edges do not matter.
FIRST, LAST = dt.datetime(2026, 2, 1, tzinfo=dt.timezone.utc), dt.datetime(2026, 12, 1, tzinfo=dt.timezone.utc)

GAP = "3.3.5: a local time in a gap is read with the offset before the gap"
EXACT = "3.3.6, 3.8.5.3: hours of a duration are exact, even if the clocks change meanwhile"
UNSYNCHRONISED = "3.8.5.3: if the RRULE does not give DTSTART, the set is undefined; ours has only what the rule gives"
ONCE = "3.8.5.2: an instance that is given twice counts once"


def in_own_environment():
    """Restarts this script in a virtual environment that has the packages."""
    folder = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "presenced-compare"
    python = folder / "bin" / "python"
    if pathlib.Path(sys.prefix).resolve() == folder.resolve():
        return
    if not python.exists():
        venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES], check=True)
    os.execv(python, [python, *sys.argv])


def ours(folder, presenced):
    """UID -> [(start, end)], for all files at once."""
    window = ["--from", FROM, "--to", TO, "--timezone", SYSTEM]
    if presenced:
        command = [presenced, "agenda", "--json", "--calendar", str(folder), *window]
    else:
        root = pathlib.Path(__file__).resolve().parents[2]
        manifest = str(root / "Cargo.toml")
        command = ["cargo", "run", "--quiet", "--manifest-path", manifest, "--example", "occurrences", "--"]
        command += ["--calendar", str(folder), *window]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    if answer["skipped"]:
        sys.exit(f"valid files were skipped: {answer['skipped'][:5]}")
    found = collections.defaultdict(list)
    for occurrence in answer["occurrences"]:
        read = dt.date.fromisoformat if occurrence["all_day"] else instant
        found[occurrence["uid"]].append((read(occurrence["start"]), read(occurrence["end"])))
    return found


def instant(text):
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(dt.timezone.utc)


def utc(at, zone):
    """A time in UTC. A date stays a date; a floating time is in the system's zone."""
    if not isinstance(at, dt.datetime):
        return at
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(dt.timezone.utc)


def theirs(text, zone):
    """The calendar, and the reference's answer: [(occurrence, start, end)]."""
    import icalendar
    import recurring_ical_events

    calendar = icalendar.Calendar.from_ical(text)
    given = recurring_ical_events.of(calendar).between(dt.datetime(2026, 1, 1), dt.datetime(2027, 1, 1))
    return calendar, [(event, utc(event["DTSTART"].dt, zone), utc(event["DTEND"].dt, zone)) for event in given]


def really_local(at, zone):
    """A time in a zone that handles gaps correctly. In a zone that the file defines, the reference reads a time in a gap with the
    offset after the gap, not before it. The only such zone in the files has the rules of Berlin, which is the system's zone."""
    return at.replace(tzinfo=zone) if at.tzinfo is None or "Customized" in repr(at.tzinfo) else at


def own_zones(_calendar, given, zone):
    """Times in zones that the file defines, read as if these were known zones."""

    def read(at):
        return utc(really_local(at, zone) if isinstance(at, dt.datetime) else at, zone)

    return [(event, read(event["DTSTART"].dt), read(event["DTEND"].dt)) for event, _, _ in given]


def exact_ends(calendar, given, zone):
    """The reference adds durations to the local time; this adds hours to the instant."""
    periods = {}
    for event in calendar.walk("VEVENT"):
        lines = event.get("X-CASE-PERIOD", [])
        for line in lines if isinstance(lines, list) else [lines]:
            at, seconds = map(int, line.split(","))
            periods[at] = (0, seconds)
    corrected = []
    for event, start, end in given:
        if isinstance(start, dt.datetime):
            nominal, exact = map(int, event["X-CASE-LENGTH"].split(","))
            if "X-CASE-MASTER" in event:
                nominal, exact = periods.get(int(start.timestamp()), (nominal, exact))
            local = really_local(event["DTSTART"].dt, zone)
            end = (utc(local + dt.timedelta(seconds=nominal), zone) if nominal else start) + dt.timedelta(seconds=exact)
        corrected.append((event, start, end))
    return corrected


def without_unsynchronised_start(calendar, given, zone):
    """The reference always counts DTSTART."""
    import dateutil.rrule

    master = next((event for event in calendar.walk("VEVENT") if "RECURRENCE-ID" not in event), None)
    if master is None or "RRULE" not in master:
        return given
    start = master["DTSTART"].dt
    civil = dt.datetime.combine(start, dt.time()) if not isinstance(start, dt.datetime) else start.replace(tzinfo=None)
    rules = master["RRULE"] if isinstance(master["RRULE"], list) else [master["RRULE"]]
    for rule in rules:
        text = ";".join(part for part in rule.to_ical().decode().split(";") if not part.startswith("UNTIL"))
        if next(iter(dateutil.rrule.rrulestr(text, dtstart=civil)), None) == civil:
            return given
    return [one for one in given if one[1] != utc(start, zone)]


def compared(pairs):
    """The part of the year that is compared, sorted."""

    def day(at):
        return at if isinstance(at, dt.datetime) else dt.datetime.combine(at, dt.time(), dt.timezone.utc)

    return sorted(((start, end) for start, end in pairs if FIRST <= day(start) < LAST), key=str)


def once(given, wanted):
    """One for each start. In a gap they may have different ends; then the wanted one."""
    by_start = {}
    for one in given:
        if one[0] not in by_start or one in wanted:
            by_start[one[0]] = one
    return sorted(by_start.values(), key=str)


def verdict(text, our_pairs, zone):
    """`None` if both agree, the paragraphs if they agree after corrections, else both answers."""
    calendar, given = theirs(text, zone)
    mine = compared(our_pairs)
    pairs = lambda given: compared((start, end) for _, start, end in given)
    if mine == pairs(given):
        return None
    paragraphs = []
    corrections = [(GAP, own_zones), (UNSYNCHRONISED, without_unsynchronised_start), (EXACT, exact_ends)]
    for paragraph, correct in corrections:
        corrected = correct(calendar, given, zone)
        if pairs(corrected) != pairs(given):
            paragraphs.append(paragraph)
        given = corrected
    their = pairs(given)
    if mine != their and mine == once(their, mine):
        paragraphs.append(ONCE)
        their = mine
    return paragraphs if mine == their else (mine, their)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0, help="the number of the first file")
    parser.add_argument("--keep", type=pathlib.Path, help="write the files to this folder, and keep them")
    parser.add_argument("--presenced", help="use `presenced agenda` instead of the library")
    arguments = parser.parse_args()

    from zoneinfo import ZoneInfo

    from cases import Case

    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        texts = {}
        for number in range(arguments.seed, arguments.seed + arguments.files):
            case = Case(number, SYSTEM)
            texts[case.uid] = case.text()
            (folder / f"{case.uid}.ics").write_text(texts[case.uid], newline="")
        found = ours(folder, arguments.presenced)

    explained, different, occurrences = collections.Counter(), 0, 0
    for uid, text in texts.items():
        occurrences += len(found[uid])
        outcome = verdict(text, found[uid], ZoneInfo(SYSTEM))
        if isinstance(outcome, list):
            explained.update(outcome)
        elif outcome:
            different += 1
            mine, their = outcome
            if different <= 10:
                print(f"\n{text}\nours only:   {shown(mine, their)}\ntheirs only: {shown(their, mine)}\n")
    print(f"{len(texts)} files, {occurrences} occurrences")
    for paragraph, count in explained.items():
        print(f"{count:6} corrected by RFC 5545, {paragraph}")
    print(f"{different:6} differ")
    sys.exit(1 if different else 0)


def shown(these, others):
    return [f"{start} - {end}" for start, end in these if (start, end) not in others][:6]


if __name__ == "__main__":
    in_own_environment()
    main()
