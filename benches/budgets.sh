#!/usr/bin/env bash
# Measures presenced against its budgets: an idle daemon with 1,000 calendar events on an emulated Graph, first with only the
# calendar and calls, then also with input from a real X server and the microphone from a real PulseAudio; the size of the
# release binary; the time from a signal to its request; the time to start, also with large calendars. Prints the results; asserts
# nothing.
#
#     benches/budgets.sh              idle for 30 seconds, 1,000 changes of each signal: about four minutes
#     IDLE=3600 benches/budgets.sh    idle for an hour, with keepalives
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked --release --quiet --bin presenced --example signals
bin=$PWD/target/release/presenced
dir=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$dir"
}
trap finish EXIT

"$bin" emulator --listen 127.0.0.1:0 >"$dir/emulator.log" &
pids+=($!)
until grep -q 'endpoints' "$dir/emulator.log"; do read -rt 0.05 <> <(:) || true; done
address=$(grep -om1 'http://127[0-9.]*:[0-9]*' "$dir/emulator.log")

mkdir "$dir/calendars" "$dir/calls"
python3 - "$dir/calendars/work.ics" <<'PY'
import datetime, sys
day = datetime.date.today()
with open(sys.argv[1], "w", newline="") as file:
    file.write("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//presenced//bench//EN\r\n")
    for number in range(1000):
        date = day + datetime.timedelta(days=number % 200 - 100)
        rule = "RRULE:FREQ=WEEKLY;BYDAY=MO,WE\r\n" if number % 10 == 0 else ""
        file.write(
            f"BEGIN:VEVENT\r\nUID:{number}@bench.invalid\r\nDTSTAMP:20260101T000000Z\r\n"
            f"DTSTART;TZID=Europe/Berlin:{date:%Y%m%d}T030000\r\nDURATION:PT30M\r\n{rule}"
            f"SUMMARY:Meeting {number}\r\nEND:VEVENT\r\n"
        )
    file.write("END:VCALENDAR\r\n")
PY
mkdir -m 700 "$dir/pulse"
Xvfb -displayfd 3 -screen 0 64x64x24 -nolisten tcp 3>"$dir/display" 2>/dev/null &
pids+=($!)
echo "load-module module-native-protocol-unix socket=$dir/pulse/native" >"$dir/pulse/script.pa"
HOME=$dir XDG_RUNTIME_DIR=$dir pulseaudio --daemonize=no --exit-idle-time=-1 --use-pid-file=no --disable-shm=yes -n \
    -F "$dir/pulse/script.pa" 2>/dev/null &
pids+=($!)
until [ -s "$dir/display" ] && [ -S "$dir/pulse/native" ]; do read -rt 0.05 <> <(:) || true; done

cat >"$dir/config.toml" <<TOML
[accounts.bench]
tenant    = "contoso.onmicrosoft.com"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f87"
user      = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3"
auth      = { method = "client-secret", secret = { command = ["echo", "emulator-secret"] } }
endpoints = { graph = "$address/v1.0", login = "$address" }

[signals.calendar]
sources = [{ path = "$dir/calendars" }]

[signals.call]
path = "$dir/calls"
TOML
for calendar in 10000.ics 20000; do sed "s#$dir/calendars#$dir/$calendar#" "$dir/config.toml" >"$dir/$calendar.toml"; done
python3 benches/calendar/events.py file "$dir/10000.ics" 10000
python3 benches/calendar/events.py folder "$dir/20000" 20000
(cat "$dir/config.toml"; printf '[signals.idle]\n[signals.microphone]\n') >"$dir/more.toml"

python3 - "$bin" "$dir" "$address" "${IDLE:-30}" <<'PY'
import json, os, subprocess, sys, time, urllib.request

binary, folder, address, idle = sys.argv[1:]
socket = f"{folder}/presenced.sock"

def requests():
    with urllib.request.urlopen(f"{address}/_emulator/requests") as answer:
        return [r for r in json.load(answer)["requests"] if r["path"].endswith("setPresence")]

def sets():
    return len(requests())

def start(config):
    """A daemon, and the seconds until its first request."""
    before = sets()
    with open(f"{folder}/display") as file:
        environment = {**os.environ, "DISPLAY": ":" + file.read().strip(), "PULSE_SERVER": f"{folder}/pulse/native"}
    environment.pop("WAYLAND_DISPLAY", None)
    started = time.monotonic()
    daemon = subprocess.Popen(
        [binary, "--config", f"{folder}/{config}", "--socket", socket, "run"],
        stderr=subprocess.DEVNULL, env={**environment, "XDG_RUNTIME_DIR": folder},
    )
    while sets() == before:
        pass
    return daemon, time.monotonic() - started

def best_start(config):
    """The milliseconds until its first request, at best."""
    best = None
    for _ in range(3):
        daemon, seconds = start(config)
        daemon.terminate()
        daemon.wait()
        best = min(best or seconds, seconds)
    return f"{best * 1000:.0f} ms"

def measure(config, signals):
    """What an idle daemon uses, once these signals are healthy."""
    daemon, seconds = start(config)
    try:
        status = json.loads(subprocess.check_output([binary, "--socket", socket, "status", "--json"]))
        for signal in signals:
            if status["signals"][signal]["health"] != "ok":
                sys.exit(f"{signal} is not healthy: {status['warnings']}")
        # The connections of the start are closed after 5 s, and whatever else ends with it is over after 12.
        time.sleep(12)
        switches_before, cpu_before, sets_before = switches(daemon.pid), cpu(daemon.pid), sets()
        time.sleep(int(idle))
        wakeups, used = switches(daemon.pid) - switches_before, cpu(daemon.pid) - cpu_before
        keepalives = sets() - sets_before
        with open(f"/proc/{daemon.pid}/status") as file:
            memory = {line.split(":")[0]: int(line.split()[1]) for line in file if "kB" in line}
        threads = len(os.listdir(f"/proc/{daemon.pid}/task"))
        return [
            f"{memory['VmRSS'] / 1024:.1f} MB", f"{memory['RssAnon'] / 1024:.1f} MB", f"{wakeups} ({keepalives})",
            f"{used:.2f} s", f"{threads}", f"{seconds * 1000:.0f} ms",
        ]
    finally:
        daemon.terminate()
        daemon.wait()

def switches(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("voluntary"))
    return total

def cpu(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

rows = [
    ("resident memory, idle, 1,000 events", "10 MB"),
    ("  of which anonymous", "4 MB"),
    (f"wake-ups in {idle} s (keepalives)", ""),
    (f"CPU time in {idle} s", ""),
    ("threads, idle", ""),
    ("start to first setPresence", "50 ms"),
]
alone = measure("config.toml", ["calendar", "call"])
more = measure("more.toml", ["calendar", "call", "idle", "microphone"])
print(f"{'':38}{'measured':>12}{'+ idle, mic.':>14}{'budget':>12}")
for (name, budget), measured, with_more in zip(rows, alone, more):
    print(f"{name:38}{measured:>12}{with_more:>14}{budget:>12}")
for name, config, budget in [
    ("  with 10,000 events in one file", "10000.ics.toml", "60 ms"),
    ("  with 20,000 files of one event", "20000.toml", "400 ms"),
]:
    print(f"{name:38}{best_start(config):>12}{'':14}{budget:>12}")
print(f"{'binary, stripped':38}{os.path.getsize(binary) / 1e6:>9.1f} MB{'':14}{'8 MB':>12}")
PY
"${bin%/presenced}/examples/signals" "$bin"
