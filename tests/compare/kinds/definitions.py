"""Zones by name: what a TZID means, and VTIMEZONEs that define it."""

import re

from cases import ZONES
from lines import find

KNOWN = dict(ZONES)

# Zone -> its offsets in winter and in summer, and when they begin: (month, weekday).
RULES = {
    "Europe/London": ("+0000", "+0100", (10, "-1SU"), (3, "-1SU")),
    "Europe/Berlin": ("+0100", "+0200", (10, "-1SU"), (3, "-1SU")),
    "America/New_York": ("-0500", "-0400", (11, "1SU"), (3, "2SU")),
    "America/Los_Angeles": ("-0800", "-0700", (11, "1SU"), (3, "2SU")),
    "Australia/Sydney": ("+1000", "+1100", (4, "1SU"), (10, "1SU")),
    "Pacific/Auckland": ("+1200", "+1300", (4, "1SU"), (9, "-1SU")),
    "America/Sao_Paulo": ("-0300", None, None, None),
    "Asia/Kolkata": ("+0530", None, None, None),
    "Asia/Kathmandu": ("+0545", None, None, None),
    "Asia/Tokyo": ("+0900", None, None, None),
}

# The local times at which summer time ends and begins; otherwise at 3 and 2 o'clock.
HOURS = {"Europe/London": ("02", "01"), "America/New_York": ("02", "02"), "America/Los_Angeles": ("02", "02")}


def vtimezone(zone, tzid, since=1601):
    """A definition like Outlook's, which begins in 1601."""
    winter, summer, to_winter, to_summer = RULES[zone]
    ends, begins = HOURS.get(zone, ("03", "02"))
    lines = ["BEGIN:VTIMEZONE", f"TZID:{tzid}", "BEGIN:STANDARD"]
    if summer is None:
        lines += [f"DTSTART:{since}0101T000000", f"TZOFFSETFROM:{winter}", f"TZOFFSETTO:{winter}", "END:STANDARD"]
    else:
        lines += [
            f"DTSTART:{since}0101T{ends}0000",
            yearly(*to_winter),
            f"TZOFFSETFROM:{summer}",
            f"TZOFFSETTO:{winter}",
            "END:STANDARD",
        ]
        lines += ["BEGIN:DAYLIGHT", f"DTSTART:{since}0101T{begins}0000", yearly(*to_summer)]
        lines += [f"TZOFFSETFROM:{winter}", f"TZOFFSETTO:{summer}", "END:DAYLIGHT"]
    return "\n".join([*lines, "END:VTIMEZONE", ""])


def yearly(month, weekday):
    return f"RRULE:FREQ=YEARLY;BYMONTH={month};BYDAY={weekday}"


def defined(component):
    """The zone with the rules of a VTIMEZONE."""
    text = "\n".join(component)
    rules = sorted(re.findall(r"TZOFFSETTO:(\S+)|BYMONTH=(\d+)", text))
    for zone in RULES:
        if sorted(re.findall(r"TZOFFSETTO:(\S+)|BYMONTH=(\d+)", vtimezone(zone, ""))) == rules:
            return zone
    raise ValueError(f"no zone has the rules of {find(component, 'TZID').value}")


def meant_by(name):
    """The zone with a name that is not defined in the file; None if nobody knows it."""
    if name in KNOWN:
        return KNOWN[name]
    return name if name in RULES else None
