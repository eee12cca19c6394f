#!/usr/bin/env python3
"""Compares presenced's occurrences with those of the Python packages icalendar and recurring-ical-events.

    tests/compare/agree.py [--files 6000] [--each 200] [--kind NAME]… [--seed 0] [--keep FOLDER] [--presenced BINARY]

Installs the packages into a virtual environment, generates the files, asks both sides for the occurrences of a year, and compares
starts, ends and busy classes.

- Valid files (`cases.py`) are read by the packages as they are. Where the packages depart from RFC 5545, a rule that names the
  paragraph corrects their answer (`reference.py`).
- Files as real programs write them (`kinds`) are first rewritten as RFC 5545 would have them. Each kind names the paragraph or the
  writer that makes that right.

Every other difference is printed, and the exit code is 1. Without --presenced, the library is used through
`cargo run --example occurrences`.
"""

import argparse
import collections
import concurrent.futures
import datetime as dt
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import venv

PACKAGES = ["icalendar", "recurring-ical-events", "tzdata"]
# No tenant and no application has this ID.
NOBODY = "00000000-0000-0000-0000-000000000000"
# The most differences that are printed for each kind.
SHOWN = 3


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


class Ours:
    """What presenced says about a file."""

    def __init__(self, answer):
        self.rows = [self.row(occurrence) for occurrence in answer["occurrences"]]
        self.skipped = [skipped["reason"] for skipped in answer["skipped"]]

    @staticmethod
    def row(occurrence):
        read = dt.date.fromisoformat if occurrence["all_day"] else instant
        return occurrence["uid"], read(occurrence["start"]), read(occurrence["end"]), occurrence["class"]


def instant(text):
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(dt.timezone.utc)


def by_library(folder, arguments):
    """File name -> what the library says, for all files of a folder."""
    root = pathlib.Path(__file__).resolve().parents[2]
    command = ["cargo", "run", "--quiet", "--manifest-path", str(root / "Cargo.toml"), "--example", "occurrences", "--"]
    done = subprocess.run([*command, "--calendar", str(folder), *arguments], check=True, stdout=subprocess.PIPE)
    return {name: Ours(answer) for name, answer in json.loads(done.stdout).items()}


def by_program(presenced, folder, arguments):
    """The same, by `presenced agenda` for one file after the other."""
    from busy import ME

    with tempfile.TemporaryDirectory() as temporary:
        config = pathlib.Path(temporary) / "config.toml"
        account = f'tenant = "{NOBODY}"\nclient_id = "{NOBODY}"\nauth = {{ method = "device-code" }}'
        calendar = f'sources = [{{ path = "{temporary}" }}]\nidentity = ["{ME}"]'
        config.write_text(f"[accounts.work]\n{account}\n\n[signals.calendar]\n{calendar}\n")

        def one(path):
            command = [presenced, "--config", str(config), "agenda", "--json", "--calendar", str(path), *arguments]
            return path.name, Ours(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            return dict(pool.map(one, sorted(folder.iterdir())))


def compared(rows, case):
    """The rows that are compared, sorted: only starts well within the window, so that events across its edges do not matter."""
    first, end = (
        dt.datetime(year, month, 1, tzinfo=dt.timezone.utc) for year, month in ((case.years[0], 2), (case.years[1] - 1, 12))
    )
    found = []
    for uid, start, to, kind in rows:
        at = start if isinstance(start, dt.datetime) else dt.datetime.combine(start, dt.time(), dt.timezone.utc)
        if first <= at < end and not (case.is_anonymous and kind == "free"):
            found.append(("" if case.is_anonymous else uid, start, to, kind))
    return sorted(found, key=str)


def verdict(text, ours, case):
    """The corrections that were needed, and the difference: both answers, a text, or None."""
    import reference
    from zoneinfo import ZoneInfo

    events, answer = reference.given(reference.start_counts(case.meaning(text, case.system)), case.system, case.years)
    rows = lambda answer: compared(reference.rows(answer), case)
    mine, their, used = compared(ours.rows, case), rows(answer), []
    if mine != their:
        for paragraph, correct in reference.CORRECTIONS.items():
            corrected = correct(events, answer, ZoneInfo(case.system))
            if rows(corrected) != rows(answer):
                used.append(paragraph)
            answer = corrected
        their = rows(answer)
    if mine != their and mine == reference.once(their, mine):
        used.append(reference.ONCE)
        their = mine
    if mine != their and not (case.may_differ_if_reported and ours.skipped):
        return used, (mine, their)
    if case.reported is not None and case.reported != bool(ours.skipped):
        return used, f"reported: {ours.skipped[:3]}" if ours.skipped else "nothing is reported"
    return used, None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=6000, help="how many valid files")
    parser.add_argument("--each", type=int, default=200, help="how many files of each kind that is not valid")
    parser.add_argument("--kind", action="append", help="only this kind; can be repeated")
    parser.add_argument("--seed", type=int, default=0, help="the number of the first file")
    parser.add_argument("--keep", type=pathlib.Path, help="write the files to this folder, and keep them")
    parser.add_argument("--presenced", help="use `presenced agenda` instead of the library")
    arguments = parser.parse_args()

    import kinds
    from cases import Case

    wanted = {Case: arguments.files, **{kind: arguments.each for kind in kinds.ALL}}
    unknown = set(arguments.kind or []) - {kind.name for kind in wanted}
    if unknown:
        parser.error(f"there is no kind {', '.join(sorted(unknown))}; there are {', '.join(kind.name for kind in wanted)}")
    groups = collections.defaultdict(list)
    for kind, count in wanted.items():
        if not arguments.kind or kind.name in arguments.kind:
            for number in range(arguments.seed, arguments.seed + count):
                case = kind(number)
                groups[case.system, case.years].append((case, case.text()))

    table = Table()
    with tempfile.TemporaryDirectory() as temporary:
        for (system, years), cases in groups.items():
            folder = (arguments.keep or pathlib.Path(temporary)) / f"{system.replace('/', '-')}-{years[0]}"
            folder.mkdir(parents=True, exist_ok=True)
            for case, text in cases:
                (folder / f"{case.uid}.ics").write_text(text, newline="")
            window = ["--from", f"{years[0]}-01-01T00:00:00Z", "--to", f"{years[1]}-01-01T00:00:00Z", "--timezone", system]
            found = by_program(arguments.presenced, folder, window) if arguments.presenced else by_library(folder, window)
            for case, text in cases:
                ours = found[f"{case.uid}.ics"]
                table.add(case, text, ours, *verdict(text, ours, case))
    table.print()
    sys.exit(1 if table.different.total() else 0)


class Table:
    """The figures, for each kind and each correction."""

    def __init__(self):
        self.files, self.occurrences, self.different = collections.Counter(), collections.Counter(), collections.Counter()
        self.corrected = collections.Counter()

    def add(self, case, text, ours, corrections, difference):
        self.files[case.name] += 1
        self.occurrences[case.name] += len(ours.rows)
        self.corrected.update(corrections)
        if not difference:
            return
        self.different[case.name] += 1
        if self.different[case.name] > SHOWN:
            return
        if not isinstance(difference, str):
            mine, their = difference
            difference = f"ours only:   {shown(mine, their)}\ntheirs only: {shown(their, mine)}\nreported:    {ours.skipped[:3]}"
        print(f"\n{case.uid}, system {case.system}\n{text}\n{difference}\n")

    def print(self):
        print(f"{'files':>6} {'occurrences':>11} {'differ':>6}")
        for name in self.files:
            print(f"{self.files[name]:6} {self.occurrences[name]:11} {self.different[name]:6}  {name}")
        for paragraph, count in self.corrected.items():
            print(f"{count:6} corrected by RFC 5545, {paragraph}")
        print(f"{self.files.total()} files, {self.occurrences.total()} occurrences, {self.different.total()} differ")


def shown(these, others):
    return [f"{start} - {end} {kind}" for uid, start, end, kind in these if (uid, start, end, kind) not in others][:6]


if __name__ == "__main__":
    in_own_environment()
    main()
