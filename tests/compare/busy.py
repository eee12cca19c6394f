"""The busy class of an event, which the packages do not know."""

ME = "me@contoso.com"
MICROSOFT = {
    "FREE": "free",
    "WORKINGELSEWHERE": "working-elsewhere",
    "TENTATIVE": "tentative",
    "BUSY": "busy",
    "OOF": "out-of-office",
}


def class_of(event):
    """The class of an event of the package icalendar; None if it does not count.

    - STATUS:CANCELLED: nothing (RFC 5545, 3.8.1.11). I declined: nothing (3.2.12), but an organiser takes part anyway.
    - X-MICROSOFT-CDO-BUSYSTATUS, else -INTENDEDSTATUS: its class, whatever else the event says (MS-OXCICAL).
    - TRANSP:TRANSPARENT: free (3.8.2.7). A whole day without TRANSP: free, as Google and Outlook show birthdays and holidays.
    - An open answer in somebody else's event makes it tentative at most, unless Outlook has written the status. An answer is open
      if the PARTSTAT is written (Google's free/busy export and Outlook's own events leave it out), and the event has an organiser
      (3.8.4.3).
    """
    if text(event, "STATUS") == "CANCELLED":
        return None
    organiser = address(event.get("ORGANIZER"))
    attendees = event.get("ATTENDEE", [])
    answers = [
        str(attendee.params.get("PARTSTAT", ""))
        for attendee in (attendees if isinstance(attendees, list) else [attendees])
        if address(attendee) == ME
    ]
    answer = answers[0] if answers and organiser != ME else ""
    if answer == "DECLINED":
        return None
    written = MICROSOFT.get(text(event, "X-MICROSOFT-CDO-BUSYSTATUS"))
    found = written or MICROSOFT.get(text(event, "X-MICROSOFT-CDO-INTENDEDSTATUS")) or plain(event)
    is_open = answer in ("TENTATIVE", "NEEDS-ACTION") and organiser is not None and written is None
    return "tentative" if is_open and found in ("busy", "out-of-office") else found


def plain(event):
    """The class without a status of Microsoft's."""
    whole_day = not hasattr(event["DTSTART"].dt, "hour")
    transparency = text(event, "TRANSP") or ("TRANSPARENT" if whole_day else "OPAQUE")
    if transparency == "TRANSPARENT":
        return "free"
    return "tentative" if text(event, "STATUS") == "TENTATIVE" else "busy"


def text(event, name):
    return str(event.get(name, ""))


def address(value):
    return None if value is None else str(value).lower().removeprefix("mailto:")
