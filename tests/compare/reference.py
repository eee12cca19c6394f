"""The answer of the Python packages icalendar and recurring-ical-events, and where they depart from RFC 5545.

`given` asks the packages. Each function of `CORRECTIONS` changes their answer to what the paragraph in its key says.
"""

import datetime as dt
from zoneinfo import ZoneInfo

from busy import class_of
from lines import find, given as times, is_master, changed, civil, joined, parts, rule, split

GAP = "3.3.5: a local time in a gap is read with the offset before the gap"
EXACT = "3.3.6, 3.8.5.3: hours of a duration are exact, even if the clocks change meanwhile"
ONCE = "3.8.5.2: an instance that is given twice counts once"


def utc(at, zone):
    """A time in UTC. A date stays a date; a floating time is in the system's zone."""
    if not isinstance(at, dt.datetime):
        return at
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(dt.timezone.utc)


def given(text, system, years):
    """The events of the file, and what the packages give: [(occurrence, start, end)]."""
    import icalendar
    import recurring_ical_events

    zone, events, found = ZoneInfo(system), [], []
    for one in split(text):
        calendar = icalendar.Calendar.from_ical(joined([one]))
        events += calendar.walk("VEVENT")
        window = [dt.datetime(year, 1, 1) for year in years]
        found += recurring_ical_events.of(calendar).between(*window)
    return events, [(event, utc(event["DTSTART"].dt, zone), utc(event["DTEND"].dt, zone)) for event in found]


def rows(answer):
    """The answer as [(UID, start, end, class)], without what does not count."""
    return [(str(event["UID"]), start, end, kind) for event, start, end in answer if (kind := class_of(event)) is not None]


def start_counts(text, _system=None):
    """RFC 5545, 3.3.10: "The DTSTART property value always counts as the first occurrence" of a COUNT. The packages show a DTSTART
    that its rule does not give, as Google, Apple, Outlook and Thunderbird do, but do not count it."""

    def change(event, _calendar):
        if not is_master(event):
            return event
        start = civil(find(event, "DTSTART").value)
        return [counted(line, start) if line.startswith("RRULE") else line for line in event]

    return changed(text, change)


def counted(line, start):
    name, text = line.split(":", 1)
    if "COUNT" not in parts(text) or next(iter(times(text, start)), None) == start:
        return line
    left = int(parts(text)["COUNT"]) - 1
    # A rule cannot give nothing.
    return f"{name}:{rule({**parts(text), 'COUNT': left}) if left else 'FREQ=DAILY;COUNT=1'}"


def really_local(at, zone):
    """A time in a zone that handles gaps correctly. In a zone that the file defines, the reference reads a time in a gap with the
    offset after the gap, not before it. The only such zone in the files has the rules of Berlin."""
    if "Customized" in repr(at.tzinfo):
        return at.replace(tzinfo=ZoneInfo("Europe/Berlin"))
    return at if at.tzinfo else at.replace(tzinfo=zone)


def own_zones(_events, answer, zone):
    """Times in zones that the file defines, read as if these were known zones."""

    def read(at):
        return utc(really_local(at, zone) if isinstance(at, dt.datetime) else at, zone)

    return [(event, read(event["DTSTART"].dt), read(event["DTEND"].dt)) for event, _, _ in answer]


def exact_ends(events, answer, zone):
    """The reference adds durations to the local time; this adds hours to the instant."""
    periods = {}
    for event in events:
        lines = event.get("X-CASE-PERIOD", [])
        for line in lines if isinstance(lines, list) else [lines]:
            at, seconds = map(int, line.split(","))
            periods[event["UID"], at] = (0, seconds)
    corrected = []
    for event, start, end in answer:
        if isinstance(start, dt.datetime):
            nominal, exact = map(int, event["X-CASE-LENGTH"].split(","))
            if "X-CASE-MASTER" in event:
                nominal, exact = periods.get((event["UID"], int(start.timestamp())), (nominal, exact))
            local = really_local(event["DTSTART"].dt, zone)
            end = (utc(local + dt.timedelta(seconds=nominal), zone) if nominal else start) + dt.timedelta(seconds=exact)
            # A start in a gap may be shifted beyond the end of a floating event.
            end = max(start, end)
        corrected.append((event, start, end))
    return corrected


CORRECTIONS = {GAP: own_zones, EXACT: exact_ends}


def once(answer, wanted):
    """One for each start. In a gap they may have different ends; then the wanted one."""
    by_start = {}
    for one in answer:
        if one[:2] not in by_start or one in wanted:
            by_start[one[:2]] = one
    return sorted(by_start.values(), key=str)
