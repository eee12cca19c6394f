"""presenced as a service: started, killed, hung, reloaded, stopped, and what it takes."""

import json
import os
import pathlib
import re
import signal
import time

from desk import last_request, process, requests, visible, warning
from machine import Session, must, properties, run, wait_for

# How long the idle daemon is measured, in seconds.
IDLE = 5


def nobody_is_there(desk):
    """enabled with linger and no login session: ready, claims nothing, and says that the lock is not seen"""
    desk.person.systemctl("enable", "--now", "presenced")
    report = desk.status()
    must(report, "`systemctl start` came back before the socket answered")
    must(report["signals"]["lock"]["value"] == "unknown", f"the lock is {report['signals']['lock']}")
    must(warning(report, "lock-unavailable"), "no warning of the lock")
    must(not [request for request in requests() if request["call"] == "set"], "something was claimed")


def ready_is_ready(desk):
    """Type=notify: once `systemctl start` is back the socket answers, the signals are read, and the presence is set"""
    desk.systemctl("restart")
    report = desk.status()
    must(report, "`systemctl restart` came back before the socket answered")
    must(report["signals"]["lock"]["value"] == "unlocked", f"the lock is {report['signals']['lock']}")
    must(report["accounts"]["work"]["rule"] == "at the desk", f"not decided: {report['accounts']['work']}")
    desk.shows("Available/Available", "at the desk")
    wait_for("the unit's status", lambda: "Available/Available" in desk.person.unit("StatusText")["StatusText"])


def killed(desk):
    """SIGKILL: restarted by systemd, and right again"""
    pid, before = desk.pid(), last_request()
    os.kill(pid, signal.SIGKILL)
    desk.restarted(pid)
    wait_for("a new request", lambda: requests(before))
    desk.shows("Available/Available", "at the desk")


def hung(desk):
    """SIGSTOP: the watchdog ends it, and it is restarted"""
    # The unit's own waits 2 minutes, and then 5 s.
    shorter = "[Service]\nWatchdogSec=2\nRestartSec=100ms\n"
    shorter = desk.person.write(".config/systemd/user/presenced.service.d/watchdog.conf", shorter)
    desk.person.systemctl("daemon-reload")
    desk.systemctl("restart")
    desk.shows("Available/Available", "at the desk")
    pid, before = desk.pid(), last_request()
    os.kill(pid, signal.SIGSTOP)
    wait_for("the watchdog", lambda: desk.person.unit("Result")["Result"] == "watchdog")
    desk.restarted(pid)
    shorter.unlink()
    desk.person.systemctl("daemon-reload")
    wait_for("a new request", lambda: requests(before))
    desk.shows("Available/Available", "at the desk")


def leaves_no_core(desk):
    """no core of it is written, since that would have the tokens in it"""
    limit = process_limit(desk.pid(), "Max core file size")
    must(limit == "0", f"a core may have {limit} bytes")


def reloaded(desk):
    """systemctl reload: a good configuration counts, a bad one leaves the last good one in force and is shown"""
    pid = desk.pid()
    desk.configure('[[rules]]\nname = "always"\nwhen = { lock = "unlocked" }\nset = "Busy/InACall"\n')
    desk.systemctl("reload")
    desk.shows("Busy/InACall", "always")
    desk.configure('[[rules]]\nname = "always"\nset = "Busy/Nonsense"\n')
    desk.systemctl("reload")
    desk.warns("configuration-invalid")
    desk.shows("Busy/InACall", "always")
    wait_for("the unit's status", lambda: "config.toml" in desk.person.unit("StatusText")["StatusText"])
    desk.configure("")
    desk.systemctl("reload")
    report = desk.shows("Available/Available", "at the desk")
    must(not report["warnings"], f"warnings stay: {report['warnings']}")
    must(desk.person.unit("ActiveState")["ActiveState"] == "active", "the service is not active")
    must(desk.pid() == pid, "it was restarted")


def told_afterwards(desk):
    """`presenced logs` has the unit's journal, and `presenced history` what was claimed and when it did not run"""
    # Only where it is kept on the disk has each person a part of the journal.
    pathlib.Path("/var/log/journal").mkdir(exist_ok=True)
    run("systemd-tmpfiles", "--create", "--prefix=/var/log/journal")
    run("journalctl", "--flush")
    desk.systemctl("stop")
    desk.systemctl("start")
    desk.shows("Available/Available", "at the desk")
    logs = ("presenced", "logs", "--since", "1m")
    log = wait_for("the log", lambda: desk.person.code(*logs) == 0 and desk.person.run(*logs))
    must("decided" in log, f"the log is {log}")
    history = json.loads(desk.person.run("presenced", "history", "--json"))
    spans = [span.get("presence") or span["kind"] for span in history["accounts"]["work"]["spans"]]
    must("not-running" in spans and spans[-1] == "Available/Available", f"the history is {spans}")


def wrong_from_the_start(desk):
    """a start with a wrong configuration fails for good, with exit code 2, and is not tried again"""
    desk.systemctl("stop")
    desk.configure('[[rules]]\nname = "always"\nset = "Busy/Nonsense"\n')
    must(desk.person.code("systemctl", "--user", "start", "presenced") != 0, "the start succeeded")
    unit = desk.person.unit("ActiveState", "Result", "ExecMainStatus")
    expected = {"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "2"}
    must(unit == expected, f"the unit is {unit}")


def stopped(desk):
    """systemctl stop: the session is cleared in Graph, and the unit ends well"""
    before = last_request()
    desk.systemctl("stop")
    calls = [(request["call"], request["status"]) for request in requests(before)]
    must(calls == [("clear", 200)], f"asked of Graph: {calls}")
    must(visible() == "Offline/Offline", f"others see {visible()}")
    unit = desk.person.unit("ActiveState", "Result")
    must(unit == {"ActiveState": "inactive", "Result": "success"}, f"the unit is {unit}")


def the_manager_ends(desk):
    """the user's systemd ends, as on shutdown: cleared; and it comes with the next one, as it is enabled"""
    before = last_request()
    run("systemctl", "stop", desk.person.manager)
    calls = [(request["call"], request["status"]) for request in requests(before)]
    must(calls == [("clear", 200)], f"asked of Graph: {calls}")
    run("systemctl", "start", desk.person.manager)
    wait_for("presenced", lambda: desk.person.unit("ActiveState")["ActiveState"] == "active")


def without_linger(desk):
    """without linger: logging out ends it, cleared, and the next login brings it back"""
    run("loginctl", "disable-linger", desk.person.name)
    before = last_request()
    desk.session.end()
    wait_for("the end of the user's systemd", lambda: properties(desk.person.manager, "ActiveState")["ActiveState"] == "inactive")
    calls = [(request["call"], request["status"]) for request in requests(before)]
    must(calls == [("clear", 200)], f"asked of Graph: {calls}")
    desk.session = Session(desk.person)
    desk.shows("Available/Available", "at the desk")


def budgets(desk):
    """what it takes at idle"""
    pid = desk.pid()

    def switches():
        tasks = os.listdir(f"/proc/{pid}/task")
        return sum(int(process(pid, f"task/{task}/status")["voluntary_ctxt_switches"]) for task in tasks)

    def used():
        return int(desk.person.unit("CPUUsageNSec")["CPUUsageNSec"])

    switched, cpu = switches(), used()
    time.sleep(IDLE)
    switched, cpu = switches() - switched, used() - cpu
    memory = process(pid, "smaps_rollup")
    unit = desk.person.unit("MemoryCurrent")
    whole = unit["MemoryCurrent"]
    whole = f"{int(whole) / 1e6:.1f} MB" if whole.isdigit() else "not counted on this machine"
    resident, anonymous = (int(memory[part].split()[0]) / 1024 for part in ("Rss", "Anonymous"))
    return [
        f"resident {resident:.1f} MB, of it anonymous {anonymous:.1f} MB; the unit's memory: {whole}",
        f"{switched} wake-ups and {cpu / 1e6:.1f} ms of CPU in {IDLE} s",
    ]


def process_limit(pid, name):
    """The limit of a process that it cannot raise."""
    lines = pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line.removeprefix(name).split()[1] for line in lines if line.startswith(name))


def security(desk):
    """what systemd says of how it is confined"""
    lines = desk.person.run("systemd-analyze", "--user", "--no-pager", "security", "presenced.service").splitlines()
    return [re.sub(r"^\W+", "", lines[-1])]
