"""Recurrence rules: parts that are left out, unreadable, or not supported, and starts that the rule does not give."""

import datetime as dt
import re

from cases import DAYS, FORMAT, Case
from lines import UTC, Property, changed, civil, find, given, instant, parts, rule, zulu

from .definitions import meant_by


def rule_changed(text, change):
    """The file with each RRULE replaced by what `change(parts, event)` makes of it."""

    def in_event(event, _calendar):
        return [f"RRULE:{rule(change(parts(line[6:]), event))}" if line.startswith("RRULE:") else line for line in event]

    return changed(text, in_event)


class YearlyMonthDays(Case):
    """FREQ=YEARLY with BYMONTHDAY and nothing else that selects days (item 4)."""

    name = "yearly-month-days"

    def rule(self, start):
        day = start.day
        days = self.random.choice([day, day, f"{day},{day % 28 + 1}", -1, f"{day},-1", day % 28 + 1])
        text = ["FREQ=YEARLY", f"BYMONTHDAY={days}"]
        text += self.random.choice([[], [], ["INTERVAL=1"], ["INTERVAL=2"], ["WKST=MO"]])
        until = max(start, start.replace(year=2026, day=28))
        text += self.random.choice([[], [], ["COUNT=40"], ["COUNT=3"], [f"UNTIL={self.until(until)}"]])
        self.random.shuffle(text)
        return ";".join(text)

    def slots(self, start, rules):
        return super().slots(start, [f"{one};BYMONTH={start.month}" for one in rules])

    @staticmethod
    def meaning(text, _system):
        """RFC 5545, 3.3.10: what the rule leaves out comes from DTSTART, here the month, as in Google, libical and ical.js
        (jens-maus/node-ical#531). The packages take every month."""
        return rule_changed(text, lambda parts, event: {**parts, "BYMONTH": civil(find(event, "DTSTART").value).month})


class StartOffRule(Case):
    """A start that its rule does not give (item 5). `reference.start_counts` says what is right."""

    name = "start-off-rule"

    def rules(self, start):
        """A rule made for another start."""
        while True:
            rules = super().rules(start + dt.timedelta(days=self.random.randrange(1, 20)))
            if all(next(iter(given(one, start)), None) != start for one in rules):
                return rules

    def slots(self, start, rules):
        """With the start, so that it is excluded and moved too."""
        return sorted({start, *super().slots(start, rules)} if start.year == 2026 else super().slots(start, rules))


class BadParts(Case):
    """Parts of a rule that nobody can read, or that mean nothing (item 8)."""

    name = "bad-parts"

    def rules(self, start):
        self.good = super().rule(start)
        known = parts(self.good)
        wrong = {"COUNT": ["0", "-1", "many", ""], "INTERVAL": ["0", "-2", "x"], "WKST": ["XX", "", "MONDAY"]}
        choices = [f"{name}={self.random.choice(values)}" for name, values in wrong.items() if name not in known]
        choices += ["UNTIL="] if "COUNT" in known else []
        if choices and self.random.random() < 0.6:
            self.reported = True
            written = self.good.split(";")
            written.insert(self.random.randrange(1, len(written) + 1), self.random.choice(choices))
            return [";".join(written)]
        # The report may or may not mention a part that can be read.
        self.reported = None
        if "UNTIL" in known and self.random.random() < 0.8:
            return [self.good.replace(known["UNTIL"], self.other_form(known["UNTIL"]))]
        return [self.good.replace(";", "\\;", self.random.choice([1, 9]))]

    def slots(self, start, rules):
        return super().slots(start, [self.good] if rules else [])

    def other_form(self, text):
        """The same UNTIL in the extended format of ISO 8601, or with an offset."""
        at = civil(text)
        if "T" not in text:
            return f"{at:%Y-%m-%d}"
        if not text.endswith("Z"):
            return f"{at:%Y-%m-%dT%H:%M:%S}"
        offset = self.random.choice([0, 2, -5])
        local = at + dt.timedelta(hours=offset)
        sign = f"{'-' if offset < 0 else '+'}{abs(offset):02}"
        return self.random.choice(
            [
                f"{at:%Y-%m-%dT%H:%M:%S}Z",
                f"{local:{FORMAT}}{sign}00",
                f"{local:%Y-%m-%dT%H:%M:%S}{sign}:00",
                f"{local:{FORMAT}}{sign}:00",
            ]
        )

    @staticmethod
    def meaning(text, _system):
        """RFC 5545, 3.3.10: COUNT and INTERVAL are positive, and WKST is a weekday; a part that is neither says nothing. Simple
        Calendar writes COUNT=-1 beside UNTIL (Simple-Calendar#1831), other writers leave UNTIL empty, or escape the semicolon
        (3.3.11: only in TEXT). The other forms of UNTIL are those of ISO 8601, of which 3.3.5 takes one."""

        def readable(parts, _event):
            kept = {}
            for name, value in parts.items():
                positive = value.isdigit() and int(value) > 0
                if name in ("COUNT", "INTERVAL") and not positive or name == "WKST" and value not in DAYS or value == "":
                    continue
                kept[name] = basic(value) if name == "UNTIL" else value
            return kept

        return rule_changed(re.sub(r"\\;", ";", text), readable)


def basic(text):
    """A time of ISO 8601 in the basic format."""
    written = re.fullmatch(r"(\d{4})-?(\d\d)-?(\d\d)(?:T(\d\d):?(\d\d):?(\d\d)(Z|[+-]\d\d:?\d\d)?)?", text)
    date, time, offset = "".join(written.groups()[:3]), written.groups()[3:6], written[7]
    if time[0] is None:
        return date
    at = civil(f"{date}T{''.join(time)}")
    if offset in (None, "Z"):
        return f"{at:{FORMAT}}{offset or ''}"
    hours, minutes = int(offset[:3]), int(offset[-2:])
    return zulu((at - dt.timedelta(hours=hours, minutes=minutes)).replace(tzinfo=UTC))


class UnreadableUntil(Case):
    """An UNTIL that nobody can read (item 8)."""

    name = "unreadable-until"
    forms = {"zoned": 6, "utc": 1, "day": 2}

    def __init__(self, number):
        super().__init__(number)
        self.stamp = f"2025{self.random.randrange(1, 13):02}{self.random.randrange(1, 28):02}T123456Z"

    def start(self):
        """In 2025: a year later is in the middle of the window."""
        return super().start().replace(year=2025)

    def rules(self, start):
        self.reported = True
        until = self.random.choice(["31.12.2026", "never", "0", "20261345", "2026", "tomorrow"])
        return [f"FREQ={self.random.choice(['DAILY', 'WEEKLY', 'MONTHLY'])};UNTIL={until}"]

    def slots(self, start, rules):
        """None: an instance beyond the end would be another question."""
        return []

    @staticmethod
    def meaning(text, system):
        """The writer wanted an end, and nobody knows which. The last day is a year after the start, or a year after the newest
        DTSTAMP of the file (RFC 5545, 3.8.7.2: when it was last written), whichever is later."""
        newest = max(civil(stamp) for stamp in re.findall(r"DTSTAMP:(\w+)", text))

        def with_end(parts, event):
            start = find(event, "DTSTART")
            last = max(at.replace(year=at.year + 1).date() for at in (civil(start.value), newest))
            if "T" not in start.value:
                return {**parts, "UNTIL": f"{last:%Y%m%d}"}
            zone = "UTC" if start.value.endswith("Z") else meant_by(start.tzid) or system
            return {**parts, "UNTIL": zulu(instant(dt.datetime.combine(last, dt.time(23, 59, 59)), zone))}

        return rule_changed(text, with_end)


class LastWeek(Case):
    """Weeks 52, 53 and 1, whose first days may be in another year (item 10)."""

    name = "last-week"
    forms = {"zoned": 1, "day": 1}
    years = (2019, 2036)

    def start(self):
        day = self.random.choice(
            [dt.date(2021, 1, 1), dt.date(2021, 1, 3), dt.date(2027, 1, 2), dt.date(2020, 12, 30), dt.date(2024, 12, 30)]
        )
        return dt.datetime.combine(day, dt.time(0 if self.kind == "day" else 9))

    def rules(self, start):
        weeks = self.random.choice(["53", "53", "52", "1", "52,53", "53,1", "-1"])
        by_day = self.random.choice([[], [f"BYDAY={DAYS[start.weekday()]}"], ["BYDAY=MO,SU"], ["BYDAY=FR"]])
        return [";".join(["FREQ=YEARLY", f"BYWEEKNO={weeks}", *by_day, *self.random.choice([[], [], ["COUNT=3"]])])]

    def slots(self, start, rules):
        return []

    @staticmethod
    def meaning(text, _system):
        """ISO 8601: 3 January 2027 is in week 53 of 2026. The packages miss some of these days, so this counts weeks itself.
        RFC 5545, 3.3.10: without BYDAY, the weekday comes from DTSTART."""

        def change(event, _calendar):
            start = find(event, "DTSTART")
            return [line if not line.startswith("RRULE:") else in_weeks(parts(line[6:]), start) for line in event]

        return changed(text, change)


def in_weeks(rule, start):
    """The days in the weeks of BYWEEKNO as RDATEs."""
    first = civil(start.value)
    days = rule.get("BYDAY", DAYS[first.weekday()]).split(",")
    weeks = [int(week) for week in rule["BYWEEKNO"].split(",")]

    def is_given(day):
        year, week, weekday = day.isocalendar()
        last = dt.date(year, 12, 28).isocalendar()[1]
        return DAYS[weekday - 1] in days and (week in weeks or week - last - 1 in weeks)

    later = (first + dt.timedelta(days=number) for number in range(1, 366 * 18))
    found = [first, *(day for day in later if is_given(day))][: int(rule.get("COUNT", 10_000))]
    return rdates(found, start)


def rdates(times, start):
    form = "%Y%m%d" if "T" not in start.value else FORMAT
    return str(Property("RDATE", start.parameters, ",".join(f"{at:{form}}" for at in times)))


class Skip(Case):
    """RFC 7529: what happens on a day that a month does not have (item 10). It is right to say that this is not supported."""

    name = "skip"
    forms = {"zoned": 1, "day": 1}
    years = (2024, 2031)
    reported = None
    may_differ_if_reported = True

    def start(self):
        day = self.random.choice(
            [dt.date(2026, 1, 31), dt.date(2025, 12, 31), dt.date(2025, 12, 30), dt.date(2024, 2, 29), dt.date(2024, 12, 31)]
        )
        return dt.datetime.combine(day, super().start().time())

    def rules(self, start):
        choices = {
            29: ["FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"],
            30: ["FREQ=MONTHLY;BYMONTHDAY=30"],
            31: ["FREQ=MONTHLY;BYMONTHDAY=31"],
        }
        if start.year == 2024 and start.month == 12:
            choices[31] = ["FREQ=YEARLY;BYYEARDAY=366"]
        rule = self.random.choice(choices[start.day])
        skip = self.random.choice(["BACKWARD", "BACKWARD", "FORWARD", "OMIT"])
        return [f"RSCALE=GREGORIAN;{rule};SKIP={skip}{self.random.choice(['', ';COUNT=9'])}"]

    def slots(self, start, rules):
        return []

    @staticmethod
    def meaning(text, _system):
        """RFC 7529, 4.1: BACKWARD takes the last day before one that does not exist, FORWARD the first day after it; OMIT is what
        RFC 5545 says."""

        def gregorian(parts, _event):
            kept = {name: value for name, value in parts.items() if name not in ("RSCALE", "SKIP")}
            if parts.get("SKIP") == "BACKWARD":
                name, first = ("BYYEARDAY", 365) if "BYYEARDAY" in kept else ("BYMONTHDAY", 28)
                days = ",".join(str(day) for day in range(first, int(kept[name]) + 1))
                kept |= {name: days, "BYSETPOS": "-1"}
            return kept

        def change(event, _calendar):
            start = find(event, "DTSTART")
            return [forward(parts(line[6:]), start) if "SKIP=FORWARD" in line else line for line in event]

        return rule_changed(changed(text, change), gregorian)


def forward(rule, start):
    """The days of a rule with SKIP=FORWARD as RDATEs: in each month or year, the day itself or the day after the last one."""
    first, of_year = civil(start.value), "BYYEARDAY" in rule
    day = int(rule["BYYEARDAY" if of_year else "BYMONTHDAY"])
    months = range(1, 13) if rule["FREQ"] == "MONTHLY" else [1 if of_year else int(rule["BYMONTH"])]
    found = []
    for year in range(first.year, 2031):
        for month in months:
            begin = first.replace(year=year, month=month, day=1)
            end = begin.replace(year=year + 1) if of_year else (begin + dt.timedelta(days=31)).replace(day=1)
            found.append(min(begin + dt.timedelta(days=day - 1), end))
    return rdates([at for at in found if at >= first][: int(rule.get("COUNT", 10_000))], start)
