"""Whole days that are written as times, wholly or partly."""

import datetime as dt
import re
from zoneinfo import ZoneInfo

from cases import FORMAT, Case
from lines import Property, changed, changed_lines, civil, find, instant, of_kind

from .definitions import defined, meant_by, vtimezone

SYSTEMS = [
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Pacific/Auckland",
]

VALUES = ("UNTIL", "DTEND", "EXDATE", "RDATE", "RECURRENCE-ID")


def own_zone(calendar):
    """The zone of a calendar: its X-WR-TIMEZONE, or the only zone that it defines; None if there is none."""
    head, *components = calendar
    written = find(head, "X-WR-TIMEZONE")
    definitions = of_kind(calendar, "VTIMEZONE")
    if written:
        return meant_by(written.value)
    return defined(definitions[0]) if len(definitions) == 1 else None


def local_date(text, zones):
    """The date that a value stands for.

    RFC 5545, 3.3.10 and 3.8.5.1: UNTIL, EXDATE and so on have the type of DTSTART, so here they are dates. Exchange and Microsoft
    365 write the UTC time of the local midnight instead (jens-maus/node-ical#454). Other writers put any time of day after the date
    that they mean, and do not convert it.
    """
    at = civil(text)
    if text.endswith("Z"):
        for zone in zones:
            local = at.replace(tzinfo=dt.timezone.utc).astimezone(ZoneInfo(zone))
            if local.time() == dt.time():
                return local.date()
    return at.date()


def as_dates(event, zones):
    """An event with every UTC time beside a DATE as a date."""

    def until(match):
        return f"UNTIL={local_date(match[1], zones):%Y%m%d}"

    lines = []
    for line in event:
        if re.match(r"RRULE[;:]", line):
            line = re.sub(r"UNTIL=(\w+)", until, line)
        elif re.match(r"(DTSTART|DTEND|EXDATE|RDATE|RECURRENCE-ID)[;:]", line):
            read = Property.read(line)
            read.value = ",".join(f"{local_date(text, zones):%Y%m%d}" for text in read.value.split(","))
            read.parameters = {name: value for name, value in read.parameters.items() if name != "TZID"} | {"VALUE": "DATE"}
            line = str(read)
        lines.append(line)
    return lines


def zones_of(calendar, system):
    own = own_zone(calendar)
    return [own, system] if own else [system]


class UtcTimes(Case):
    """UTC times in UNTIL, EXDATE, RDATE, RECURRENCE-ID and DTEND of events whose DTSTART is a DATE (item 2)."""

    name = "utc-times"
    forms = {"day": 1}
    systems = SYSTEMS

    def __init__(self, number):
        super().__init__(number)
        self.utc_values = set(self.random.sample(VALUES, self.random.randrange(1, len(VALUES) + 1)))
        self.ways = [self.system, "as written"]
        own = self.random.choice([None, None, *SYSTEMS])
        if own:
            self.ways.append(own)
            if self.random.random() < 0.5:
                self.head.append(f"X-WR-TIMEZONE:{own}")
            else:
                self.components.append(vtimezone(own, self.random.choice([own, "Private Zone"])))

    def utc_time(self, day):
        way = self.random.choice(self.ways)
        if way == "as written":
            return f"{day:%Y%m%d}T{self.random.choice(['235959', '101500', '000000'])}Z"
        return f"{instant(day, way):{FORMAT}}Z"

    def at(self, name, at):
        if name.split(";")[0] in self.utc_values:
            return f"{name}:{self.utc_time(at)}"
        return super().at(name, at)

    def until(self, at):
        midnight = at.replace(hour=0, minute=0)
        return self.utc_time(midnight) if "UNTIL" in self.utc_values else super().until(at)

    @staticmethod
    def meaning(text, system):
        def change(event, calendar):
            is_day = "T" not in find(event, "DTSTART").value
            return as_dates(event, zones_of(calendar, system)) if is_day else event

        return changed(text, change)


class DatesWithZ(Case):
    """Dates with a Z, as in Google's export of birthdays (item 10)."""

    name = "dates-with-z"
    forms = {"day": 1}

    def __init__(self, number):
        super().__init__(number)
        self.z_values = set(self.random.sample([*VALUES, "DTSTART"], self.random.randrange(1, 4)))

    def at(self, name, at):
        written = super().at(name, at)
        return written.replace(";VALUE=DATE", "") + "Z" if name.split(";")[0] in self.z_values else written

    def until(self, at):
        return super().until(at) + ("Z" if "UNTIL" in self.z_values else "")

    @staticmethod
    def meaning(text, _system):
        """RFC 5545, 3.3.4: a DATE has no zone, so the Z says nothing (a sample in kewisch/ical.js)."""

        def plain(line):
            dates = re.fullmatch(r"(DTSTART|DTEND|EXDATE|RDATE|RECURRENCE-ID)((?:;RANGE=\w+)?):((?:\d{8}Z,?)+)", line)
            return (
                f"{dates[1]}{dates[2]};VALUE=DATE:{dates[3].replace('Z', '')}" if dates else re.sub(r"(UNTIL=\d{8})Z", r"\1", line)
            )

        return changed_lines(text, plain)


class DaysAsTimes(Case):
    """Whole days as times from midnight to midnight, with X-MICROSOFT-CDO-ALLDAYEVENT:TRUE (item 10)."""

    name = "days-as-times"
    forms = {"day": 1}
    systems = SYSTEMS

    def __init__(self, number):
        super().__init__(number)
        # From here on, this is an event with times.
        self.form = self.kind = self.random.choice(["zoned", "zoned", "utc", "floating"])
        self.zone = {"zoned": self.zone, "utc": dt.timezone.utc, "floating": ZoneInfo(self.system)}[self.kind]
        if self.kind == "zoned":
            self.tzid, zone = self.random.choice([one for one in self.zones if "Customized" not in one[0]])
            self.zone = ZoneInfo(zone)
        elif self.kind == "utc":
            self.zone = self.random.choice([dt.timezone.utc, ZoneInfo(self.system)])
        # Without the statement, or with another time of day, these are times.
        self.says_all_day = self.random.random() < 0.9
        self.hour = 0 if self.random.random() < 0.9 else 14

    def start(self):
        return dt.datetime.combine(super().start(), dt.time(self.hour))

    def length(self, start):
        days = self.random.choice([1, 1, 2, 5])
        end = start + dt.timedelta(days=days)
        exact = int((self.instant(end) - self.instant(start)).total_seconds())
        return [self.at("DTEND", end)], (days * 86400, 0) if self.kind == "floating" else (0, exact)

    def rule(self, start):
        """A rule for whole days."""
        self.kind = "day"
        text = super().rule(start)
        self.kind = self.form
        return text

    def until(self, at):
        at = at.replace(hour=self.hour)
        return f"{at:{FORMAT}}" if self.form == "floating" else f"{self.instant(at):{FORMAT}}Z"

    def overrides(self, slots):
        """Moved by whole days."""
        for slot in self.random.sample(slots, min(len(slots), self.random.choice([0, 0, 1]))):
            moved = slot + dt.timedelta(days=self.random.choice([-1, 1]))
            length_lines, length = self.length(moved)
            self.event([self.at("RECURRENCE-ID", slot), self.at("DTSTART", moved), *length_lines], length)

    def dates(self, start, length):
        return []

    def at(self, name, at):
        return f"{name}:{self.instant(at):{FORMAT}}Z" if self.kind == "utc" else super().at(name, at)

    def properties(self):
        lines = [self.random.choice(["TRANSP:OPAQUE", "X-MICROSOFT-CDO-BUSYSTATUS:OOF", "CLASS:PUBLIC"])]
        return [*lines, f"X-MICROSOFT-CDO-ALLDAYEVENT:{'TRUE' if self.says_all_day else 'FALSE'}"]

    @staticmethod
    def meaning(text, system):
        """MS-OXCICAL, X-MICROSOFT-CDO-ALLDAYEVENT: TRUE says that the event lasts whole days. Outlook and Zimbra also write it
        beside times, from midnight to midnight in the zone of the event, the calendar or the system."""

        def change(event, calendar):
            start, end = find(event, "DTSTART"), find(event, "DTEND")
            zones = zones_of(calendar, system) if start.value.endswith("Z") else []
            is_whole = all(at_midnight(at.value, zones) for at in (start, end))
            if not is_whole or "X-MICROSOFT-CDO-ALLDAYEVENT:TRUE" not in event:
                return event
            # An UNTIL in UTC is on the clock of the event.
            clock = [meant_by(start.tzid)] if start.tzid else zones
            return as_dates(event, clock)

        return changed(text, change)


def at_midnight(text, zones):
    """Whether a time is midnight as written, or in one of the zones."""
    at = civil(text)
    clocks = [at, *(at.replace(tzinfo=dt.timezone.utc).astimezone(ZoneInfo(zone)) for zone in zones)]
    return any(clock.time() == dt.time() for clock in clocks)
