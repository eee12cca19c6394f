"""Zones that are named in unusual ways, or not at all."""

import datetime as dt
import re
from zoneinfo import ZoneInfo

from cases import FORMAT, ZONES, Case
from lines import Property, changed, civil, find, given, instant, joined, parts, rule, split, zulu

from .definitions import meant_by

# Name -> the zone it means, or an offset in minutes.
NAMES = {
    # Outlook and Exchange write "&"; translated and converted files have "and".
    "(UTC-05:00) Eastern Time (US and Canada)": "America/New_York",
    "(GMT-05:00) Eastern Time (US and Canada)": "America/New_York",
    "(UTC-06:00) Central Time (US and Canada)": "America/Chicago",
    "(UTC-07:00) Mountain Time (US and Canada)": "America/Denver",
    "(UTC-08:00) Pacific Time (US and Canada)": "America/Los_Angeles",
    "(UTC-08:00) pacific time (us and canada)": "America/Los_Angeles",
    # The southern summer is in January; the standard offset is the one in July.
    "(UTC+10:00) Canberra, Melbourne, Sydney": "Australia/Sydney",
    "(GMT+12:00) Auckland, Wellington": "Pacific/Auckland",
    "(UTC-04:00) Santiago": "America/Santiago",
    "(UTC+05:30) Chennai, Kolkata, Mumbai, New Delhi": "Asia/Kolkata",
    "(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna": "Europe/Berlin",
    # Another order of the words.
    "Universal Coordinated Time": "UTC",
    # Names of older Windows versions, whose places have changed their clocks since: the written offset counts.
    "(UTC-11:00) Midway Island, Samoa": -660,
    "(GMT+04:00) Moscow, St. Petersburg, Volgograd": 240,
    "(UTC-04:30) Caracas": -270,
    "(UTC+02:00) Istanbul": 120,
    "(UTC+08:30) Pyongyang": 510,
    "(UTC-03:00) Santiago": -180,
    # Places that are in no table.
    "(UTC-03:00) Buenos Aires": -180,
    "(UTC+01:00) Somewhere Nice": 60,
    "(GMT+05:45) Roof of the World": 345,
    "(UTC) Nowhere in Particular": 0,
}


def fixed(minutes):
    """The name and the definition of a zone without summer time."""
    offset = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    name = f"Fixed {offset}"
    lines = [
        "BEGIN:VTIMEZONE",
        f"TZID:{name}",
        "BEGIN:STANDARD",
        "DTSTART:19700101T000000",
        f"TZOFFSETFROM:{offset}",
        f"TZOFFSETTO:{offset}",
    ]
    return name, [*lines, "END:STANDARD", "END:VTIMEZONE"]


class OffsetNames(Case):
    """Display names with the offset in front (item 9)."""

    name = "offset-names"
    forms = {"zoned": 1}
    reported = None

    def __init__(self, number):
        super().__init__(number)
        self.tzid, meant = self.random.choice(list(NAMES.items()))
        self.zone = ZoneInfo(meant) if isinstance(meant, str) else dt.timezone(dt.timedelta(minutes=meant))
        if self.random.random() < 0.3:
            self.head.append(f"X-WR-TIMEZONE:{self.random.choice(['Asia/Tokyo', 'America/Sao_Paulo'])}")

    def at(self, name, at):
        return f'{name};TZID="{self.tzid}":{at:{FORMAT}}'

    @staticmethod
    def meaning(text, _system):
        """The tables of names in jens-maus/node-ical and sabre/vobject read "and" as "&". If the name says another offset than its
        place has today, or its place is unknown, the writer's clock had the written offset."""
        objects = split(text)
        for calendar in objects:
            definitions = {}
            for component in calendar[1:]:
                for number, line in enumerate(component):
                    read = Property.read(line)
                    meant = NAMES.get(read.tzid)
                    if meant is None:
                        continue
                    name, definition = (meant, None) if isinstance(meant, str) else fixed(meant)
                    if definition:
                        definitions[name] = definition
                    read.parameters["TZID"] = name
                    component[number] = str(read)
            calendar[0] = [line for line in calendar[0] if not line.startswith("X-WR-TIMEZONE")]
            calendar[1:1] = definitions.values()
        return joined(objects)


class CalendarZone(Case):
    """Floating times in a VCALENDAR with X-WR-TIMEZONE (item 10)."""

    name = "calendar-zone"
    forms = {"floating": 5, "day": 1}

    def __init__(self, number):
        super().__init__(number)
        written, zone = self.random.choice([*(one for one in ZONES if "Customized" not in one[0]), ("Nowhere", self.system)])
        self.zone = ZoneInfo(zone) if self.kind == "floating" else self.zone
        self.has_zone = written != "Nowhere"
        if not self.has_zone:
            self.reported = None
        self.default = f"X-WR-TIMEZONE:{written}"
        if self.random.random() < 0.7:
            self.head.append(self.default)

    def text(self):
        text = super().text()
        # The order of properties and components means nothing.
        return text if self.head else text.replace("END:VCALENDAR", f"{self.default}\r\nEND:VCALENDAR")

    @staticmethod
    def meaning(text, _system):
        """Google reads the floating times of an imported file in its X-WR-TIMEZONE, and the users of Home Assistant expect that."""
        return in_zone_of_calendar(text)


def in_zone_of_calendar(text):
    """The file with the floating times of each object in its X-WR-TIMEZONE."""
    objects = split(text)
    for calendar in objects:
        head = calendar[0]
        default = find(head, "X-WR-TIMEZONE")
        zone = default and meant_by(default.value)
        calendar[0] = [line for line in head if not line.startswith("X-WR-TIMEZONE")]
        if zone:
            for component in calendar[1:]:
                component[:] = [in_zone(line, zone) for line in component]
    return joined(objects)


def in_zone(line, zone):
    read = Property.read(line)
    if read.name == "RRULE":
        known = parts(read.value)
        if "T" in known.get("UNTIL", "") and not known["UNTIL"].endswith("Z"):
            known["UNTIL"] = zulu(instant(civil(known["UNTIL"]), zone))
        return f"RRULE:{rule(known)}"
    floating = not read.tzid and re.fullmatch(r"(\d{8}T\d{6},?)+", read.value)
    if read.name in ("DTSTART", "DTEND", "EXDATE", "RDATE", "RECURRENCE-ID") and floating:
        read.parameters["TZID"] = zone
    return str(read)


class UnknownExdate(Case):
    """An EXDATE in a zone that nobody knows (item 10)."""

    name = "unknown-exdate"
    forms = {"zoned": 3, "utc": 1}
    zones = [one for one in ZONES if "Customized" not in one[0]]
    # The zone is unknown, so the report may say that.
    reported = None

    def exceptions(self, slots):
        if any(self.instant(slot).date() != slot.date() for slot in slots):
            # The reference also excludes the instance on that date in UTC.
            return []
        chosen = self.random.sample(slots, min(len(slots), self.random.choice([1, 2])))
        days = {slot.date() for slot in chosen}
        # The reference ignores dates for instances that are moved.
        slots[:] = [slot for slot in slots if slot.date() not in days]
        tzid = self.random.choice(["PDT", "Nowhere/City", "My Zone"])
        other = self.random.choice([0, 0, 6])
        return [f"EXDATE;TZID={tzid}:{slot.replace(hour=(slot.hour + other) % 24):{FORMAT}}" for slot in chosen]

    @staticmethod
    def meaning(text, _system):
        """RFC 5545, 3.8.5.1: an EXDATE names an instance of its series. If its zone is unknown, it is read on the clock of the
        series; if there is no such instance, it means the date (ical-org/ical.net#541)."""

        def change(event, _calendar):
            start = find(event, "DTSTART")
            return [line if not line.startswith("EXDATE") else excluded(Property.read(line), start, event) for line in event]

        return changed(text, change)


def excluded(exdate, start, event):
    if meant_by(exdate.tzid):
        return str(exdate)
    at = civil(exdate.value)
    rules = [line[6:] for line in event if line.startswith("RRULE:")]
    dates = [civil(Property.read(line).value.split("/")[0]) for line in event if line.startswith("RDATE")]
    first = civil(start.value)
    if at not in [first, *dates] and not any(gives(one, first, at, start) for one in rules):
        return f"EXDATE;VALUE=DATE:{at:%Y%m%d}"
    return f"EXDATE;TZID={start.tzid}:{at:{FORMAT}}" if start.tzid else f"EXDATE:{at:{FORMAT}}Z"


def gives(text, first, at, start):
    """Whether a rule gives a time, before its UNTIL."""
    until = parts(text).get("UNTIL")
    zone = "UTC" if start.value.endswith("Z") else meant_by(start.tzid)
    if until and instant(at, zone) > (instant(civil(until), "UTC") if until.endswith("Z") else instant(civil(until), zone)):
        return False
    return at == next(iter(given(text, first).xafter(at, count=1, inc=True)), None)
