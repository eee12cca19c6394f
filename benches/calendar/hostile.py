"""Writes broken and hostile files into a folder: `hostile.py FOLDER`."""

import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
folder.mkdir()


def calendar(*properties):
    lines = ["BEGIN:VCALENDAR", "BEGIN:VEVENT", "UID:1", *properties, "END:VEVENT", "END:VCALENDAR", ""]
    return "\r\n".join(lines)


def components(*texts):
    """A whole calendar with these components."""
    return "".join(["BEGIN:VCALENDAR\r\n", *texts, "END:VCALENDAR\r\n"])


def numbers(count):
    return ",".join(map(str, range(count)))


START = "DTSTART:20260302T090000Z"
FIRST = "DTSTART:16010101T000000Z"
FILES = {
    "components nested 100,000 deep": calendar(START, *["BEGIN:VALARM"] * 100_000),
    "100,000 events never closed": components("BEGIN:VEVENT\r\n" * 100_000),
    "a line of 10 MB": calendar(START, "DESCRIPTION:" + "x" * 10_000_000),
    "5 million folds": calendar(START, "DESCRIPTION:" + "x\r\n " * 5_000_000),
    "every second since 1601": calendar(FIRST, "DURATION:PT1S", "RRULE:FREQ=SECONDLY"),
    "every minute since 1601": calendar(FIRST, "RRULE:FREQ=MINUTELY"),
    "a rule that never matches": calendar(FIRST, "RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"),
    "COUNT=4294967295": calendar(FIRST, "RRULE:FREQ=SECONDLY;BYSECOND=1,7;COUNT=4294967295"),
    "10,000 counted rules that miss their start": components(
        *(f"BEGIN:VEVENT\r\nUID:{n}\r\n{START}\r\nRRULE:FREQ=SECONDLY;BYSETPOS=2;COUNT=5\r\nEND:VEVENT\r\n" for n in range(10_000))
    ),
    "INTERVAL=0": calendar(START, "RRULE:FREQ=DAILY;INTERVAL=0"),
    "every part of a day by list": calendar(
        START, f"RRULE:FREQ=YEARLY;BYHOUR={numbers(24)};BYMINUTE={numbers(60)};BYSECOND={numbers(60)}"
    ),
    "a list of 15,000 weekdays": calendar(START, "RRULE:FREQ=DAILY;BYDAY=" + ",".join(["MO"] * 15_000)),
    "every day by number, and positions": calendar(
        FIRST, f"RRULE:FREQ=YEARLY;BYYEARDAY={numbers(367)[2:]};BYHOUR={numbers(24)};BYSETPOS={numbers(367)[2:]}"
    ),
    "a million EXDATEs": calendar(START, "RRULE:FREQ=DAILY", *["EXDATE:20270101T000000Z"] * 1_000_000),
    "a million EXDATEs on a line": calendar(START, "RRULE:FREQ=DAILY", "EXDATE:" + ",".join(["20270101T000000Z"] * 1_000_000)),
    "years 0000 to 9999": calendar("DTSTART:00000101T000000Z", "DTEND:99991231T235959Z", "RRULE:FREQ=DAILY"),
    "100,000 series of every minute": components(
        *(f"BEGIN:VEVENT\r\nUID:{n}\r\n{FIRST}\r\nRRULE:FREQ=MINUTELY;BYSETPOS=2\r\nEND:VEVENT\r\n" for n in range(100_000))
    ),
    "20,000 overrides of one series": components(
        *(
            f"BEGIN:VEVENT\r\nUID:1\r\nRECURRENCE-ID;RANGE=THISANDFUTURE:2026030{n % 9 + 1}T{n % 24:02}0000\r\n{START}\r\nEND:VEVENT\r\n"
            for n in range(20_000)
        ),
        f"BEGIN:VEVENT\r\nUID:1\r\n{START}\r\nRRULE:FREQ=MINUTELY\r\nEND:VEVENT\r\n",
    ),
    "1,000 zones of every second": components(
        *(
            f"BEGIN:VTIMEZONE\r\nTZID:own{n}\r\nBEGIN:STANDARD\r\nDTSTART:16010101T00{n % 60:02}00\r\nRRULE:FREQ=SECONDLY\r\n"
            f"TZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
            f"BEGIN:VEVENT\r\nDTSTART;TZID=own{n}:20260302T090000\r\nEND:VEVENT\r\n"
            for n in range(1_000)
        )
    ),
}
for name, text in FILES.items():
    (folder / name).write_bytes(text.encode())
(folder / "10 MB of zeros").write_bytes(bytes(10_000_000))
