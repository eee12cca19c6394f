"""presenced installed, activated by its socket, twice, and for a bot: its units, and the command that installs them."""

import contextlib
import os
import pathlib
import re
import shutil

from desk import CONFIGURATION, GRAPH, USER, ask, name, visible
from logind_checks import asleep
from machine import must, properties, run, wait_for

TENANT = "contoso.onmicrosoft.com"
CLIENT_ID = "22553876-f5ab-4529-bffb-cfe50aa89f87"
OTHER_GRAPH = "http://127.0.0.1:8766"
UNITS = pathlib.Path("/usr/lib/systemd/user")
SYSTEM_UNITS = pathlib.Path("/etc/systemd/system")

# A bot's application: it writes a call into its own folder, and the call ends when it exits. systemd halves dollars.
CALLER = """
umask 022
printf '{"state": "in-call", "app": "caller", "pid": %s}' "$$$$" >/run/presenced/call-state/.next
mv /run/presenced/call-state/.next /run/presenced/call-state/line-1
exec sleep infinity
"""


def refused(desk):
    """service install without a configuration or a sign-in, or with a foreign unit: refuses, and installs nothing"""
    with gone(desk):
        before = files(desk)
        config = desk.person.home / ".config/presenced/config.toml"
        away = config.rename(config.with_suffix(".away"))
        said = desk.person.refused(2, "/usr/bin/presenced", "service", "install")
        must("the file does not exist" in said, said)
        away.rename(config)

        desk.configure("nonsense = 1\n")
        said = desk.person.refused(2, "/usr/bin/presenced", "service", "install")
        must("nonsense" in said, said)
        person = re.sub(r"auth .*", 'auth = { method = "device-code" }', CONFIGURATION)
        desk.person.write(".config/presenced/config.toml", person)
        said = desk.person.refused(4, "/usr/bin/presenced", "service", "install")
        must("presenced login work" in said, said)
        desk.configure("")
        # The check of the sign-in starts a keyring, which creates its own folder.
        new = {path for path in files(desk) - before if "/.local" not in path}
        must(not new, f"something was installed: {new}")

        mine = desk.person.write(".config/systemd/user/presenced.service", "[Service]\nExecStart=/bin/true\n")
        said = desk.person.refused(1, "/usr/bin/presenced", "service", "install")
        must("was not written by" in said and "mv " in said, said)
        said = desk.person.run("/usr/bin/presenced", "service", "uninstall")
        must("was not written by presenced, and stays" in said, said)
        must(mine.read_text() == "[Service]\nExecStart=/bin/true\n", "a unit written by hand was changed")
        mine.unlink()
        # A missing service is reported differently from a stopped one.
        desk.person.systemctl("daemon-reload")
        desk.person.systemctl("disable", "presenced")
        must("service install" in without_units(desk), "it does not name the command that installs it")


def without_units(desk):
    """What `service status` says if there is no packaged unit either."""
    with aside(UNITS / "presenced.service"), aside(UNITS / "presenced.socket"):
        desk.person.systemctl("daemon-reload")
        said = desk.person.refused(3, "/usr/bin/presenced", "service", "status")
    desk.person.systemctl("daemon-reload")
    return said


def installed(desk):
    """service install, install again, uninstall: sets the presence, changes nothing the second time, and leaves nothing"""
    with gone(desk):
        program = own_program(desk)
        before = files(desk)
        said = desk.person.run(program, "service", "install")
        must("wrote " in said and "Available/Available" in said, said)
        desk.shows("Available/Available", "at the desk")
        unit = desk.person.unit("FragmentPath", "UnitFileState", "ExecStart")
        must(unit["FragmentPath"] == str(desk.person.home / ".config/systemd/user/presenced.service"), f"{unit}")
        must(unit["UnitFileState"] == "enabled" and program in unit["ExecStart"], f"{unit}")

        pid = desk.pid()
        again = desk.person.run(program, "service", "install")
        must("wrote" not in again and desk.pid() == pid, f"the second time something changed: {again}")

        desk.person.write(".config/systemd/user/presenced.service.d/mine.conf", "[Service]\nNice=0\n")
        desk.person.systemctl("daemon-reload")
        status = desk.person.run(program, "service", "status")
        for part in (f"pid {pid}", "at login", "mine.conf", "work", "Available/Available"):
            must(part in status, f"no {part} in: {status}")

        said = desk.person.run(program, "service", "uninstall")
        must("mine.conf" not in said and "presenced.service.d is yours" in said, said)
        wait_for("others see nothing", lambda: visible() == "Offline/Offline")
        shutil.rmtree(desk.person.home / ".config/systemd/user/presenced.service.d")
        desk.person.run(program, "service", "uninstall")
        left = files(desk) - before
        must(not left, f"left behind: {left}")


def set_up(desk):
    """init with flags: writes the configuration, then signs in and installs the service; the next time nothing changes"""
    with gone(desk):
        config = desk.person.home / ".config/presenced/config.toml"
        config.unlink()
        init = ("/usr/bin/presenced", "init", "--tenant", TENANT, "--client-id", CLIENT_ID, "--method", "device-code")
        said = desk.person.run(*init, "--no-calendar")
        must("Wrote " in said and "`presenced login work`" in said, said)
        # The tenant is the emulator's, and no one can unlock a keyring here.
        emulator = f'endpoints = {{ graph = "{GRAPH}/v1.0", login = "{GRAPH}" }}\nauth = '
        text = config.read_text().replace("auth = ", emulator, 1) + '\n[tokens]\nstore = "file"\n'
        config.write_text(text)
        said = desk.person.run(*init, "--yes")
        must("Signed in to `work`" in said and "Everything is set up" in said, said)
        must(desk.person.unit("UnitFileState")["UnitFileState"] == "enabled", "it is not enabled")
        desk.shows("Available/Available", "at the desk")

        pid = desk.pid()
        again = desk.person.run(*init, "--yes")
        must("Signed in to" not in again and desk.pid() == pid, f"the second time something changed: {again}")
        must(config.read_text() == text, "the configuration was changed")
        desk.person.run("/usr/bin/presenced", "logout")


def of_a_package(desk):
    """service install from the packaged program: enables the packaged unit, and writes none"""
    with gone(desk):
        said = desk.person.run("/usr/bin/presenced", "service", "install")
        must("wrote" not in said, said)
        must(desk.person.unit("FragmentPath")["FragmentPath"] == str(UNITS / "presenced.service"), "another unit")
        desk.shows("Available/Available", "at the desk")


def changed_over(desk):
    """service install from another program, then from the packaged one: each replaces the other"""
    program = own_program(desk)
    said = desk.person.run(program, "service", "install")
    must("wrote" in said, said)
    enabled = desk.person.home / ".config/systemd/user/default.target.wants/presenced.service"
    own = desk.person.home / ".config/systemd/user/presenced.service"
    must(enabled.readlink() == own, f"enabled is {enabled.readlink()}")
    must(program in desk.person.unit("ExecStart")["ExecStart"], "the package's program runs")
    desk.shows("Available/Available", "at the desk")

    said = desk.person.run("/usr/bin/presenced", "service", "install")
    must(f"removed {own}: the package has this unit" in said, said)
    must(enabled.readlink() == UNITS / "presenced.service", f"enabled is {enabled.readlink()}")
    must(program not in desk.person.unit("ExecStart")["ExecStart"], "the other program runs")
    desk.shows("Available/Available", "at the desk")


def with_a_configuration(desk):
    """service install --config FILE: the unit uses that file, even in a folder with a space and a dollar"""
    with gone(desk):
        folder = "my $HOME 100%n"
        config = desk.person.write(f"{folder}/presenced.toml", CONFIGURATION + "[session]\nexpiration = '20m'\n")
        desk.person.run("/usr/bin/presenced", "--config", config, "service", "install")
        desk.shows("Available/Available", "at the desk")
        line = pathlib.Path(f"/proc/{desk.pid()}/cmdline").read_text().split("\0")
        must(str(config) in line, f"it runs as {line}")
        desk.person.run("/usr/bin/presenced", "--config", config, "service", "uninstall")


def activated(desk):
    """socket activation: a request starts it; the socket outlives it, and an invalid configuration is not retried for ever"""
    with gone(desk):
        desk.person.run("/usr/bin/presenced", "service", "install", "--socket-activation")
        socket = desk.person.runtime / "presenced/presenced.sock"
        must(socket.stat().st_mode & 0o777 == 0o600, "others may ask")
        must(socket.stat().st_uid == desk.person.uid, "the socket is not the person's")
        held = socket.stat().st_ino
        desk.systemctl("stop")
        must(visible() == "Offline/Offline", f"others see {visible()}")
        must(desk.pid() == 0 and socket.stat().st_ino == held, "the socket went with the daemon")
        must("socket " in desk.person.refused(3, "/usr/bin/presenced", "service", "status"), "the socket is not shown")
        must(desk.pid() == 0, "`service status` started it")

        desk.person.code("presenced", "status")
        desk.shows("Available/Available", "at the desk")
        must(socket.stat().st_ino == held, "it created its own socket")
        environment = pathlib.Path(f"/proc/{desk.pid()}/environ")
        must(environment.exists(), "it is not running")
        said = desk.person.refused(1, "presenced", "run")
        must("systemd holds the socket" in said, said)
        must(desk.pid() != 0, "it was disturbed")

        # As during an upgrade.
        pid = desk.pid()
        desk.systemctl("restart")
        must(desk.pid() != pid and socket.stat().st_ino == held, "the socket has changed")
        desk.shows("Available/Available", "at the desk")

        desk.systemctl("stop")
        desk.configure("nonsense = 1\n")
        code = desk.person.code("presenced", "status")
        must(code == 3, f"with an invalid configuration `presenced status` ended with {code}")
        wait_for("the end of trying", lambda: desk.person.unit("ActiveState")["ActiveState"] == "failed")
        unit = desk.person.unit("ActiveState", unit="presenced.socket")
        must(unit["ActiveState"] == "active", f"the socket is {unit}")
        desk.configure("")
        desk.person.code("presenced", "status")
        desk.shows("Available/Available", "at the desk")
        desk.person.run("/usr/bin/presenced", "service", "uninstall")
        must(not socket.exists(), "the socket is left")


def second(desk):
    """presenced@second beside the first: each sets its own presence and has its own socket"""
    run("systemd-run", "--quiet", "--unit=other-emulator", "-pDynamicUser=yes", "presenced", "emulator", "--listen", "127.0.0.1:8766")
    text = CONFIGURATION.replace(GRAPH, OTHER_GRAPH).replace("accounts.work", "accounts.other")
    text += '[[rules]]\nname = "always"\nset = "Busy/InACall"\n'
    desk.person.write(".config/presenced/second.toml", text)
    first = desk.pid()
    desk.person.systemctl("enable", "--now", "presenced@second")
    wait_for("what others see of the second", lambda: seen(OTHER_GRAPH) == "Busy/InACall")
    must(visible() == "Available/Available" and desk.pid() == first, "the first was disturbed")
    socket = desk.person.runtime / "presenced/second.sock"
    said = desk.person.run("presenced", "--socket", socket, "status")
    must(said.startswith("other: Busy/InACall"), said)
    desk.person.systemctl("disable", "--now", "presenced@second")
    must(seen(OTHER_GRAPH) == "Offline/Offline" and not socket.exists(), "something of the second is left")
    must(visible() == "Available/Available" and desk.pid() == first, "the first stopped too")
    run("systemctl", "stop", "other-emulator")


def sidecar(desk):
    """a bot as a system service: its secret is a credential, another service reports its calls, and it has its own user"""
    desk.systemctl("stop")
    folder = pathlib.Path("/etc/presenced")
    folder.mkdir()
    secret = folder / "client-secret"
    secret.write_text("emulator-secret\n")
    secret.chmod(0o600)
    endpoints = f'endpoints = {{ graph = "{GRAPH}/v1.0", login = "{GRAPH}" }}\n'
    text = pathlib.Path("/mnt/sidecar.toml").read_text()
    (folder / "sidecar.toml").write_text(text.replace("[accounts.bot]\n", "[accounts.bot]\n" + endpoints))
    shutil.copy("/mnt/presenced-sidecar.service", SYSTEM_UNITS)
    # The unit itself waits 5 s.
    sooner = SYSTEM_UNITS / "presenced-sidecar.service.d/sooner.conf"
    sooner.parent.mkdir()
    sooner.write_text("[Service]\nRestartSec=100ms\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "enable", "--now", "presenced-sidecar")
    wait_for("the bot is ready", lambda: visible() == "Available/Available")

    caller = ["-pDynamicUser=yes", "-pRuntimeDirectory=presenced/call-state", "--unit=caller"]
    run("systemd-run", "--quiet", *caller, "/bin/sh", "-c", CALLER)
    wait_for("the bot is in a call", lambda: visible() == "Busy/InACall")
    socket = "/run/presenced-sidecar/presenced.sock"
    said = run("presenced", "--socket", socket, "status")
    must(said.startswith("bot: Busy/InACall") and "caller" in said, said)
    run("systemctl", "kill", "--signal=KILL", "caller")
    wait_for("the call has ended with the caller", lambda: visible() == "Available/Available")

    pid = int(properties("presenced-sidecar", "MainPID")["MainPID"])
    must(os.stat(f"/proc/{pid}").st_uid != desk.person.uid, "it runs as the person")
    environment = pathlib.Path(f"/proc/{pid}/environ").read_text()
    must("emulator-secret" not in environment, "the secret is in the environment")
    run("systemctl", "reload", "presenced-sidecar")
    must(int(properties("presenced-sidecar", "MainPID")["MainPID"]) == pid, "it was restarted")
    os.kill(pid, 9)
    wait_for("its end", lambda: properties("presenced-sidecar", "ActiveState")["ActiveState"] != "active")
    wait_for("a restart", lambda: properties("presenced-sidecar", "ActiveState")["ActiveState"] == "active")
    wait_for("the bot is ready again", lambda: run("presenced", "--socket", socket, "status").startswith("bot: Available"))
    score = exposure("systemd-analyze", "--no-pager", "security", "presenced-sidecar.service")
    run("systemctl", "disable", "--now", "presenced-sidecar")
    must(visible() == "Offline/Offline", f"others see {visible()}")
    must(not pathlib.Path(socket).exists(), "the socket is left")
    return [score]


def confined(desk):
    """with the drop-in confined.conf: the same, also locked and asleep, and with systemd's rating"""
    text = pathlib.Path("/mnt/confined.conf").read_text()
    drop_in = desk.person.write(".config/systemd/user/presenced.service.d/confined.conf", text)
    desk.person.systemctl("daemon-reload")
    try:
        desk.settle()
        must(process_ids(desk) != "0 0 4294967295", "it has no user namespace")
        desk.session.lock()
        desk.shows("Away/Away", "locked")
        desk.session.unlock()
        with asleep():
            must(visible() == "Away/Away", f"asleep, and others see {visible()}")
        report = desk.shows("Available/Available", "at the desk")
        must(not report["warnings"], f"warnings: {report['warnings']}")
        return [exposure("systemd-analyze", "--user", "--no-pager", "security", "presenced.service", of=desk.person.run)]
    finally:
        shutil.rmtree(drop_in.parent)
        desk.person.systemctl("daemon-reload")


def verified(desk):
    """systemd-analyze finds no fault in any unit"""
    units = ["presenced.service", "presenced.socket", "presenced@second.service"]
    said = desk.person.run("systemd-analyze", "--user", "--man=no", "verify", *units)
    must(not said, said)
    said = run("systemd-analyze", "--man=no", "verify", "/mnt/presenced-sidecar.service")
    must(not said, said)


@contextlib.contextmanager
def gone(desk):
    """Without the service. Afterwards the packaged one runs again."""
    desk.person.systemctl("disable", "--now", "presenced")
    try:
        yield
    finally:
        desk.configure("")
        desk.person.code("/usr/bin/presenced", "service", "uninstall")
        desk.person.systemctl("enable", "--now", "presenced")


@contextlib.contextmanager
def aside(path):
    """Without this file."""
    away = path.with_name(path.name + ".away")
    path.rename(away)
    try:
        yield
    finally:
        away.rename(path)


def own_program(desk):
    """A copy of the program in the person's own folder."""
    program = desk.person.write(".local/bin/presenced", "", mode=0o755)
    shutil.copyfile("/usr/bin/presenced", program)
    return str(program)


def files(desk):
    """All files and folders in the person's home."""
    return {str(path) for path in desk.person.home.rglob("*")}


def seen(graph):
    """What others see of the user of another emulator."""
    try:
        return name(ask("state", graph)["users"][USER]["visible"])
    except OSError:
        return None


def process_ids(desk):
    """How the daemon's user namespace maps users."""
    return " ".join(pathlib.Path(f"/proc/{desk.pid()}/uid_map").read_text().split())


def exposure(*command, of=run):
    """The last line of `systemd-analyze security`."""
    return re.sub(r"^\W+", "", of(*command).splitlines()[-1])
