"""What holds for one VCALENDAR and not for the file, and objects that are not events."""

import datetime as dt
import re
from zoneinfo import ZoneInfo

from cases import FORMAT, Case
from lines import Property, civil, find, is_master, joined, of_kind, split

from .definitions import RULES, defined, vtimezone
from .zones import in_zone_of_calendar

PRIVATE = "Private Zone"


class Pair(Case):
    """Two VCALENDARs in a file. Each is an ordinary file with its own UIDs."""

    def halves(self):
        raise NotImplementedError

    def text(self):
        return "".join(half.text() for half in self.halves())


class Half(Case):
    """One of the two, in a zone of its own."""

    def __init__(self, whole, letter, form, tzid, zone):
        self.name = f"{whole.name}-{letter}"
        super().__init__(int(whole.uid.rsplit("-", 1)[1]))
        self.kind, self.tzid = form, tzid
        self.zone = ZoneInfo(zone)

    def start(self):
        """Not before 2009: the definitions have the rules of today, which are those of all zones here since 2008."""
        start = super().start()
        return start.replace(year=max(start.year, 2009))


class OwnDefinitions(Pair):
    """The same TZID, defined in two ways (item 7)."""

    name = "own-definitions"

    def halves(self):
        for letter, zone in zip("ab", self.random.sample([zone for zone in RULES if RULES[zone][1]], 2)):
            half = Half(self, letter, "zoned", PRIVATE, zone)
            half.components.append(vtimezone(zone, PRIVATE))
            yield half

    @staticmethod
    def meaning(text, _system):
        """RFC 5545, 3.8.3.1: a TZID is unique within its iCalendar object, not beyond."""
        objects = split(text)
        for calendar in objects:
            zone = defined(of_kind(calendar, "VTIMEZONE")[0])
            calendar[1:] = [
                [line.replace(f"TZID={PRIVATE}", f"TZID={zone}") for line in component] for component in of_kind(calendar, "VEVENT")
            ]
        return joined(objects)


class OwnDefaults(Pair):
    """Floating times in two VCALENDARs, one or both with an X-WR-TIMEZONE (items 7 and 10)."""

    name = "own-defaults"

    def halves(self):
        first, second = self.random.sample(["Europe/London", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo"], 2)
        for letter, zone in zip("ab", self.random.choice([(first, second), (first, None), (None, second)])):
            half = Half(self, letter, "floating", "", zone or self.system)
            half.head = [f"X-WR-TIMEZONE:{zone}"] if zone else []
            half.has_zone = zone is not None
            yield half

    @staticmethod
    def meaning(text, _system):
        """X-WR-TIMEZONE is a property of a VCALENDAR (RFC 5545, 3.4 and 3.6), and says nothing about the next one."""
        return in_zone_of_calendar(text)


class Cancellations(Case):
    """Messages about events: cancellations, and what other people answer (item 10)."""

    name = "cancellations"
    reported = None
    zones = [one for one in Case.zones if "Customized" not in one[0]]

    def text(self):
        text = super().text()
        how = self.random.choice(["CANCELED", "CANCEL", "CANCEL", "REPLY", "COUNTER", "second", "second", "instance", "instance"])
        # RFC 5546 does not say what is left of a change of all later instances if its first instance is cancelled. The reference
        # confuses instances if a rule gives several a day.
        if how == "instance" and re.search("RANGE=|RRULE.*HOUR", text):
            how = "second"
        if how == "CANCELED":
            return re.sub(r"(?m)^END:VEVENT", "STATUS:CANCELED\r\nEND:VEVENT", text)
        if how in ("CANCEL", "REPLY", "COUNTER"):
            # RFC 5545, 3.6, has it before the components; after them it cannot mean anything else.
            place, around = self.random.choice([("VERSION:2.0", "VERSION:2.0\r\n{}"), ("END:VCALENDAR", "{}\r\nEND:VCALENDAR")])
            return text.replace(place, around.format(f"METHOD:{how}"))
        master = next(event for event in of_kind(split(text)[0], "VEVENT") if is_master(event))
        method = "CANCEL" if how == "instance" or self.random.random() < 0.5 else self.random.choice(["REPLY", "COUNTER"])
        start = find(master, "DTSTART")
        instance = [str(Property("RECURRENCE-ID", start.parameters, start.value))] if how == "instance" else []
        kept = [
            line
            for line in master[1:-1]
            if not line.startswith(("SEQUENCE", "RRULE", "RDATE", "EXDATE") if instance else "SEQUENCE")
        ]
        if method == "CANCEL" and self.random.random() < 0.3:
            kept = [line for line in kept if not line.startswith(("DTSTART", "DTEND", "DURATION"))]
        message = ["BEGIN:VEVENT", *kept, *instance, "SEQUENCE:7", "END:VEVENT"]
        head = ["VERSION:2.0", "PRODID:-//case//EN", f"METHOD:{method}"]
        objects = [joined([[head, message]]), text.replace("VERSION:2.0", "VERSION:2.0\r\nMETHOD:PUBLISH")]
        self.random.shuffle(objects)
        return "".join(objects)

    @staticmethod
    def meaning(text, _system):
        """RFC 5546, 3.2.5: CANCEL cancels its events, with or without STATUS. 3.2.3 and 3.2.7: REPLY and COUNTER are what an
        attendee sends to the organiser. RFC 5545, 3.8.1.11, has CANCELLED; American writers have CANCELED. 3.6.1: with a METHOD,
        DTSTART is optional."""
        merged = []
        for calendar in split(text):
            method = find(calendar[0], "METHOD")
            method = method.value if method else "PUBLISH"
            for event in of_kind(calendar, "VEVENT"):
                if method == "CANCEL" or "STATUS:CANCELED" in event:
                    event = [*(line for line in event[:-1] if not line.startswith("STATUS")), "STATUS:CANCELLED", event[-1]]
                instance = find(event, "RECURRENCE-ID")
                if instance and not find(event, "DTSTART"):
                    event.insert(1, str(Property("DTSTART", instance.parameters, instance.value)))
                if method not in ("REPLY", "COUNTER"):
                    merged.append(event)
        masters = sorted((event for event in merged if is_master(event)), key=sequence)
        dropped = masters[:-1]
        if masters and "STATUS:CANCELLED" in masters[-1]:
            # The whole series is cancelled, with all its instances.
            dropped = [event for event in merged if sequence(event) <= sequence(masters[-1])]
        return joined([[["VERSION:2.0", "PRODID:-//case//EN"], *(event for event in merged if event not in dropped)]])


def sequence(event):
    written = find(event, "SEQUENCE")
    return int(written.value) if written else 0


class FreeBusy(Case):
    """VFREEBUSY, with or without events beside it (item 6)."""

    name = "free-busy"
    forms = {"utc": 1}
    # Its periods have no UID that means something, and free time need not be listed.
    is_anonymous = True

    def text(self):
        text = super().text()
        lines, at = [], dt.datetime(2026, 3, 2)
        for _ in range(self.random.randrange(1, 9)):
            periods = []
            for _ in range(self.random.choice([1, 1, 3])):
                at += dt.timedelta(hours=self.random.randrange(3, 90), minutes=self.random.choice([0, 15, 30]))
                minutes, length = self.random.choice([(15, "PT15M"), (60, "PT1H"), (95, "PT1H35M"), (95, "PT95M"), (1440, "P1D")])
                end = at + dt.timedelta(minutes=minutes)
                periods.append(f"{at:{FORMAT}}Z/{self.random.choice([f'{end:{FORMAT}}Z', length])}")
                at = end
            kind = self.random.choice(
                ["", "BUSY", "BUSY", "BUSY-TENTATIVE", "BUSY-UNAVAILABLE", "FREE", "X-LUNCH", "busy-tentative"]
            )
            lines.append(f"FREEBUSY{kind and f';FBTYPE={kind}'}:{','.join(periods)}")
        owner = self.random.choice([["ORGANIZER:mailto:me@contoso.com"], []])
        uid = self.random.choice([[f"UID:{self.uid}-fb"], []])
        component = [
            "BEGIN:VFREEBUSY",
            "DTSTAMP:20260101T000000Z",
            *uid,
            *owner,
            "DTSTART:20260101T000000Z",
            "DTEND:20270101T000000Z",
        ]
        component += [*lines, "END:VFREEBUSY"]
        objects = split(text)
        if self.random.random() < 0.5:
            objects[0][1:] = []
        objects[0].insert(self.random.randrange(1, len(objects[0]) + 1), component)
        return joined(objects)

    @staticmethod
    def meaning(text, _system):
        """RFC 5545, 3.6.4 and 3.8.2.6: each period is busy time, of the class in 3.2.9. Without FBTYPE, and with one that is not
        known, it is BUSY. Zimbra's `?fmt=ifb` and Exchange write such files."""
        classes = {"BUSY-TENTATIVE": "TENTATIVE", "BUSY-UNAVAILABLE": "OOF", "FREE": "FREE"}
        objects = split(text)
        for calendar in objects:
            for component in of_kind(calendar, "VFREEBUSY"):
                calendar.remove(component)
                for read in (Property.read(line) for line in component if line.startswith("FREEBUSY")):
                    kind = classes.get(read.parameters.get("FBTYPE", "BUSY").upper(), "BUSY")
                    calendar += [event(period, kind) for period in read.value.split(",")]
        return joined(objects)


def event(period, kind):
    start, end = period.split("/")
    if end.startswith("P"):
        days, hours, minutes = (int(number or 0) for number in re.fullmatch(r"P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?", end).groups())
        end = f"{civil(start) + dt.timedelta(days=days, hours=hours, minutes=minutes):{FORMAT}}Z"
    seconds = int((civil(end) - civil(start)).total_seconds())
    lines = ["BEGIN:VEVENT", f"UID:{period}", f"DTSTART:{start}", f"DTEND:{end}", f"X-CASE-LENGTH:0,{seconds}"]
    return [*lines, f"X-MICROSOFT-CDO-BUSYSTATUS:{kind}", "END:VEVENT"]
