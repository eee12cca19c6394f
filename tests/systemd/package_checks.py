"""presenced as a Debian package: installed, upgraded and purged, while a person's service is running."""

import os
import pathlib

from desk import last_request, requests
from machine import must, run, wait_for

# `run` puts these here if it is given a package: that package, and a copy with a newer version number.
PACKAGE = pathlib.Path("/mnt/presenced.deb")
NEWER = pathlib.Path("/mnt/newer.deb")

# Where a package may put or leave files. The rest belongs to the kernel, to this boot, or to people.
PLACES = ("/etc", "/opt", "/usr", "/var")
# dpkg's own files, the journal, and files that systemd regenerates.
OTHERS = ("/var/lib/dpkg", "/var/log", "/var/lib/systemd", "/var/cache")

# The files of `useradd`: the accounts, a backup of each, and a lock. The checks add people, and on a machine
# that never had any, several of these files are new. No package of presenced adds an account.
ACCOUNTS = {f"/etc/{name}{copy}" for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid") for copy in ("", "-")}
ACCOUNTS.add("/etc/.pwd.lock")

# Files of the checks before these: the settings of the box, and what an administrator installs for a bot.
CHECKS = (
    "/etc/presenced",
    "/etc/systemd/logind.conf.d",
    "/etc/systemd/system/presenced-sidecar.service",
    "/etc/systemd/system/systemd-suspend.service.d",
    "/var/tmp/systemd-private-",
)

before = set()


def found():
    """All files where packages may put files."""
    paths = set()
    for place in PLACES:
        for folder, folders, files in os.walk(place):
            folders[:] = [name for name in folders if f"{folder}/{name}" not in OTHERS]
            paths.update(f"{folder}/{name}" for name in folders + files)
    return paths


def install():
    """Installs the package. Remembers the files before it for `removed`."""
    before.update(found())
    run("dpkg", "--install", str(PACKAGE))


def upgraded(desk):
    """a newer package: the service keeps running with its configuration, or restarts as the new version"""
    pid, number = desk.pid(), last_request()
    desk.configure('# mine\n[[rules]]\nname = "mine"\nwhen = { lock = "unlocked" }\nset = "Busy/InACall"\n')
    kept = (desk.person.home / ".config/presenced/config.toml").read_text()
    desk.systemctl("reload")
    desk.shows("Busy/InACall", "mine")
    run("dpkg", "--install", str(NEWER))
    must(run("dpkg-query", "--show", "--showformat=${Version}", "presenced").endswith("+newer"), "the version is the old one")
    must((desk.person.home / ".config/presenced/config.toml").read_text() == kept, "the configuration has changed")
    must(desk.person.unit("ActiveState")["ActiveState"] == "active", "the service is not active")
    desk.shows("Busy/InACall", "mine")
    calls = [request["call"] for request in requests(number)]
    must("clear" not in calls or desk.pid() != pid, f"requests to Graph: {calls}")
    return ["the process kept running" if desk.pid() == pid else "the process was restarted, as the new version"]


def removed(desk):
    """the package is purged: none of its files and processes are left, but the person's own files are"""
    config = desk.person.home / ".config/presenced/config.toml"
    desk.person.run("presenced", "service", "uninstall")
    wait_for("the end of the service", lambda: desk.pid() == 0)
    run("systemctl", "stop", "emulator")
    run("dpkg", "--purge", "presenced")
    left = sorted(path for path in found() - before - ACCOUNTS if not path.startswith(CHECKS))
    must(not left, f"left: {' '.join(left)}")
    must(config.exists(), "the person's configuration is gone")
    must(not running(), f"still running: {running()}")


def running():
    """The processes of presenced, even if the program file is deleted."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "exe").startswith("/usr/bin/presenced"):
                    found.append(entry.name)
            except OSError:
                pass
    return found
