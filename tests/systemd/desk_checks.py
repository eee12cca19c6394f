"""Daily events of the service: meetings, log rotation, and access by other users."""

import datetime
import os
import subprocess
import sys
import tempfile

from machine import must, run, wait_for

CALENDAR = '[signals.calendar]\nsources = [{ path = "~/calendar" }]\n'


def meeting(begins, ends):
    """A calendar with one meeting, which begins and ends this many seconds from now."""
    now = datetime.datetime.now(datetime.UTC)
    begins, ends = (f"{now + datetime.timedelta(seconds=seconds):%Y%m%dT%H%M%SZ}" for seconds in (begins, ends))
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//presenced//box//EN", "BEGIN:VEVENT", "UID:box@presenced.invalid"]
    lines += [f"DTSTAMP:{begins}", f"DTSTART:{begins}", f"DTEND:{ends}", "SUMMARY:A secret", "END:VEVENT", "END:VCALENDAR"]
    return "\r\n".join([*lines, ""])


def meets(desk):
    """a meeting begins and ends: Busy/InAConferenceCall at its start, Available at its end"""
    desk.person.write("calendar/work.ics", meeting(3, 3600))
    desk.configure(CALENDAR)
    desk.systemctl("reload")
    desk.shows("Busy/InAConferenceCall", "meeting")
    # The same meeting, shortened: its end is noticed without a change of the file.
    desk.person.write("calendar/work.ics", meeting(-60, 3))
    desk.shows("Available/Available", "at the desk")
    must("A secret" not in journal(desk), "the meeting's title is in the journal")


def logs_rotate(desk):
    """it keeps writing after the journal is rotated, and it keeps 14 of its own log files"""
    run("journalctl", "--quiet", "--rotate")
    run("journalctl", "--quiet", "--vacuum-time=1s")
    desk.session.lock()
    desk.shows("Away/Away", "locked")
    wait_for("lines in the new journal", lambda: "Away/Away" in journal(desk))
    desk.session.unlock()

    for day in range(1, 31):
        desk.person.write(f"logs/presenced.2026-01-{day:02}.log", "old\n")
    desk.configure('[log]\ndir = "~/logs"\n')
    desk.systemctl("restart")
    desk.shows("Available/Available", "at the desk")
    logs = sorted(desk.person.home.glob("logs/presenced.*.log"))
    must(len(logs) <= 14, f"{len(logs)} files are kept")
    wait_for("the day's file", lambda: "Available/Available" in logs[-1].read_text())
    must(logs[-1].stat().st_mode & 0o077 == 0, "others can read the log")
    return [f"{len(logs)} of 31 files kept"]


def keeps_others_out(desk):
    """another user gets nothing from the status socket, even with access to it; and all files are private"""
    # Another user with the capability to ignore file modes.
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    other += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    status = desk.person.runtime / "presenced/presenced.sock"
    answer = run(*other, "curl", "--silent", "--unix-socket", str(status), "http://presenced/v1/status")
    must("not-yours" in answer and "accounts" not in answer, f"it answered {answer}")
    for place in (desk.person.runtime / "presenced", desk.person.home / ".local/state/presenced"):
        for path in (place, *place.rglob("*")) if place.exists() else ():
            must(path.lstat().st_mode & 0o077 == 0, f"others may read {path}")


IMPOSTOR = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
listener.listen()
print("listens", flush=True)
while True:
    try:
        connection = listener.accept()[0]
        if connection.recv(1):
            print("was asked", flush=True)
    except OSError:
        pass
"""


def trusts_no_other_user(desk):
    """where another user listens, the commands ask nothing, and the daemon neither starts nor calls that one its own"""
    other = {"user": 65534, "group": 65534, "extra_groups": []}
    with tempfile.TemporaryDirectory() as shared:
        os.chmod(shared, 0o1777)
        place = f"{shared}/presenced.sock"
        impostor = subprocess.Popen([sys.executable, "-c", IMPOSTOR, place], text=True, stdout=subprocess.PIPE, **other)
        try:
            must(impostor.stdout.readline() == "listens\n", "nobody listens")
            for command in (["status"], ["set", "busy"], ["signal", "door", "open"]):
                said = desk.person.refused(1, "presenced", "--socket", place, *command)
                must("another user listens there" in said, f"{command} said {said}")
            said = desk.person.refused(1, "presenced", "--socket", place, "run")
            must(f"another user listens at {place}" in said, f"it said {said}")
        finally:
            impostor.kill()
        must("was asked" not in impostor.stdout.read(), "it was asked something")
        # Nobody listens any more, but only its owner may remove it.
        said = desk.person.refused(1, "presenced", "--socket", place, "run")
        must("cannot remove the stale socket" in said, f"it said {said}")
        impostor.wait()


def journal(desk):
    """What the service has written to the journal."""
    return run("journalctl", "--quiet", "--no-pager", f"_UID={desk.person.uid}", "_SYSTEMD_USER_UNIT=presenced.service")
