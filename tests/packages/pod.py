"""The sidecar of packaging/kubernetes as the kubelet would run it, beside an emulated Graph: its arguments, its variables, its
files with the owners and modes that they get in a pod, as its user, in a root that has no more than the image. Runs as root, in a
network of its own."""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import yaml

BINARY = sys.argv[1]
MANIFESTS = pathlib.Path(__file__).parents[2] / "packaging/kubernetes"
GRAPH = "http://127.0.0.1:8765"
# An address of the pod's, which is not loopback's.
ADDRESS = "10.0.0.2"
GUARD = 60


def wait_for(what, holds):
    """Waits until something holds, and gives it."""
    end = time.monotonic() + GUARD
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() > end:
            sys.exit(f"error: waited in vain: {what}")
        time.sleep(0.02)


def manifest(name):
    """The deployment and the ConfigMap of a manifest."""
    found = {resource["kind"]: resource for resource in yaml.safe_load_all((MANIFESTS / name).read_text())}
    return found["Deployment"]["spec"]["template"]["spec"], found["ConfigMap"]["data"]


def sidecar(pod):
    """The container that presenced runs in."""
    [container] = pod["initContainers"]
    return container


def rest(pod):
    """A pod without what tells a secret from an identity."""
    pod = json.loads(json.dumps(pod))
    pod.pop("serviceAccountName", None)
    sidecar(pod).pop("env", None)
    for part in (sidecar(pod)["volumeMounts"], pod["volumes"]):
        part[:] = [entry for entry in part if entry["name"] not in ("secret", "azure-identity-token")]
    return pod


class Pod:
    """The root of the image, with the volumes of the pod in their places."""

    def __init__(self, name, root):
        self.spec, data = manifest(name)
        self.container = sidecar(self.spec)
        self.root = pathlib.Path(root)
        self.ids = tuple(self.spec["securityContext"][key] for key in ("runAsUser", "runAsGroup"))
        self.group = self.spec["securityContext"]["fsGroup"]
        self.image()
        volumes = {volume["name"]: volume for volume in self.spec["volumes"]}
        for mount in self.container["volumeMounts"]:
            self.mount(self.path(mount["mountPath"]), volumes[mount["name"]], data)

    def path(self, inside):
        """Where a path of the container is outside."""
        return self.root / inside.lstrip("/")

    def image(self):
        """What packaging/container puts there; and the libraries, since this program is not static."""
        self.root.chmod(0o755)
        for folder in ("usr/bin", "etc/ssl/certs", "run", "dev"):
            (self.root / folder).mkdir(parents=True)
        shutil.copy(BINARY, self.root / "usr/bin/presenced")
        listed = subprocess.run(["ldd", BINARY], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            self.path(library).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, self.path(library))

    def mount(self, folder, volume, data):
        """A volume, as the kubelet prepares it where there is an `fsGroup`."""
        folder.mkdir(parents=True, exist_ok=True)
        if "configMap" in volume:
            for name, text in data.items():
                # To the emulator instead of Microsoft.
                text = re.sub(
                    r"^auth .*$",
                    rf'\g<0>\nendpoints = {{ graph = "{GRAPH}/v1.0", login = "{GRAPH}" }}',
                    text,
                    flags=re.MULTILINE,
                )
                self.file(folder / name, text, 0o644 | 0o440)
        elif "secret" in volume:
            self.file(folder / "client-secret", "emulator-secret", volume["secret"]["defaultMode"] | 0o440)
        elif "projected" in volume:
            [source] = volume["projected"]["sources"]
            self.file(folder / source["serviceAccountToken"]["path"], "a.b.c", 0o640)
        else:
            assert "emptyDir" in volume, volume
            os.chown(folder, 0, self.group)
            folder.chmod(0o2777)

    def file(self, path, text, mode):
        """A file in a volume: root's, and by links, so that it changes as a whole."""
        data = path.parent / "..data"
        data.mkdir(exist_ok=True)
        (data / path.name).write_text(text)
        os.chown(data / path.name, 0, self.group)
        (data / path.name).chmod(mode)
        path.symlink_to(pathlib.Path("..data") / path.name)

    def command(self, *args):
        """A command in the container, with its variables and as its user."""
        variables = {entry["name"]: entry["value"] for entry in self.container.get("env", [])}
        # Those of the image.
        variables |= {"PATH": "/usr/bin", "HOME": "/", "XDG_RUNTIME_DIR": "/run/presenced"}
        user, group = map(str, self.ids)
        chroot = [shutil.which("chroot"), f"--userspec={user}:{group}", f"--groups={self.group}", str(self.root), "/usr/bin/presenced"]
        return {"args": [*chroot, *args], "env": variables}

    def probe(self, name):
        """What a probe is answered; nothing while nobody listens."""
        get = self.container[name]["httpGet"]
        [port] = [port["containerPort"] for port in self.container["ports"] if port["name"] == get["port"]]
        connection = http.client.HTTPConnection(ADDRESS, port, timeout=GUARD)
        try:
            connection.request("GET", get["path"])
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except ConnectionRefusedError:
            return None


def visible():
    """What others see of the emulator's user."""
    with urllib.request.urlopen(f"{GRAPH}/_emulator/state", timeout=GUARD) as answer:
        [user] = json.load(answer)["users"].values()
    seen = user["visible"]
    return f"{seen['availability']}/{seen['activity']}"


def emulator_answers():
    """Whether the emulator does."""
    try:
        return visible()
    except OSError:
        return None


def check(name, root):
    """Whether presenced in the pod finds its configuration good."""
    pod = Pod(name, root)
    command = pod.command("check", *sidecar(pod.spec)["args"][1:])
    done = subprocess.run(**command, capture_output=True, text=True, timeout=GUARD, check=False)
    if done.returncode != 0:
        sys.exit(f"error: {name} is refused\n{done.stdout}{done.stderr}")
    print(f"ok: presenced check, {name}")


def live(name, root):
    """The life of a pod: it starts, a call comes and goes, it ends."""
    pod = Pod(name, root)
    daemon = subprocess.Popen(**pod.command(*pod.container["args"]))
    try:
        assert wait_for("the startup probe", lambda: pod.probe("startupProbe")) == (200, "ok\n"), "the startup probe"
        wait_for("the bot is ready", lambda: visible() == "Available/Available")
        calls = next(mount["mountPath"] for mount in pod.spec["containers"][0]["volumeMounts"] if mount["name"] == "calls")
        call = pod.path(calls) / "one"
        call.write_text("in-call")
        wait_for("the bot is in a call", lambda: visible() == "Busy/InACall")
        status = subprocess.run(**pod.command("status"), capture_output=True, text=True, timeout=GUARD, check=False)
        assert status.returncode == 0 and "bot: Busy/InACall" in status.stdout, status
        call.unlink()
        wait_for("the call is over", lambda: visible() == "Available/Available")
        assert pod.probe("livenessProbe")[0] == 200, "the liveness probe"
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(GUARD) == 0, "the end"
        assert visible() == "Offline/Offline", f"after the end others see {visible()}"
    finally:
        daemon.kill()
        daemon.wait()
    print(f"ok: {name} lives")


def main():
    """All of it."""
    secret, identity = manifest("sidecar.yaml")[0], manifest("workload-identity.yaml")[0]
    assert rest(secret) == rest(identity), "the two manifests differ in more than the secret"
    for command in ("ip link set lo up", f"ip address add {ADDRESS}/32 dev lo"):
        subprocess.run(command.split(), check=True)
    emulator = subprocess.Popen([BINARY, "emulator"], stdout=subprocess.DEVNULL)
    try:
        wait_for("the emulator", emulator_answers)
        for name in ("sidecar.yaml", "workload-identity.yaml"):
            with tempfile.TemporaryDirectory() as root:
                check(name, root)
        with tempfile.TemporaryDirectory() as root:
            live("sidecar.yaml", root)
    finally:
        emulator.kill()
        emulator.wait()


main()
