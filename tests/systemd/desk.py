"""A person at a desk: presenced as that person's service, and the emulated Graph that it talks to."""

import contextlib
import json
import os
import pathlib
import select
import shutil
import subprocess
import time
import urllib.request

from machine import GUARD_SECONDS, POLL_SECONDS, Failure, Person, Session, run, wait_for

USER = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3"
GRAPH = "http://127.0.0.1:8765"

CONFIGURATION = f"""
[accounts.work]
tenant    = "contoso.onmicrosoft.com"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f87"
user      = "{USER}"
auth      = {{ method = "client-secret", secret = {{ file = "~/.config/presenced/secret" }} }}
endpoints = {{ graph = "{GRAPH}/v1.0", login = "{GRAPH}" }}

[signals.lock]
"""


def install():
    """Puts the program and its units where a package would. A package replaces this function."""
    shutil.copy("/mnt/presenced", "/usr/bin/presenced")
    for unit in ("presenced.service", "presenced.socket", "presenced@.service"):
        shutil.copy(f"/mnt/{unit}", "/usr/lib/systemd/user")


class Desk:
    """The person, with a configuration but without an enabled service yet."""

    def __init__(self):
        run("systemd-run", "--quiet", "--unit=emulator", "-pDynamicUser=yes", "presenced", "emulator")
        self.person = Person("box-user")
        self.configure("")
        self.person.write(".config/presenced/secret", "emulator-secret")
        # So that a user's systemd ends with the last session, not 10 s later.
        pathlib.Path("/etc/systemd/logind.conf.d").mkdir()
        pathlib.Path("/etc/systemd/logind.conf.d/box.conf").write_text("[Login]\nUserStopDelaySec=0\n")
        run("systemctl", "restart", "systemd-logind")
        self.person.lingers()
        wait_for("the emulator", lambda: run("systemctl", "is-active", "emulator") and answers())

        self.session = None

    def settle(self):
        """Restores the state in which a check begins: the person is at an unlocked screen, and presenced is running and shows that."""
        self.configure("")
        if not self.session:
            self.session = Session(self.person)
        self.session.activate()
        self.session.unlock()
        # Restarted, so that earlier changes do not delay the next one. The reset is needed because systemd limits starts.
        self.systemctl("reset-failed")
        self.systemctl("restart")
        self.shows("Available/Available", "at the desk")

    def configure(self, more):
        """Writes the configuration with this at its end."""
        self.person.write(".config/presenced/config.toml", CONFIGURATION + more)

    def systemctl(self, verb):
        """Makes the person's systemd do this with the service."""
        self.person.systemctl(verb, "presenced")

    def pid(self):
        """The daemon's process id, 0 if it is not running."""
        return int(self.person.unit("MainPID")["MainPID"])

    def status(self):
        """The daemon's report now, `None` if it is not running."""
        command = ["presenced", "status", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=GUARD_SECONDS, **self.person.options())
        return json.loads(done.stdout) if done.stdout else None

    def report(self, what, matches):
        """Waits until the daemon's report matches, even across restarts."""
        end = time.monotonic() + GUARD_SECONDS
        last = None
        while time.monotonic() < end:
            for last in self.reports(end):
                if matches(last):
                    return last
            time.sleep(POLL_SECONDS)
        raise Failure(f"timed out waiting for: {what}; the last report: {json.dumps(last)}")

    def reports(self, end):
        """All reports of the running daemon, until it stops or the time is up."""
        command = ["presenced", "status", "--watch", "--json"]
        watch = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **self.person.options())
        try:
            rest = b""
            while select.select([watch.stdout], [], [], max(0, end - time.monotonic()))[0]:
                read = os.read(watch.stdout.fileno(), 65536)
                if not read:
                    return
                *lines, rest = (rest + read).split(b"\n")
                yield from map(json.loads, lines)
        finally:
            watch.kill()
            watch.wait()

    def shows(self, pair, rule):
        """Waits until presenced has set this pair because of this rule, and others see it."""

        def holds(report):
            work = report["accounts"]["work"]
            return work["rule"] == rule and name(work["asserted"]) == pair

        report = self.report(f"{pair} by the rule `{rule}`", holds)
        wait_for(f"others see {pair}", lambda: visible() == pair)
        return report

    def warns(self, code):
        """Waits for this warning, and returns it."""
        report = self.report(f"the warning {code}", lambda report: warning(report, code))
        return warning(report, code)

    def restarted(self, pid):
        """Waits until a different process is running, and returns its id."""
        return wait_for("another process of presenced", lambda: self.pid() not in (0, pid) and self.pid())


def warning(report, code):
    """The report's warning with this code."""
    return next((warning for warning in report["warnings"] if warning["code"] == code), None)


def name(pair):
    """A pair as in Teams' documentation, `None` without one."""
    return pair and f"{pair['availability']}/{pair['activity']}"


def ask(path, graph=GRAPH):
    """The answer of the emulator's control endpoint."""
    with urllib.request.urlopen(f"{graph}/_emulator/{path}", timeout=GUARD_SECONDS) as answer:
        return json.load(answer)


@contextlib.contextmanager
def faults(fault):
    """Injects a fault into the emulator for a while."""
    url = f"{GRAPH}/_emulator/faults"
    body = json.dumps(fault).encode()
    urllib.request.urlopen(urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})).close()
    try:
        yield
    finally:
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE")).close()


def answers():
    """Whether the emulator answers."""
    try:
        return bool(ask("state"))
    except OSError:
        return False


def visible():
    """What others see."""
    return name(ask("state")["users"][USER]["visible"])


def requests(after=0):
    """The requests that change a presence, after the one with this number."""
    return [request for request in ask(f"requests?after={after}")["requests"] if request["call"] in ("set", "clear")]


def last_request():
    """The number of the last request."""
    return max((request["id"] for request in ask("requests")["requests"]), default=0)


def inhibitors():
    """The lines of `systemd-inhibit --list` that are presenced's."""
    lines = run("systemd-inhibit", "--list", "--no-legend", "--no-pager").splitlines()
    return [line for line in lines if line.startswith("presenced ")]


def process(pid, file):
    """The fields of a file of /proc about a process."""
    text = pathlib.Path(f"/proc/{pid}/{file}").read_text()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
