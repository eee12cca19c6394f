#!/usr/bin/env bash
# Measures presenced against its budgets: an idle daemon with 1,000 calendar events on an emulated Graph, the release binary,
# how soon a signal is on the wire, how soon a start. Prints what it measured; asserts nothing.
#
#     benches/budgets.sh              30 seconds of idling, 1,000 changes of each signal: about three minutes
#     IDLE=3600 benches/budgets.sh    an hour of idling, with its keepalives
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

python3 - "$bin" "$dir" "$address" "${IDLE:-30}" <<'PY'
import json, os, subprocess, sys, time, urllib.request

binary, folder, address, idle = sys.argv[1:]
socket = f"{folder}/presenced.sock"

def requests():
    with urllib.request.urlopen(f"{address}/_emulator/requests") as answer:
        return [r for r in json.load(answer)["requests"] if r["path"].endswith("setPresence")]

def sets():
    return len(requests())

def wait_for_sets(count):
    while sets() < count:
        pass

started = time.monotonic()
daemon = subprocess.Popen(
    [binary, "--config", f"{folder}/config.toml", "--socket", socket, "run"], stderr=subprocess.DEVNULL
)
try:
    wait_for_sets(1)
    start = time.monotonic() - started

    def switches():
        total = 0
        for task in os.listdir(f"/proc/{daemon.pid}/task"):
            with open(f"/proc/{daemon.pid}/task/{task}/status") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("voluntary"))
        return total
    def cpu():
        with open(f"/proc/{daemon.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # The threads that read the calendar end after 10 s without work, and take their counts with them.
    time.sleep(12)
    before, cpu_before, sets_before = switches(), cpu(), sets()
    time.sleep(int(idle))
    wakeups, used, keepalives = switches() - before, cpu() - cpu_before, sets() - sets_before
    with open(f"/proc/{daemon.pid}/status") as file:
        memory = {line.split(":")[0]: int(line.split()[1]) for line in file if "kB" in line}
    threads = len(os.listdir(f"/proc/{daemon.pid}/task"))
    size = os.path.getsize(binary)
    rows = [
        ("resident memory, idle, 1,000 events", f"{memory['VmRSS'] / 1024:.1f} MB", "10 MB"),
        ("  of it anonymous", f"{memory['RssAnon'] / 1024:.1f} MB", "4 MB"),
        (f"wake-ups in {idle} s, {keepalives} keepalives", f"{wakeups}", ""),
        (f"CPU time in {idle} s", f"{used:.2f} s", ""),
        ("threads, idle", f"{threads}", ""),
        ("start to first setPresence", f"{start * 1000:.0f} ms", "50 ms"),
        ("binary, stripped", f"{size / 1e6:.1f} MB", "8 MB"),
    ]
    print(f"{'':38}{'measured':>12}{'budget':>12}")
    for name, measured, budget in rows:
        print(f"{name:38}{measured:>12}{budget:>12}")
finally:
    daemon.terminate()
    daemon.wait()
PY
"${bin%/presenced}/examples/signals" "$bin"
