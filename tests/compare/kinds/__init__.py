"""Calendars the way real programs write them: not valid, but clear.

Each class writes files of one kind. Its `meaning` rewrites such a file as RFC 5545 would have it, and says which paragraph or which
writer makes that right. It reads the file only, not what the class knows about it. The packages then read the rewritten file.
"""

from . import answers, days, forms, objects, rules, zones

ALL = [
    days.UtcTimes,
    days.DatesWithZ,
    days.DaysAsTimes,
    rules.YearlyMonthDays,
    rules.StartOffRule,
    rules.BadParts,
    rules.UnreadableUntil,
    rules.LastWeek,
    rules.Skip,
    zones.OffsetNames,
    zones.CalendarZone,
    zones.UnknownExdate,
    forms.Quotes,
    forms.Fractions,
    objects.OwnDefinitions,
    objects.OwnDefaults,
    objects.Cancellations,
    objects.FreeBusy,
    answers.Participation,
    answers.StatusWords,
    answers.Addresses,
]
