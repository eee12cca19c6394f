"""Generates calendar files: small, valid, and as odd as real ones, most of them around the clock changes in 2026.

Each file depends only on its number, so that a difference can be reproduced. Properties that begin with X-CASE- hold what
`reference.py` needs to know about an event; calendar programs ignore them. Files that are not valid are in `kinds`.
"""

import datetime as dt
import random
from zoneinfo import ZoneInfo

# The name in the file, and the zone it means. Both sides resolve names from Windows and names that the file defines.
ZONES = [
    ("Europe/Berlin", "Europe/Berlin"),
    ("Europe/London", "Europe/London"),
    ("Europe/Helsinki", "Europe/Helsinki"),
    ("America/New_York", "America/New_York"),
    ("America/Los_Angeles", "America/Los_Angeles"),
    ("America/Sao_Paulo", "America/Sao_Paulo"),
    ("Asia/Kolkata", "Asia/Kolkata"),
    ("W. Europe Standard Time", "Europe/Berlin"),
    ("GMT Standard Time", "Europe/London"),
    ("Eastern Standard Time", "America/New_York"),
    ("Pacific Standard Time", "America/Los_Angeles"),
    ("Customized Time Zone", "Europe/Berlin"),
]

OWN_ZONE = """BEGIN:VTIMEZONE
TZID:Customized Time Zone
BEGIN:STANDARD
DTSTART:19961027T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19960331T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
"""

# The clocks change on these days in the zones above.
CHANGES = [dt.date(2026, 3, 8), dt.date(2026, 3, 29), dt.date(2026, 10, 25), dt.date(2026, 11, 1)]

DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]

FORMAT = "%Y%m%dT%H%M%S"


class Case:
    """One file."""

    name = "case"
    # The forms of a start, and how often each is used.
    forms = {"zoned": 6, "utc": 1, "floating": 1, "day": 2}
    zones = ZONES
    # The system's zones. Floating times and whole days use the one of the file.
    systems = ["Europe/Berlin"]
    # The years that are compared, from the first to before the last.
    years = (2026, 2027)
    # Whether the report must name something: True, False, or None if both are right.
    reported = False
    # Whether it is enough to report the file instead.
    may_differ_if_reported = False
    # Whether UIDs and free time are left out of the comparison.
    is_anonymous = False

    def __init__(self, number):
        self.random = random.Random(number if self.name == "case" else f"{self.name}-{number}")
        self.uid = f"{self.name}-{number}"
        self.system = self.random.choice(self.systems) if len(self.systems) > 1 else self.systems[0]
        self.kind = self.random.choices(list(self.forms), list(self.forms.values()))[0]
        self.tzid, zone = self.random.choice(self.zones)
        self.zone = {"zoned": ZoneInfo(zone), "utc": dt.timezone.utc}.get(self.kind, ZoneInfo(self.system))
        self.stamp = "20260101T000000Z"
        # Properties of the VCALENDAR.
        self.head = []
        # Whether one of them gives floating times a zone.
        self.has_zone = False
        self.components = []

    @staticmethod
    def meaning(text, _system):
        """The file as RFC 5545 would have it: what the file means, in a form that the packages read."""
        return text

    def text(self):
        """The file."""
        start = self.start()
        rules = self.rules(start) if self.random.random() < 0.85 else []
        length_lines, length = self.length(start)
        master = [self.at("DTSTART", start), *length_lines, *(f"RRULE:{rule}" for rule in rules)]
        slots = self.slots(start, rules)
        # The reference confuses an instance with the one at the same hour in UTC, so there are no changes to single instances
        # if a rule gives several a day.
        if any("HOUR" in rule for rule in rules):
            slots = []
        if rules or self.random.random() < 0.3:
            master += self.exceptions(slots)
            master += self.dates(start, length)
        self.event(master, length)
        if rules and slots:
            self.overrides(slots)
        self.random.shuffle(self.components)
        own_zone = OWN_ZONE if any("Customized" in component for component in self.components) else ""
        head = "\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//case//EN", *self.head, ""])
        zone_first = self.random.random() < 0.5
        body = "".join(self.components)
        text = head + (own_zone + body if zone_first else body + own_zone) + "END:VCALENDAR\n"
        return text.replace("\n", "\r\n")

    def event(self, lines, length):
        nominal, exact = length
        head = ["BEGIN:VEVENT", f"UID:{self.uid}", f"DTSTAMP:{self.stamp}", f"X-CASE-LENGTH:{nominal},{exact}"]
        if not lines[0].startswith("RECURRENCE-ID"):
            head.append("X-CASE-MASTER:1")
        self.components.append("\n".join([*head, *lines, *self.properties(), "END:VEVENT", ""]))

    def properties(self):
        """Further properties of an event."""
        return []

    def start(self):
        """A start near a clock change, or long before it."""
        day = self.random.choice(CHANGES) - dt.timedelta(days=self.random.randrange(0, 20))
        if self.random.random() < 0.2:
            day = day.replace(year=self.random.randrange(1998, 2026))
        hour = self.random.choice([0, 1, 1, 2, 2, 2, 3, 9, 12, 17, 22, 23])
        return dt.datetime.combine(day, dt.time(0 if self.kind == "day" else hour, self.minute()))

    def minute(self):
        return 0 if self.kind == "day" else self.random.choice([0, 0, 15, 30, 59])

    def length(self, start):
        """The lines that say how long an event is, and its length as (nominal, exact) seconds."""
        if self.kind == "day":
            days = self.random.choice([1, 1, 1, 2, 7])
            form = self.random.randrange(3)
            if form == 0 and days == 1:
                return [], (86400, 0)
            if form == 1:
                return [self.random.choice([f"DURATION:P{days}D", *(["DURATION:P1W"] if days == 7 else [])])], (days * 86400, 0)
            return [self.at("DTEND", start + dt.timedelta(days=days))], (days * 86400, 0)
        form = self.random.randrange(10)
        if form == 0:
            return [], (0, 0)
        if form <= 3:
            days, hours, minutes = self.random.choice([0, 0, 0, 1, 7]), self.random.choice([0, 1, 5]), 30
            text = "P1W" if days == 7 and hours == 0 else f"P{f'{days}D' if days else ''}T{hours}H{minutes}M"
            return [f"DURATION:{text}"], (days * 86400, 0 if text == "P1W" else hours * 3600 + minutes * 60)
        end = start + dt.timedelta(minutes=self.random.choice([0, 15, 60, 90, 480, 1440, 3000]))
        exact = int((self.instant(end) - self.instant(start)).total_seconds())
        if self.kind == "floating" and not self.has_zone:
            # A floating time has no known clock, so the end stays as written.
            return [self.at("DTEND", end)], (int((end - start).total_seconds()), 0)
        if exact < 0:
            # From the middle of a gap to its end: the two are the same instant, or in the wrong order.
            end, exact = start, 0
        return [self.at("DTEND", end)], (0, exact)

    def rules(self, start):
        rules = [self.rule(start)]
        if self.random.random() < 0.08:
            rules.append(self.rule(start))
        return rules

    def rule(self, start):
        """A rule; most of them give their own start."""
        pick, some = self.random.choice, self.random.sample
        freq = self.random.choices(["HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"], [1, 4, 6, 4, 3])[0]
        if freq == "HOURLY" and (self.kind == "day" or start.year < 2026):
            freq = "WEEKLY"
        parts = [f"FREQ={freq}"]
        interval = pick([1, 1, 1, 2, 3, 5])
        if interval > 1:
            parts.append(f"INTERVAL={interval}")
        own, nth = DAYS[start.weekday()], (start.day - 1) // 7 + 1
        last = (start + dt.timedelta(days=7)).month != start.month
        if freq == "DAILY":
            parts += pick([[], [], [f"BYDAY={','.join(sorted({own, *some(DAYS, 3)}))}"], [f"BYMONTH={start.month},4,11"]])
        elif freq == "WEEKLY":
            parts += pick([[], [f"BYDAY={','.join(sorted({own, *some(DAYS, 2)}))}"], [f"BYDAY={own}"]])
            parts += pick([[], [], ["WKST=SU"], ["WKST=MO"], ["WKST=WE"]])
        elif freq == "MONTHLY":
            choices = [[], [f"BYMONTHDAY={start.day}"], [f"BYMONTHDAY={start.day},-1"], [f"BYDAY={nth}{own}"]]
            choices += [[f"BYDAY=-1{own}"]] if last else []
            choices += [[f"BYDAY=MO,TU,WE,TH,FR,{own}", "BYSETPOS=-1"]] if self.random.random() < 0.2 else []
            parts += pick(choices)
        elif freq == "YEARLY":
            choices = [[], [f"BYMONTH={start.month}", f"BYDAY={nth}{own}"], [f"BYMONTH=3,{start.month}", f"BYMONTHDAY={start.day}"]]
            choices += [[f"BYYEARDAY={start.timetuple().tm_yday}"], [f"BYWEEKNO={start.isocalendar()[1]}", f"BYDAY={own}"]]
            choices += [[f"BYMONTH={start.month}", f"BYDAY=-1{own}"]] if last else []
            parts += pick(choices)
        if freq != "HOURLY" and self.kind != "day" and self.random.random() < 0.1:
            parts.append(f"BYHOUR={start.hour},{(start.hour + 7) % 24}")
        end = self.random.random()
        if end < 0.35:
            parts.append(f"COUNT={pick([1, 2, 5, 10, 40] if start.year == 2026 else [10, 300, 2000])}")
        elif end < 0.7:
            until = start.replace(year=2026) + dt.timedelta(days=pick([0, 3, 14, 30, 200]), hours=pick([0, 0, -1, 5]))
            if until >= start:
                parts.append(f"UNTIL={self.until(until)}")
        elif freq == "HOURLY":
            parts.append("COUNT=60")
        return ";".join(parts)

    def until(self, at):
        if self.kind == "day":
            return at.strftime("%Y%m%d")
        if self.kind == "floating":
            return at.strftime(FORMAT)
        return self.instant(at).strftime(FORMAT) + "Z"

    def slots(self, start, rules):
        """Some of the times that the rules give in the compared year."""
        from dateutil.rrule import rrulestr

        slots = set()
        for rule in rules:
            civil = ";".join(part for part in rule.split(";") if not part.startswith("UNTIL"))
            given = rrulestr(civil, dtstart=start).xafter(dt.datetime(2026, 2, 1), count=40, inc=True)
            slots |= {slot for slot in given if slot.year == 2026}
        return sorted(slots)

    def exceptions(self, slots):
        if not slots or self.random.random() < 0.6:
            return []
        chosen = self.random.sample(slots, min(len(slots), self.random.choice([1, 2, 5])))
        form = self.random.randrange(4)
        if form == 0 or self.kind == "day":
            # All on one line.
            first = self.at("EXDATE", chosen[0])
            return [",".join([first, *(self.at("EXDATE", slot).rsplit(":", 1)[1] for slot in chosen[1:])])]
        if form == 1 and self.kind == "zoned":
            return [f"EXDATE:{self.instant(slot).strftime(FORMAT)}Z" for slot in chosen]
        if form == 2 and all(self.instant(slot).date() == slot.date() for slot in slots):
            # The reference ignores these for instances that are moved, and also excludes the instance on that date in UTC.
            days = {slot.date() for slot in chosen}
            slots[:] = [slot for slot in slots if slot.date() not in days]
            return [f"EXDATE;VALUE=DATE:{slot:%Y%m%d}" for slot in chosen]
        return [self.at("EXDATE", slot) for slot in chosen]

    def dates(self, start, length):
        """RDATEs, some with their own length."""
        if self.random.random() < 0.75:
            return []
        lines = []
        for _ in range(self.random.choice([1, 2])):
            day = self.random.choice(CHANGES) + dt.timedelta(days=self.random.randrange(-3, 10))
            at = dt.datetime.combine(day, start.time()).replace(minute=self.minute())
            # RFC 5545 does not say which length counts if a time has two.
            if not any("PERIOD" in line for line in lines) and self.random.random() < 0.5 and self.kind in ("zoned", "utc"):
                minutes = self.random.choice([10, 60, 200])
                value = self.at("RDATE", at)
                head, written = value.rsplit(":", 1)
                lines.append(f"{head};VALUE=PERIOD:{written}/PT{minutes}M")
                lines.append(f"X-CASE-PERIOD:{int(self.instant(at).timestamp())},{minutes * 60}")
            else:
                lines.append(self.at("RDATE", at))
        return lines

    def overrides(self, slots):
        """Moved instances, and changes from one instance on."""
        if self.random.random() < 0.6:
            return
        for slot in sorted(self.random.sample(slots, min(len(slots), self.random.choice([1, 1, 2, 3])))):
            and_future = self.random.random() < 0.25
            moved = slot + dt.timedelta(hours=self.random.choice([0, 1, -1, 3, 24, -24, 30] if self.kind != "day" else [0, 24, -24]))
            lines = [self.at("RECURRENCE-ID" + (";RANGE=THISANDFUTURE" if and_future else ""), slot)]
            # A shift is in local time, which the reference does not know for an instance in UTC.
            if self.kind == "zoned" and not and_future and self.random.random() < 0.3:
                lines = [f"RECURRENCE-ID:{self.instant(slot).strftime(FORMAT)}Z"]
            length_lines, length = self.length(moved)
            lines += [self.at("DTSTART", moved), *length_lines]
            if self.random.random() < 0.3:
                lines.append("SEQUENCE:1")
                if not and_future:
                    # An older version, which must not count.
                    older = [lines[0], self.at("DTSTART", slot + dt.timedelta(hours=48)), "SEQUENCE:0"]
                    self.event(older, (86400, 0) if self.kind == "day" else (0, 0))
            self.event(lines, length)

    def instant(self, at):
        """The UTC time of a local time: shifted in a gap, the first one in a fold (RFC 5545, 3.3.5)."""
        return at.replace(tzinfo=self.zone, fold=0).astimezone(dt.timezone.utc)

    def at(self, name, at):
        """A property with this time as its value."""
        if self.kind == "day":
            return f"{name};VALUE=DATE:{at:%Y%m%d}"
        if self.kind == "utc":
            return f"{name}:{at:{FORMAT}}Z"
        if self.kind == "floating":
            return f"{name}:{at:{FORMAT}}"
        return f"{name};TZID={self.tzid}:{at:{FORMAT}}"
