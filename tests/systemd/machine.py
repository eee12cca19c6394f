"""The box as the tests use it: commands, waiting for states, people and their login sessions."""

import os
import pathlib
import pwd
import subprocess
import time

# Longer than anything in these tests takes. It only ends a wait that would last for ever.
GUARD_SECONDS = 30

# How often a state is polled if nothing announces its changes.
POLL_SECONDS = 0.02


class Failure(Exception):
    """What a check found wrong."""


def run(*command, **options):
    """The output of a command, which must succeed."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=GUARD_SECONDS, **options)
    if done.returncode != 0:
        raise Failure(f"`{' '.join(command)}` ended with {done.returncode}: {done.stdout.strip()}")
    return done.stdout.strip()


def wait_for(what, look):
    """Waits until `look` finds something, and returns that."""
    end = time.monotonic() + GUARD_SECONDS
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise Failure(f"timed out waiting for: {what}")
        time.sleep(POLL_SECONDS)


def must(condition, otherwise):
    """Fails the check unless the condition is true."""
    if not condition:
        raise Failure(otherwise)


def properties(unit, *names, systemctl=("systemctl",), of=run):
    """Properties of a unit, as a dictionary."""
    return dict(line.split("=", 1) for line in of(*systemctl, "show", unit, *(f"-p{name}" for name in names)).splitlines())


class Person:
    """A person with a user account on the machine."""

    def __init__(self, name):
        run("useradd", "--create-home", "--shell", "/bin/bash", name)
        entry = pwd.getpwnam(name)
        self.name, self.uid, self.gid = name, entry.pw_uid, entry.pw_gid
        self.home = pathlib.Path(entry.pw_dir)
        self.runtime = pathlib.Path(f"/run/user/{self.uid}")
        self.manager = f"user@{self.uid}.service"
        self.env = {
            "HOME": str(self.home),
            "USER": name,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(self.runtime),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.runtime}/bus",
        }

    def options(self):
        """Options for `subprocess` that run a process as this person."""
        return {"user": self.uid, "group": self.gid, "extra_groups": [], "env": self.env, "cwd": self.home}

    def run(self, *command):
        """The output of this person's command, which must succeed."""
        return run(*command, **self.options())

    def code(self, *command):
        """The exit code of this person's command."""
        return subprocess.run(command, capture_output=True, timeout=GUARD_SECONDS, **self.options()).returncode

    def refused(self, code, *command):
        """The output of this person's command, which must end with this exit code."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=GUARD_SECONDS, **self.options())
        if done.returncode != code:
            raise Failure(f"{command} ended with {done.returncode} and not {code}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def systemctl(self, *arguments):
        """`systemctl --user`."""
        return self.run("systemctl", "--user", *arguments)

    def unit(self, *names, unit="presenced.service"):
        """Properties of one of this person's units."""
        return properties(unit, *names, systemctl=("systemctl", "--user"), of=self.run)

    def write(self, path, text, mode=0o600):
        """Writes or replaces a file in the home folder atomically. Returns its path."""
        path = self.home / path
        missing = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.write_text(text)
        new.chmod(mode)
        new.replace(path)
        for made in (*missing, path):
            os.chown(made, self.uid, self.gid)
        return path

    def lingers(self):
        """Lets the person's services run without a login session from now on."""
        run("loginctl", "enable-linger", self.name)
        wait_for("the user's systemd", lambda: properties(self.manager, "ActiveState")["ActiveState"] == "active")


class Session:
    """A login session on seat0, opened through PAM like a display manager does. A socket makes it seem to have a compositor."""

    def __init__(self, person, kind="wayland", socket=""):
        self.unit = f"desktop-{person.name}.service"
        self.ready = pathlib.Path(f"/tmp/{self.unit}")
        self.ready.unlink(missing_ok=True)
        variables = ("XDG_SEAT=seat0", f"XDG_SESSION_TYPE={kind}", "XDG_SESSION_CLASS=user", f"COMPOSITOR={socket}")
        settings = [f"-E{variable}" for variable in variables]
        pam = ["-pPAMName=login", f"-pUser={person.name}"]
        run("systemd-run", "--quiet", "--collect", f"--unit={self.unit}", *pam, *settings, "/mnt/desktop", str(self.ready))
        self.id = self.listens()

    def listens(self):
        """Waits until its desktop listens for lock requests. Returns the session's id."""
        return wait_for("the desktop", lambda: self.ready.exists() and self.ready.read_text().strip())

    def property(self, name):
        """A property of the session in logind."""
        return run("loginctl", "show-session", self.id, f"-p{name}", "--value")

    def becomes(self, name, value):
        """Waits until a property has this value."""
        wait_for(f"session {self.id} with {name}={value}", lambda: self.property(name) == value)

    def lock(self):
        """Makes the desktop lock its screen."""
        run("loginctl", "lock-session", self.id)
        self.becomes("LockedHint", "yes")

    def unlock(self):
        """Makes the desktop unlock its screen."""
        run("loginctl", "unlock-session", self.id)
        self.becomes("LockedHint", "no")

    def activate(self):
        """Makes it the active session of its seat."""
        run("loginctl", "activate", self.id)
        self.becomes("Active", "yes")

    def end(self):
        """Logs out."""
        run("systemctl", "stop", self.unit)
        wait_for(f"the end of session {self.id}", lambda: self.id not in sessions())


def sessions():
    """The ids of all login sessions."""
    return [line.split()[0] for line in run("loginctl", "list-sessions", "--no-legend").splitlines()]
