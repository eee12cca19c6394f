"""Writes the files that benches/calendar.sh measures: `events.py file PATH COUNT` or `events.py folder PATH COUNT`.

80 % of the events are single and 20 % repeat. A tenth are in a zone that Outlook defined, which starts in 1601.
"""

import datetime
import pathlib
import sys

OUTLOOK = """BEGIN:VTIMEZONE
TZID:Customized Time Zone
BEGIN:STANDARD
DTSTART:16011028T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010325T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
"""
RULES = ["FREQ=WEEKLY;BYDAY=MO,WE", "FREQ=DAILY;COUNT=400", "FREQ=MONTHLY;BYDAY=2TU", "FREQ=WEEKLY;INTERVAL=2;UNTIL=20270101T000000Z", "FREQ=YEARLY"]
ZONES = ["Europe/Berlin", "America/New_York"]


def event(number):
    start = datetime.datetime(2016, 1, 1) + datetime.timedelta(days=number * 7919 % 4400, minutes=15 * (number * 31 % 96))
    zone = "Customized Time Zone" if number % 10 == 0 else ZONES[number % 2]
    rule = f"RRULE:{RULES[number // 5 % 5]}\n" if number % 5 == 0 else ""
    return (
        f"BEGIN:VEVENT\nUID:{number}@bench.invalid\nDTSTAMP:20260101T000000Z\nCREATED:20260101T000000Z\n"
        f"DTSTART;TZID={zone}:{start:%Y%m%dT%H%M%S}\nDTEND;TZID={zone}:{start + datetime.timedelta(minutes=45):%Y%m%dT%H%M%S}\n{rule}"
        f"SUMMARY:Meeting number {number}\nLOCATION:Room {number % 40}\nSEQUENCE:1\nSTATUS:CONFIRMED\nTRANSP:OPAQUE\n"
        "DESCRIPTION:What we talk about\\, and what we decide\\n is written down here in a few words\n"
        "  so that everybody knows.\nEND:VEVENT\n"
    )


def calendar(numbers, own_zone):
    yield "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//presenced//bench//EN\n" + (OUTLOOK if own_zone else "")
    yield from map(event, numbers)
    yield "END:VCALENDAR\n"


kind, path, count = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
if kind == "file":
    with open(path, "w", newline="") as file:
        for text in calendar(range(count), True):
            file.write(text.replace("\n", "\r\n"))
else:
    path.mkdir()
    for number in range(count):
        text = "".join(calendar([number], number % 10 == 0))
        (path / f"{number}.ics").write_text(text.replace("\n", "\r\n"), newline="")
