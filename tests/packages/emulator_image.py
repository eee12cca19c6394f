"""The emulator as packaging/container/Containerfile.emulator runs it: its arguments, its variables, as its user, in a root that has no
more than the image. A client trusts the CA that it serves. Runs as root, in a network of its own."""

import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time

BINARY = sys.argv[1]
CONTAINERFILE = pathlib.Path(__file__).parents[2] / "packaging/container/Containerfile.emulator"
GUARD = 60


def image():
    """The variables, the user and the command of the image."""
    stage = CONTAINERFILE.read_text().split("\nFROM scratch\n")[1]
    lines = dict(line.split(" ", 1) for line in stage.splitlines() if line[:1].isupper())
    return dict(pair.split("=") for pair in lines["ENV"].split()), lines["USER"], json.loads(lines["ENTRYPOINT"])


def fill(root, variables, user):
    """What the image has; and the libraries, since this program is not static."""
    root.chmod(0o755)
    listed = subprocess.run(["ldd", BINARY], capture_output=True, text=True, check=True).stdout
    for outside, inside in [(BINARY, "/usr/bin/presenced"), *((path, path) for path in re.findall(r"(/\S+) \(0x", listed))]:
        place = root / inside.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(outside, place)
    state = root / variables["XDG_STATE_HOME"].lstrip("/")
    state.mkdir(mode=0o700)
    os.chown(state, *map(int, user.split(":")))


def get(connection, path):
    """The body of an answer."""
    connection.request("GET", path, headers={"Host": "emulator"})
    answer = connection.getresponse()
    assert answer.status == 200, (path, answer.status, answer.read())
    return answer.read().decode()


def certificate(emulator):
    """The CA, once the emulator listens."""
    end = time.monotonic() + GUARD
    while True:
        try:
            return get(http.client.HTTPConnection("127.0.0.1", 8765, timeout=GUARD), "/_emulator/ca.pem")
        except ConnectionRefusedError:
            if emulator.poll() is not None or time.monotonic() > end:
                sys.exit("error: the emulator of the image does not start")
            time.sleep(0.02)


def main():
    """All of it."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    variables, user, command = image()
    with tempfile.TemporaryDirectory() as root:
        fill(pathlib.Path(root), variables, user)
        chroot = [shutil.which("chroot"), f"--userspec={user}", f"--groups={user.split(':')[1]}", root]
        emulator = subprocess.Popen([*chroot, *command], env=variables, stdout=subprocess.DEVNULL)
        try:
            trust = ssl.create_default_context(cadata=certificate(emulator))
            with socket.create_connection(("127.0.0.1", 8766), timeout=GUARD) as plain:
                connection = http.client.HTTPSConnection("emulator", 8766)
                connection.sock = trust.wrap_socket(plain, server_hostname="emulator")
                keys = json.loads(get(connection, "/common/v2.0/.well-known/openid-configuration"))["jwks_uri"]
            assert keys.startswith("https://emulator"), keys
            emulator.terminate()
            assert emulator.wait(GUARD) == 0, "the end"
        finally:
            emulator.kill()
            emulator.wait()
    print("ok: the emulator's image serves a client that trusts its CA")


main()
