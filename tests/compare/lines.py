"""Calendars as lines of text: splits them into objects and components, and reads single properties.

Only for files that `cases.py` and `kinds` write: their lines are not folded.
"""

import dataclasses
import datetime as dt
import re
from zoneinfo import ZoneInfo

LOCAL = "%Y%m%dT%H%M%S"
UTC = dt.timezone.utc


@dataclasses.dataclass
class Property:
    """A property. `parameters` keeps the order and the quotes."""

    name: str
    parameters: dict
    value: str

    @classmethod
    def read(cls, line):
        head, value = re.match(r'((?:"[^"]*"|[^":])*):(.*)', line, re.DOTALL).groups()
        name, *parameters = re.findall(r'((?:"[^"]*"|[^";])+)', head)
        return cls(name, dict(parameter.split("=", 1) for parameter in parameters), value)

    def __str__(self):
        return ";".join([self.name, *(f"{name}={value}" for name, value in self.parameters.items())]) + ":" + self.value

    @property
    def tzid(self):
        return self.parameters.get("TZID", "").strip('"')


def split(text):
    """The VCALENDAR objects of a file. Each is a list: first the lines of its head, then each component as a list of lines."""
    objects = []
    component = None
    for line in text.replace("\r\n", "\n").splitlines():
        if line == "BEGIN:VCALENDAR":
            objects.append([[]])
        elif line == "END:VCALENDAR":
            pass
        elif component is None and line.startswith("BEGIN:"):
            component = [line]
            objects[-1].append(component)
        elif component is None:
            objects[-1][0].append(line)
        else:
            component.append(line)
            if line == component[0].replace("BEGIN", "END"):
                component = None
    return objects


def joined(objects):
    """The file with these objects."""
    lines = []
    for head, *components in objects:
        lines += ["BEGIN:VCALENDAR", *head, *(line for component in components for line in component), "END:VCALENDAR"]
    return "".join(line + "\r\n" for line in lines)


def of_kind(calendar, kind):
    """The components of an object that are VEVENTs, VTIMEZONEs and so on."""
    return [component for component in calendar[1:] if component[0] == f"BEGIN:{kind}"]


def find(lines, name):
    """The first property with a name, or None."""
    return next((Property.read(line) for line in lines if re.match(rf"{name}[;:]", line)), None)


def changed(text, change):
    """The file with every VEVENT replaced by what `change(event, calendar)` makes of it; nothing if that is None."""
    objects = split(text)
    for calendar in objects:
        calendar[1:] = [
            changed_component
            for component in calendar[1:]
            if (changed_component := change(component, calendar) if component[0] == "BEGIN:VEVENT" else component) is not None
        ]
    return joined(objects)


def changed_lines(text, change):
    """The file with every line inside a VEVENT replaced by what `change(line)` makes of it."""
    return changed(text, lambda event, _calendar: [change(line) for line in event])


def is_master(event):
    return find(event, "RECURRENCE-ID") is None


def civil(text):
    """The local date and time of a value, whatever its form; a date is its midnight."""
    text = text.rstrip("Z")
    return dt.datetime.strptime(text, LOCAL) if "T" in text else dt.datetime.strptime(text, "%Y%m%d")


def instant(at, zone):
    """The UTC time of a local time: shifted in a gap, the first one in a fold (RFC 5545, 3.3.5)."""
    zone = ZoneInfo(zone) if isinstance(zone, str) else zone
    return at.replace(tzinfo=zone, fold=0).astimezone(UTC)


def zulu(at):
    return f"{at.astimezone(UTC):{LOCAL}}Z"


def parts(rule):
    """The parts of a rule, in their order."""
    return dict(part.split("=", 1) for part in rule.split(";"))


def rule(parts):
    return ";".join(f"{name}={value}" for name, value in parts.items())


def given(text, start, count=None):
    """The local times that a rule gives, without its UNTIL."""
    from dateutil.rrule import rrulestr

    return rrulestr(rule({name: value for name, value in parts(text).items() if name != "UNTIL"}), dtstart=start)
