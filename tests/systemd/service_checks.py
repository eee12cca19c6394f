"""presenced as a service: started, killed, hung, reloaded, stopped, and the resources it uses."""

import json
import os
import pathlib
import re
import signal
import time

from desk import last_request, process, requests, visible, warning
from machine import Session, must, properties, run, wait_for

# How long the idle daemon is measured.
IDLE_SECONDS = 5


def no_login_session(desk):
    """enabled with linger and without a login session: ready, sets no presence, and warns that it cannot see the lock"""
    desk.person.systemctl("enable", "--now", "presenced")
    report = desk.status()
    must(report, "`systemctl start` returned before the socket answered")
    must(report["signals"]["lock"]["value"] == "unknown", f"the lock is {report['signals']['lock']}")
    must(warning(report, "lock-unavailable"), "no warning of the lock")
    must(not [request for request in requests() if request["call"] == "set"], "a presence was set")


def ready_is_ready(desk):
    """Type=notify: once `systemctl start` returns, the socket answers, the signals are known, and the presence is set"""
    desk.systemctl("restart")
    report = desk.status()
    must(report, "`systemctl restart` returned before the socket answered")
    must(report["signals"]["lock"]["value"] == "unlocked", f"the lock is {report['signals']['lock']}")
    must(report["accounts"]["work"]["rule"] == "at the desk", f"not decided: {report['accounts']['work']}")
    desk.shows("Available/Available", "at the desk")
    wait_for("the unit's status", lambda: "Available/Available" in desk.person.unit("StatusText")["StatusText"])


def killed(desk):
    """SIGKILL: systemd restarts it, and the presence is correct again"""
    pid, before = desk.pid(), last_request()
    os.kill(pid, signal.SIGKILL)
    desk.restarted(pid)
    wait_for("a new request", lambda: requests(before))
    desk.shows("Available/Available", "at the desk")


def hung(desk):
    """SIGSTOP: the watchdog kills it, and systemd restarts it"""
    # The unit itself waits 2 minutes, and then 5 s.
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
    """no core dump is written, because it would contain the tokens"""
    limit = process_limit(desk.pid(), "Max core file size")
    must(limit == "0", f"a core may have {limit} bytes")


def reloaded(desk):
    """systemctl reload: a valid configuration is used; an invalid one is reported, and the last valid one stays in force"""
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


def logs_and_history(desk):
    """`presenced logs` shows the unit's journal; `presenced history` shows what was set, and when the daemon was not running"""
    # Users have their own part of the journal only if it is stored on disk.
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
    """a start with an invalid configuration fails with exit code 2, and is not retried"""
    desk.systemctl("stop")
    desk.configure('[[rules]]\nname = "always"\nset = "Busy/Nonsense"\n')
    must(desk.person.code("systemctl", "--user", "start", "presenced") != 0, "the start succeeded")
    unit = desk.person.unit("ActiveState", "Result", "ExecMainStatus")
    expected = {"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "2"}
    must(unit == expected, f"the unit is {unit}")


def stopped(desk):
    """systemctl stop: the session is cleared in Graph, and the unit ends without an error"""
    before = last_request()
    desk.systemctl("stop")
    calls = [(request["call"], request["status"]) for request in requests(before)]
    must(calls == [("clear", 200)], f"requests to Graph: {calls}")
    must(visible() == "Offline/Offline", f"others see {visible()}")
    unit = desk.person.unit("ActiveState", "Result")
    must(unit == {"ActiveState": "inactive", "Result": "success"}, f"the unit is {unit}")


def the_manager_ends(desk):
    """the user's systemd ends, as on shutdown: the session is cleared, and the enabled service starts with the next one"""
    before = last_request()
    run("systemctl", "stop", desk.person.manager)
    calls = [(request["call"], request["status"]) for request in requests(before)]
    must(calls == [("clear", 200)], f"requests to Graph: {calls}")
    run("systemctl", "start", desk.person.manager)
    wait_for("presenced", lambda: desk.person.unit("ActiveState")["ActiveState"] == "active")


def without_linger(desk):
    """without linger: a logout stops it and clears the session, and the next login starts it again"""
    run("loginctl", "disable-linger", desk.person.name)
    before = last_request()
    desk.session.end()
    wait_for("the end of the user's systemd", lambda: properties(desk.person.manager, "ActiveState")["ActiveState"] == "inactive")
    calls = [(request["call"], request["status"]) for request in requests(before)]
    must(calls == [("clear", 200)], f"requests to Graph: {calls}")
    desk.session = Session(desk.person)
    desk.shows("Available/Available", "at the desk")


def budgets(desk):
    """the resources that it uses when idle"""
    pid = desk.pid()

    def switches():
        tasks = os.listdir(f"/proc/{pid}/task")
        return sum(int(process(pid, f"task/{task}/status")["voluntary_ctxt_switches"]) for task in tasks)

    def used():
        return int(desk.person.unit("CPUUsageNSec")["CPUUsageNSec"])

    switched, cpu = switches(), used()
    time.sleep(IDLE_SECONDS)
    switched, cpu = switches() - switched, used() - cpu
    memory = process(pid, "smaps_rollup")
    unit = desk.person.unit("MemoryCurrent")
    whole = unit["MemoryCurrent"]
    whole = f"{int(whole) / 1e6:.1f} MB" if whole.isdigit() else "not counted on this machine"
    resident, anonymous = (int(memory[part].split()[0]) / 1024 for part in ("Rss", "Anonymous"))
    return [
        f"resident {resident:.1f} MB, of it anonymous {anonymous:.1f} MB; the unit's memory: {whole}",
        f"{switched} wake-ups and {cpu / 1e6:.1f} ms of CPU in {IDLE_SECONDS} s",
    ]


def process_limit(pid, name):
    """The hard limit of a process."""
    lines = pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line.removeprefix(name).split()[1] for line in lines if line.startswith(name))


def security(desk):
    """systemd's rating of how it is confined"""
    lines = desk.person.run("systemd-analyze", "--user", "--no-pager", "security", "presenced.service").splitlines()
    return [re.sub(r"^\W+", "", lines[-1])]
