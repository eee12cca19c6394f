"""The measurements of benches/fleet.sh: the binary, the seconds for each number of users, the events of each, their calls in an hour,
and the numbers."""

import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

BINARY = os.path.abspath(sys.argv[1])
SECONDS = float(sys.argv[2])
EVENTS = int(sys.argv[3])
CALLS = float(sys.argv[4])
# In how many seconds a change is held, as the metrics count it.
BOUNDS = ("0.05", "0.1", "0.25")
# How many users come and go, if there are at least this many.
GUESTS, ENOUGH = 200, 1000

CONFIGURATION = """
[accounts.agents]
tenant    = "contoso.onmicrosoft.com"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f87"
users     = {{ file = "{folder}/agents" }}
auth      = {{ method = "client-secret", secret = {{ env = "BENCH_SECRET" }} }}
endpoints = {{ graph = "{address}/v1.0", login = "{address}" }}
{signals}
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


CALENDARS = '[signals.calendar]\nsources = [{{ path = "{folder}/calendars/{{user}}.ics" }}]'


def calendar(number):
    """Events in the nights around now, so that nobody is busy."""
    day = time.time() - 86400 * EVENTS / 2
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//presenced//bench//EN"]
    for event in range(EVENTS):
        at = time.strftime("%Y%m%dT%H0000Z", time.gmtime(day + 86400 * event + 43200))
        lines += ["BEGIN:VEVENT", f"UID:{number}-{event}", f"DTSTAMP:{at}", f"DTSTART:{at}", "DURATION:PT30M"]
        lines += [f"SUMMARY:Review number {event}", "LOCATION:Room 4", "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""])


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


def tokens(state):
    """How many tokens were asked for."""
    return sum(state["requests"].get("token", {"answered": {}})["answered"].values())


def changes_within(metrics, bound):
    """How many changes were held within this many seconds, and how many there were."""
    name = "presenced_account_change_duration_seconds"
    within = re.search(rf'^{name}_bucket{{le="{bound}",account="agents"}} (\d+)', metrics, re.M)
    count = re.search(rf'^{name}_count{{account="agents"}} (\d+)', metrics, re.M)
    return (int(within.group(1)), int(count.group(1))) if within and count else (0, 0)


def rewrite(path, text, pause):
    """Writes a file in place, with a pause in the middle."""
    with open(path, "w") as file:
        file.write(text[: len(text) // 2])
        file.flush()
        time.sleep(pause)
        file.write(text[len(text) // 2 :])


def measure(users, folder):
    """One row."""
    with open(f"{folder}/emulator", "w") as log:
        guests = GUESTS if users >= ENOUGH else 0
        command = [BINARY, "emulator", "--listen", "127.0.0.1:0", "--users", str(users + guests)]
        emulator = subprocess.Popen(command, stdout=log)
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

    everybody = fetch("/_emulator/users").splitlines(keepends=True)
    roster = "".join(everybody[:users])
    ids = [line.split()[0] for line in everybody[:users]]
    signals = ""
    if EVENTS:
        os.mkdir(f"{folder}/calendars")
        signals = CALENDARS.format(folder=folder)
        for number, user in enumerate(ids):
            with open(f"{folder}/calendars/{user}.ics", "w") as file:
                file.write(calendar(number))
    configuration = CONFIGURATION.format(folder=folder, address=address, signals=signals)
    for name, text in (("agents", roster), ("config.toml", configuration)):
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

        def changed():
            """How many changes were held in time since the daemon runs."""
            metrics = ask(folder, "GET", "/metrics").decode()
            return [changes_within(metrics, bound) for bound in BOUNDS]

        # The changes that count are those of calls: neither the start nor the guests, who come and go in the second half.
        base, calls = changed(), None
        working, pick, in_call = ids[users // 5 :], random.Random(1), set()
        end = next_change = time.monotonic()
        rewrites = [(end + SECONDS / 4, roster, 2), (end + SECONDS / 2, "".join(everybody), 0), (end + SECONDS * 0.7, roster, 0)]
        rewrites = rewrites if guests else []
        end += SECONDS
        while next_change < end:
            time.sleep(max(0, next_change - time.monotonic()))
            while rewrites and rewrites[0][0] <= time.monotonic():
                if len(rewrites) == 2:
                    calls = changed()
                threading.Thread(target=rewrite, args=[f"{folder}/agents", *rewrites.pop(0)[1:]]).start()
            user = pick.choice(working)
            path = f"/v1/users/{user}/signals/call"
            if user in in_call:
                in_call.discard(user)
                ask(folder, "DELETE", path)
            else:
                in_call.add(user)
                ask(folder, "PUT", path, b'{"value": "in-call"}')
            # A call is two changes.
            next_change += 1800 / CALLS / users
        time.sleep(max(0, end - time.monotonic()))
        used, after = cpu(daemon) - used, state()
        sent = carried_out(after) - before
        status, status_took = timed(lambda: ask(folder, "GET", "/v1/status"))
        metrics, metrics_took = timed(lambda: ask(folder, "GET", "/metrics").decode())
        changes = [(now[0] - then[0], now[1] - then[1]) for now, then in zip(calls or changed(), base)]
        cleared = sum(after["requests"].get("clear", {"answered": {}})["answered"].values())
        shares = ["     –" if count == 0 else f"{100 * within / count:5.1f}%" for within, count in changes]
        summary = after["summary"]
        each = f"{1000 * used / sent:8.2f}" if sent else "       –"
        print(
            f"{users:6} {start:8.1f} {resident(daemon):9} {100 * used / SECONDS:7.2f} {each}  {' '.join(shares)}"
            f" {status_took:7.1f} {len(status):6} {metrics_took:7.1f} {len(metrics):6}"
            f" {summary['fades']:6} {after['throttled']:4} {summary['busiest']['requests']:8} {tokens(after):7} {cleared:7}",
            flush=True,
        )
    finally:
        daemon.terminate()
        daemon.wait()
        emulator.terminate()
        emulator.wait()


print(" users  start, s  resident     CPU  CPU each  changes held within     status      metrics           fades  429  busiest  tokens  clears")
print("                        kB       %        ms   50 ms 100 ms 250 ms   ms  bytes      ms  bytes                30 s", flush=True)
for number in sys.argv[5:]:
    with tempfile.TemporaryDirectory() as place:
        measure(int(number), place)
