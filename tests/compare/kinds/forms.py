"""One wrong character in a time."""

import re

from cases import ZONES, Case
from lines import changed_lines

DATES = "DTSTART|DTEND|EXDATE|RDATE|RECURRENCE-ID"


class Quotes(Case):
    """A quote in the wrong place (item 10)."""

    name = "quotes"
    forms = {"zoned": 1}
    zones = [one for one in ZONES if "Customized" not in one[0]]

    def text(self):
        share = self.random.choice([0.3, 1])

        def wrong(line):
            read = re.fullmatch(rf"((?:{DATES})\b.*;TZID=)([^;:]*)((?:;[^:]*)?):(.*)", line)
            if not read or read[3] or self.random.random() > share:
                return line
            head, tzid, _, value = read.groups()
            return self.random.choice([f'{head}"{tzid}:{value}"', f'{head}"{tzid}:{value}', f'{head}{tzid}":{value}'])

        return changed_lines(super().text(), wrong)

    @staticmethod
    def meaning(text, _system):
        """RFC 5545, 3.2: quotes are around the value of a parameter. A fixture of jens-maus/node-ical has them around the time too."""
        return changed_lines(text, lambda line: line.replace('"', "") if re.match(rf"({DATES})\b", line) else line)


class Fractions(Case):
    """Fractions of a second (item 10)."""

    name = "fractions"

    def text(self):
        fraction = self.random.choice([".000", ".0", ".123456", ".999"])
        share = self.random.choice([0.3, 1])

        def wrong(line):
            if not re.match(rf"({DATES}|DTSTAMP|RRULE)\b", line) or self.random.random() > share:
                return line
            return re.sub(r"(\d{8}T\d{6})", rf"\g<1>{fraction}", line)

        return changed_lines(super().text(), wrong)

    @staticmethod
    def meaning(text, _system):
        """RFC 5545, 3.3.12: a time has whole seconds. JavaScript's toISOString has more."""
        return changed_lines(text, lambda line: re.sub(r"(\d{8}T\d{6})\.\d+", r"\1", line))
