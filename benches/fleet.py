"""The measurements of benches/fleet.sh: the binary, the seconds for each number of users, and the numbers."""

import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

BINARY = os.path.abspath(sys.argv[1])
SECONDS = float(sys.argv[2])

CONFIGURATION = """
[accounts.agents]
tenant    = "contoso.onmicrosoft.com"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f87"
users     = {{ file = "{folder}/agents" }}
auth      = {{ method = "client-secret", secret = {{ env = "BENCH_SECRET" }} }}
endpoints = {{ graph = "{address}/v1.0", login = "{address}" }}
[[rules]]
name = "call"
when = {{ call = "in-call" }}
set  = "Busy/InACall"
[[rules]]
name = "break"
when = {{ signal.break = ["yes"] }}
set  = "Away/Away"
[[rules]]
name = "rest"
set  = "Available/Available"
"""


def ask(folder, method, path, body=b""):
    """The body of the daemon's answer."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(f"{folder}/socket")
    connection.sendall(head.encode() + body)
    answer = b""
    while more := connection.recv(1 << 20):
        answer += more
    return answer.split(b"\r\n\r\n", 1)[1]


def answers(folder):
    """Whether the daemon listens."""
    try:
        return bool(ask(folder, "GET", "/healthz"))
    except OSError:
        return False


def holding(folder):
    """How many users hold a presence."""
    account = json.loads(ask(folder, "GET", "/v1/status"))["accounts"].get("agents", {})
    return account.get("users", {}).get("states", {}).get("holding", 0)


def timed(work):
    """The result, and how many milliseconds it took."""
    began = time.monotonic()
    result = work()
    return result, (time.monotonic() - began) * 1000


def cpu(process):
    """The seconds of CPU time that a process has used."""
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(process):
    """Its resident memory in kB."""
    with open(f"/proc/{process.pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def carried_out(state):
    """How many presences were set or cleared."""
    calls = (state["requests"].get(call, {"answered": {}}) for call in ("set", "clear"))
    return sum(count for call in calls for count in call["answered"].values())


def changes_within(metrics, bound):
    """How many changes were held within this many seconds, and how many there were."""
    name = "presenced_account_change_duration_seconds"
    within = re.search(rf'^{name}_bucket{{le="{bound}",account="agents"}} (\d+)', metrics, re.M)
    count = re.search(rf'^{name}_count{{account="agents"}} (\d+)', metrics, re.M)
    return (int(within.group(1)), int(count.group(1))) if within and count else (0, 0)


def measure(users, folder):
    """One row."""
    with open(f"{folder}/emulator", "w") as log:
        emulator = subprocess.Popen([BINARY, "emulator", "--listen", "127.0.0.1:0", "--users", str(users)], stdout=log)
    address = None
    while address is None:
        with open(f"{folder}/emulator") as log:
            found = re.search(r"http://127\.0\.0\.1:[0-9]+", log.read())
        address = found and found.group(0)

    def fetch(path):
        with urllib.request.urlopen(address + path) as answer:
            return answer.read().decode()

    def state():
        return json.loads(fetch("/_emulator/state"))

    roster = fetch("/_emulator/users")
    ids = [line.split()[0] for line in roster.splitlines()]
    for name, text in (("agents", roster), ("config.toml", CONFIGURATION.format(folder=folder, address=address))):
        with open(f"{folder}/{name}", "w") as file:
            file.write(text)
    environment = {**os.environ, "BENCH_SECRET": "emulator-secret", "HOME": folder, "XDG_RUNTIME_DIR": folder}
    command = [BINARY, "--config", f"{folder}/config.toml", "--socket", f"{folder}/socket", "run"]
    began = time.monotonic()
    daemon = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        while not answers(folder):
            time.sleep(0.001)
        away = [{"user": user, "signal": "break", "value": "yes"} for user in ids[: users // 5]]
        ask(folder, "POST", "/v1/users/signals", "\n".join(map(json.dumps, away)).encode())
        while holding(folder) != users:
            time.sleep(0.05)
        start = time.monotonic() - began
        urllib.request.urlopen(urllib.request.Request(f"{address}/_emulator/busiest", method="DELETE")).close()
        used, before = cpu(daemon), carried_out(state())
        working, pick, in_call = ids[users // 5 :], random.Random(1), set()
        end = next_change = time.monotonic()
        end += SECONDS
        while next_change < end:
            time.sleep(max(0, next_change - time.monotonic()))
            user = pick.choice(working)
            path = f"/v1/users/{user}/signals/call"
            if user in in_call:
                in_call.discard(user)
                ask(folder, "DELETE", path)
            else:
                in_call.add(user)
                ask(folder, "PUT", path, b'{"value": "in-call"}')
            # Two calls an hour are four changes.
            next_change += 900 / users
        time.sleep(max(0, end - time.monotonic()))
        used, after = cpu(daemon) - used, state()
        sent = carried_out(after) - before
        status, status_took = timed(lambda: ask(folder, "GET", "/v1/status"))
        metrics, metrics_took = timed(lambda: ask(folder, "GET", "/metrics").decode())
        changes = [changes_within(metrics, bound) for bound in ("0.05", "0.1", "0.25")]
        shares = ["     –" if count == 0 else f"{100 * within / count:5.1f}%" for within, count in changes]
        summary = after["summary"]
        each = f"{1000 * used / sent:8.2f}" if sent else "       –"
        print(
            f"{users:6} {start:8.1f} {resident(daemon):9} {100 * used / SECONDS:7.2f} {each}  {' '.join(shares)}"
            f" {status_took:7.1f} {len(status):6} {metrics_took:7.1f} {len(metrics):6}"
            f" {summary['fades']:6} {after['throttled']:4} {summary['busiest']['requests']:8}",
            flush=True,
        )
    finally:
        daemon.terminate()
        daemon.wait()
        emulator.terminate()
        emulator.wait()


print(" users  start, s  resident     CPU  CPU each  changes held within     status      metrics           fades  429  busiest")
print("                        kB       %        ms   50 ms 100 ms 250 ms   ms  bytes      ms  bytes                30 s", flush=True)
for number in sys.argv[3:]:
    with tempfile.TemporaryDirectory() as place:
        measure(int(number), place)
