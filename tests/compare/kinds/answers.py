"""Who takes part, and how the time is shown. `busy.class_of` says which class is right."""

import re

from busy import ME, MICROSOFT
from cases import Case
from lines import changed_lines

OTHER = "ada@example.org"


class Participation(Case):
    """Answers that are written and that are left out, with and without an organiser and a status (item 3)."""

    name = "participation"

    def properties(self):
        pick = self.random.choice
        lines = pick([[], [f"ORGANIZER;CN=Chair:mailto:{pick([OTHER, OTHER, ME])}"]])
        answer = pick(["", "", ";PARTSTAT=ACCEPTED", ";PARTSTAT=NEEDS-ACTION", ";PARTSTAT=TENTATIVE", ";PARTSTAT=DECLINED"])
        lines += pick([[], [f"ATTENDEE{pick(['', ';RSVP=TRUE', ';X-NUM-GUESTS=0'])}{answer}:mailto:{ME}"]])
        lines += pick([[], [f"ATTENDEE;PARTSTAT={pick(['DECLINED', 'NEEDS-ACTION'])}:mailto:{OTHER}"]])
        lines += pick([[], [f"X-MICROSOFT-CDO-BUSYSTATUS:{pick(list(MICROSOFT))}"]])
        lines += pick([[], [f"X-MICROSOFT-CDO-INTENDEDSTATUS:{pick(list(MICROSOFT))}"]])
        lines += pick([[], ["TRANSP:OPAQUE"], ["TRANSP:TRANSPARENT"]])
        lines += pick([[], ["STATUS:CONFIRMED"], ["STATUS:TENTATIVE"]])
        self.random.shuffle(lines)
        return lines


class StatusWords(Case):
    """Microsoft's statuses as numbers, and with spaces (item 10)."""

    name = "status-words"

    def properties(self):
        word = self.random.choice(
            ["0", "1", "2", "3", "4", "WORKING ELSEWHERE", "Working Elsewhere", " OOF ", "oof", "Busy", "OUT OF OFFICE"]
        )
        return [
            f"X-MICROSOFT-CDO-{self.random.choice(['BUSY', 'INTENDED'])}STATUS:{word}",
            *self.random.choice([[], ["TRANSP:TRANSPARENT"]]),
        ]

    @staticmethod
    def meaning(text, _system):
        """Outlook's OlBusyStatus: 0 free, 1 tentative, 2 busy, 3 out of office, 4 working elsewhere (runely/calendar-homey#394)."""
        numbers = {"0": "FREE", "1": "TENTATIVE", "2": "BUSY", "3": "OOF", "4": "WORKINGELSEWHERE", "OUTOFOFFICE": "OOF"}

        def word(read):
            text = read[2].replace(" ", "").upper()
            return f"{read[1]}STATUS:{numbers.get(text, text)}"

        return changed_lines(text, lambda line: re.sub(r"(X-MICROSOFT-CDO-(?:BUSY|INTENDED))STATUS:(.*)", word, line))


class Addresses(Case):
    """My address in other forms (item 10)."""

    name = "addresses"

    def properties(self):
        pick = self.random.choice
        mine = pick(
            [
                "mailto:me%40contoso.com",
                "mailto:<me@contoso.com>",
                "MAILTO:Me@Contoso.COM",
                "mailto:%6De%40contoso.com",
                "<me@contoso.com>",
            ]
        )
        not_mine = pick(["mailto:meg@contoso.com", "mailto:me@contoso.com.example.org"])
        organiser, attendee = pick([(OTHER, mine), (OTHER, not_mine), (mine, f"mailto:{ME}"), (not_mine, f"mailto:{ME}")])
        organiser = f"mailto:{OTHER}" if organiser == OTHER else organiser
        return [f"ORGANIZER:{organiser}", f"ATTENDEE;PARTSTAT={pick(['DECLINED', 'NEEDS-ACTION', 'TENTATIVE'])}:{attendee}"]

    @staticmethod
    def meaning(text, _system):
        """RFC 6068, 2: characters of an address may be percent-encoded. RFC 5322, 3.4: the brackets are not part of the address."""
        mine = r"(?i):(?:mailto:)?<?(?:me|%6De)(?:@|%40)contoso\.com>?$"
        return changed_lines(
            text, lambda line: re.sub(mine, f":mailto:{ME}", line) if line.startswith(("ORGANIZER", "ATTENDEE")) else line
        )
