"""What presenced writes to the journal of systemd: fields, by which one decision is followed."""

import json
import re

from desk import faults, last_request, requests
from machine import must, run, wait_for


def entries(desk, *matches):
    """The journal's entries of the daemon that runs, by these fields."""
    of = ("_SYSTEMD_USER_UNIT=presenced.service", f"_PID={desk.pid()}")
    lines = run("journalctl", "--quiet", "--no-pager", "--output=json", *of, *matches).splitlines()
    return [json.loads(line) for line in lines]


def followed(desk):
    """journalctl PRESENCED_DECISION=…: the signal, the decision, the request that failed, the one that did not, the answer"""
    before = last_request()
    with faults({"call": "set", "then": {"respond": {"status": 503}}, "times": 1}):
        desk.session.lock()
        desk.shows("Away/Away", "locked")
    failed, done = [request for request in requests(before) if request["call"] == "set"]
    must((failed["status"], done["status"]) == (503, 200), f"answered with {failed} and {done}")

    def told():
        news = entries(desk, "PRESENCED_SIGNAL=lock")
        number = news and news[-1]["PRESENCED_DECISION"]
        trail = entries(desk, f"PRESENCED_DECISION={number}")
        return trail if any(entry["MESSAGE"].startswith("Away/Away is set") for entry in trail) else None

    trail = wait_for("the decision in the journal", told)
    # Without the fields behind it, and the code that the emulator's 503 has.
    text = re.compile(r"( [a-z]+=.*| ServiceUnavailable .*)$")
    what = [(text.sub("", entry["MESSAGE"]), entry["PRIORITY"], entry.get("PRESENCED_REQUEST_ID")) for entry in trail]
    expected = [
        ("lock is locked", "6", None),
        ("decided", "6", None),
        ("Microsoft Graph answered setPresence with 503", "4", failed["client_request_id"]),
        ("Away/Away is set", "6", done["client_request_id"]),
        ("working again", "6", done["client_request_id"]),
    ]
    must(what == expected, f"the journal has {what}")
    must(all(entry.get("PRESENCED_GRAPH_REQUEST_ID") for entry in trail[2:]), "an answer has no name of Graph's")
    must(all(entry["PRESENCED_ACCOUNT"] == "work" for entry in trail[1:]), "something is not the account's")
    must(all(entry["SYSLOG_IDENTIFIER"] == "presenced" and entry["_TRANSPORT"] == "journal" for entry in trail), f"{trail[0]}")


def alone(desk):
    """all that is logged comes that way, and no line twice"""
    lines = entries(desk)
    others = [line for line in lines if line["_TRANSPORT"] != "journal"]
    must(lines and not others, f"came another way: {others}")
    started = [line for line in lines if line["MESSAGE"].startswith("started")]
    must(len(started) == 1, f"started: {started}")
