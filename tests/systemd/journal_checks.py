"""What presenced writes to the systemd journal: fields, which make a decision traceable."""

import json
import re

from desk import faults, last_request, requests
from machine import must, run, wait_for


def entries(desk, *matches):
    """The running daemon's journal entries with these fields."""
    of = ("_SYSTEMD_USER_UNIT=presenced.service", f"_PID={desk.pid()}")
    lines = run("journalctl", "--quiet", "--no-pager", "--output=json", *of, *matches).splitlines()
    return [json.loads(line) for line in lines]


def followed(desk):
    """journalctl PRESENCED_DECISION=…: the signal, the decision, the failed request, the successful one, the answer"""
    before = last_request()
    with faults({"call": "set", "then": {"respond": {"status": 503}}, "times": 1}):
        desk.session.lock()
        desk.shows("Away/Away", "locked")
    failed, done = [request for request in requests(before) if request["call"] == "set"]
    must((failed["status"], done["status"]) == (503, 200), f"answered with {failed} and {done}")

    def decision():
        signals = entries(desk, "PRESENCED_SIGNAL=lock")
        number = signals and signals[-1]["PRESENCED_DECISION"]
        lines = entries(desk, f"PRESENCED_DECISION={number}")
        return lines if any(entry["MESSAGE"].startswith("Away/Away is set") for entry in lines) else None

    lines = wait_for("the decision in the journal", decision)
    # Without the fields at the end, and without the error code of the emulator's 503.
    text = re.compile(r"( [a-z]+=.*| ServiceUnavailable .*)$")
    what = [(text.sub("", entry["MESSAGE"]), entry["PRIORITY"], entry.get("PRESENCED_REQUEST_ID")) for entry in lines]
    expected = [
        ("lock is locked", "6", None),
        ("decided", "6", None),
        ("Microsoft Graph answered setPresence with 503", "4", failed["client_request_id"]),
        ("Away/Away is set", "6", done["client_request_id"]),
        ("working again", "6", done["client_request_id"]),
    ]
    must(what == expected, f"the journal has {what}")
    must(all(entry.get("PRESENCED_GRAPH_REQUEST_ID") for entry in lines[2:]), "an answer has no request id from Graph")
    must(all(entry["PRESENCED_ACCOUNT"] == "work" for entry in lines[1:]), "an entry has another account")
    must(all(entry["SYSLOG_IDENTIFIER"] == "presenced" and entry["_TRANSPORT"] == "journal" for entry in lines), f"{lines[0]}")


def alone(desk):
    """every line arrives over the journal's protocol, and only once"""
    lines = entries(desk)
    others = [line for line in lines if line["_TRANSPORT"] != "journal"]
    must(lines and not others, f"logged in another way: {others}")
    started = [line for line in lines if line["MESSAGE"].startswith("started")]
    must(len(started) == 1, f"started: {started}")
