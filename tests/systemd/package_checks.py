"""presenced as a Debian package: installed, upgraded and purged, with a person's service at work all the time."""

import os
import pathlib

from desk import last_request, requests
from machine import must, run, wait_for

# What `run` puts there when it is given a package: that package, and the same one as a newer version.
PACKAGE = pathlib.Path("/mnt/presenced.deb")
NEWER = pathlib.Path("/mnt/newer.deb")

# Where a package may put files or leave some. The rest is of the kernel, of this boot, or of people.
PLACES = ("/etc", "/opt", "/usr", "/var")
# What dpkg keeps for itself, the journal, and what systemd draws anew by itself.
OTHERS = ("/var/lib/dpkg", "/var/log", "/var/lib/systemd", "/var/cache")

# The files of `useradd`: the accounts, a copy of each from before the last change, and a lock. The checks add people, and on a machine
# that never had any, several of these files are new. No package of presenced adds an account.
ACCOUNTS = {f"/etc/{name}{copy}" for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid") for copy in ("", "-")}
ACCOUNTS.add("/etc/.pwd.lock")

# What the checks before these made: the settings of the box, and what an administrator puts in place for a bot.
CHECKS = (
    "/etc/presenced",
    "/etc/systemd/logind.conf.d",
    "/etc/systemd/system/presenced-sidecar.service",
    "/etc/systemd/system/systemd-suspend.service.d",
    "/var/tmp/systemd-private-",
)

before = set()


def found():
    """All that is in the places of packages."""
    paths = set()
    for place in PLACES:
        for folder, folders, files in os.walk(place):
            folders[:] = [name for name in folders if f"{folder}/{name}" not in OTHERS]
            paths.update(f"{folder}/{name}" for name in folders + files)
    return paths


def install():
    """Installs the package, on a machine whose files are remembered for `removed`."""
    before.update(found())
    run("dpkg", "--install", str(PACKAGE))


def upgraded(desk):
    """a newer package: the service goes on, with the configuration it had, and as the new version once it is restarted"""
    pid, number = desk.pid(), last_request()
    desk.configure('# mine\n[[rules]]\nname = "mine"\nwhen = { lock = "unlocked" }\nset = "Busy/InACall"\n')
    kept = (desk.person.home / ".config/presenced/config.toml").read_text()
    desk.systemctl("reload")
    desk.shows("Busy/InACall", "mine")
    run("dpkg", "--install", str(NEWER))
    must(run("dpkg-query", "--show", "--showformat=${Version}", "presenced").endswith("+newer"), "the version is the old one")
    must((desk.person.home / ".config/presenced/config.toml").read_text() == kept, "the configuration is another one")
    must(desk.person.unit("ActiveState")["ActiveState"] == "active", "the service is not active")
    desk.shows("Busy/InACall", "mine")
    calls = [request["call"] for request in requests(number)]
    must("clear" not in calls or desk.pid() != pid, f"asked of Graph: {calls}")
    return ["the process went on" if desk.pid() == pid else "the process was restarted, as the new version"]


def removed(desk):
    """the package is purged: nothing of it is left, the person's own files are there, and no process of it"""
    config = desk.person.home / ".config/presenced/config.toml"
    desk.person.run("presenced", "service", "uninstall")
    wait_for("the end of the service", lambda: desk.pid() == 0)
    run("systemctl", "stop", "emulator")
    run("dpkg", "--purge", "presenced")
    left = sorted(path for path in found() - before - ACCOUNTS if not path.startswith(CHECKS))
    must(not left, f"left: {' '.join(left)}")
    must(config.exists(), "the person's configuration is gone")
    must(not running(), f"processes of it: {running()}")


def running():
    """The processes whose program is presenced, also of a file that is gone."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "exe").startswith("/usr/bin/presenced"):
                    found.append(entry.name)
            except OSError:
                pass
    return found
