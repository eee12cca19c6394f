"""presenced and logind: the lock, the seat, new and ended sessions, sleep, and restarts of logind and the bus."""

import contextlib
import os
import pathlib
import subprocess
import time

from desk import faults, inhibitors, last_request, name, requests, visible
from machine import Person, Session, must, properties, run, wait_for

# A line written there ends the simulated sleep, which replaces the kernel's.
AWAKE = pathlib.Path("/run/awake")
SLEEP = f"""[Service]
ExecStart=
ExecStart=/bin/sh -c "read -r line <{AWAKE}"
"""

# While this is there, the bus delivers no announcement of sleep or of its end.
DEAF = pathlib.Path("/etc/dbus-1/system.d/deaf.conf")
DEAF_POLICY = """<busconfig>
  <policy context="mandatory">
    <deny receive_interface="org.freedesktop.login1.Manager" receive_member="PrepareForSleep"/>
  </policy>
</busconfig>
"""


def found(desk):
    """a login session begins: it is found, and the presence is set"""
    desk.session = Session(desk.person)
    desk.shows("Available/Available", "at the desk")


def locked(desk):
    """loginctl lock-session, and the desktop's LockedHint: Away; unlock-session: Available"""
    desk.session.lock()
    desk.shows("Away/Away", "locked")
    desk.session.unlock()
    desk.shows("Available/Available", "at the desk")


def started_locked(desk):
    """a start while the screen is locked: Away, and nothing else before"""
    desk.session.lock()
    desk.shows("Away/Away", "locked")
    before = last_request()
    desk.systemctl("restart")
    desk.shows("Away/Away", "locked")
    must(seen_after(before) == ["Offline/Offline", "Away/Away"], f"others saw {seen_after(before)}")


def switched(desk):
    """another user's session becomes active on the seat: Away; and back again: Available"""
    guest = Person(f"box-guest-{desk.session.id}")
    other = Session(guest)
    desk.session.becomes("Active", "no")
    desk.shows("Away/Away", "locked")
    desk.session.activate()
    desk.shows("Available/Available", "at the desk")
    other.end()


def again(desk):
    """the session ends: the presence is cleared; a new one begins and is found, also with its lock"""
    ended = desk.session
    ended.end()
    desk.warns("lock-unavailable")
    wait_for("others see nothing", lambda: visible() == "Offline/Offline")
    desk.session = Session(desk.person)
    must(desk.session.id != ended.id, "it is the same session")
    desk.shows("Available/Available", "at the desk")
    locked(desk)


def left_behind(desk):
    """the session ends but one of its processes still runs: the session does not count any more"""
    process = subprocess.Popen(["sleep", "infinity"])
    try:
        scope = properties(f"session-{desk.session.id}.scope", "ControlGroup")["ControlGroup"]
        pathlib.Path(f"/sys/fs/cgroup{scope}/cgroup.procs").write_text(str(process.pid))
        ended, desk.session = desk.session, None
        run("systemctl", "stop", ended.unit)
        ended.becomes("State", "closing")
        desk.warns("lock-unavailable")
        wait_for("others see nothing", lambda: visible() == "Offline/Offline")
        desk.session = Session(desk.person)
        desk.shows("Available/Available", "at the desk")
    finally:
        process.kill()
        process.wait()


def on_a_console(desk):
    """a session of type tty: a text console says nothing; with a compositor, its lock and its place on the seat count"""
    desk.session.end()
    desk.session = Session(desk.person, kind="tty")
    desk.session.becomes("Type", "tty")
    desk.warns("lock-unavailable")
    wait_for("others see nothing", lambda: visible() == "Offline/Offline")
    desk.session.end()
    desk.session = Session(desk.person, kind="tty", socket="wayland-1")
    desk.session.becomes("Type", "tty")
    desk.shows("Available/Available", "at the desk")
    locked(desk)
    switched(desk)
    desk.session.end()
    desk.warns("lock-unavailable")
    desk.session = None


def logind_restarted(desk):
    """logind restarts while unlocked and while locked: the state is correct again, and a new inhibitor delays sleep"""
    run("systemctl", "restart", "systemd-logind")
    right_again(desk)
    # Without this, so quick a series of changes would be coalesced.
    desk.settle()
    desk.session.lock()
    run("systemctl", "restart", "systemd-logind")
    right_again(desk)


def bus_restarted(desk):
    """the system bus and logind restart: the state is correct again"""
    bus, logind = main_pid("dbus"), main_pid("systemd-logind")
    desk.session.ready.unlink()
    run("systemctl", "restart", "dbus")
    wait_for("another bus", lambda: main_pid("dbus") not in (0, bus))
    wait_for("another logind", lambda: main_pid("systemd-logind") not in (0, logind))
    desk.session.listens()
    right_again(desk)


def user_bus_restarted(desk):
    """the user's bus restarts: nothing changes"""
    desk.person.systemctl("restart", "dbus")
    locked(desk)


def slept(desk):
    """suspend: the inhibitor delays it until Away is set; afterwards the presence is set again, with a new inhibitor"""
    must(len(inhibitors()) == 1 and "delay" in inhibitors()[0], f"inhibitors: {inhibitors()}")
    before = last_request()
    # Without the inhibitor, the machine would sleep long before the answer.
    with faults({"call": "set", "delay": "1s"}), asleep():
        must(requests(before) and visible() == "Away/Away", f"asleep, and others see {visible()}")
        must(not inhibitors(), f"asleep, but there are inhibitors: {inhibitors()}")
        must(desk.status()["accounts"]["work"]["rule"] == "asleep", "another rule decided")
    desk.shows("Available/Available", "at the desk")
    wait_for("a new inhibitor", lambda: len(inhibitors()) == 1)


def woke_up_locked(desk):
    """suspend, and a lock during sleep: always Away, without Available after the wake-up"""
    before = last_request()
    with asleep():
        desk.session.lock()
    desk.shows("Away/Away", "locked")
    must(set(seen_after(before)) == {"Away/Away"}, f"others saw {seen_after(before)}")


def woke_up_silently(desk):
    """suspend, and nobody announces its end, as after hibernation: within 10 s the presence is set, with a new inhibitor"""
    with deaf_after_the_start():
        desk.shows("Available/Available", "at the desk")
        wait_for("a new inhibitor", lambda: len(inhibitors()) == 1)


def logind_restarted_asleep(desk):
    """suspend, and logind restarts meanwhile: the presence is set, with a new inhibitor"""
    with asleep():
        desk.shows("Away/Away", "asleep")
        run("systemctl", "restart", "systemd-logind")
        desk.shows("Available/Available", "at the desk")
        wait_for("a new inhibitor", lambda: len(inhibitors()) == 1)


def slept_without_graph(desk):
    """suspend while Graph does not answer: delayed for at most 3 s, and correct again afterwards"""
    with faults({"call": "set", "then": "hang"}):
        started = time.monotonic()
        with asleep():
            spent = time.monotonic() - started
            # logind itself would wait for 5 s.
            must(spent < 4.5, f"it took {spent:.1f} s")
    desk.shows("Available/Available", "at the desk")


@contextlib.contextmanager
def asleep():
    """Suspends, and wakes the machine up at the end."""
    if not AWAKE.exists():
        os.mkfifo(AWAKE)
        override = pathlib.Path("/etc/systemd/system/systemd-suspend.service.d/sleep.conf")
        override.parent.mkdir()
        override.write_text(SLEEP)
        run("systemctl", "daemon-reload")
    run("systemctl", "suspend")
    wait_for("sleep", lambda: properties("systemd-suspend.service", "SubState")["SubState"] == "start")
    try:
        yield
    finally:
        AWAKE.write_text("\n")


@contextlib.contextmanager
def deaf_after_the_start():
    """Suspends, and wakes the machine up while the bus delivers no announcement of that."""
    try:
        with asleep():
            DEAF.write_text(DEAF_POLICY)
            reload_bus()
        yield
    finally:
        DEAF.unlink()
        reload_bus()


def reload_bus():
    """Makes the system bus read its policy again."""
    run("busctl", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ReloadConfig")


def seen_after(request):
    """What others saw after each request later than this one."""
    return [name(request["visible"]) for request in requests(request)]


def main_pid(unit):
    """The main process of a system unit."""
    return int(properties(unit, "MainPID")["MainPID"])


def right_again(desk):
    """Locks and unlocks, then checks that there is no warning and one inhibitor."""
    locked(desk)
    report = desk.report("no warning", lambda report: not report["warnings"])
    must(report["signals"]["lock"]["source"] == "logind", f"the lock: {report['signals']['lock']}")
    wait_for("one inhibitor", lambda: len(inhibitors()) == 1)
