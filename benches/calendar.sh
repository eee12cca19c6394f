#!/usr/bin/env bash
# Compares the calendar with C libical (Debian's libical-dev) on the same generated files: time and peak resident memory from
# the start of the process to its answer, as the best of three runs (one run for a million events), and how they grow. Then
# measures hostile files. Asserts nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

pkg-config --exists libical || { echo "error: libical is missing; hint: sudo apt-get install libical-dev" >&2; exit 1; }
cargo build --locked --release --quiet --example timeline
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cc -O2 -o "$dir/libical" benches/calendar/libical.c $(pkg-config --cflags --libs libical)
for count in 1000 10000 100000 1000000; do python3 benches/calendar/events.py file "$dir/$count.ics" "$count"; done
python3 benches/calendar/events.py folder "$dir/20000" 20000
python3 benches/calendar/hostile.py "$dir/hostile"

python3 - "${CARGO_TARGET_DIR:-target}/release/examples/timeline" "$dir" <<'PY'
import pathlib, subprocess, sys, time

ours, folder = sys.argv[1], pathlib.Path(sys.argv[2])
libical = str(folder / "libical")

def run(command, times):
    """Seconds, peak MB and the other numbers that it prints, from the best run."""
    best = None
    for _ in range(times):
        began = time.monotonic()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        output = child.stdout.read()
        if child.wait():
            sys.exit(f"{command} failed")
        _, peak, *more = map(int, output.split())
        one = (time.monotonic() - began, peak / 1024, more)
        best = min(best or one, one)
    return best

def side_by_side(name, path, times=3):
    our = run([ours, path], times)
    if our[2][0]:
        sys.exit(f"{our[2][0]} parts of {path} were skipped, so the two cannot be compared")
    their = run([libical, path, "20260302T000000Z", "20260304T120000Z"], times)
    print(f"{name:28}{our[0] * 1000:9.1f} ms{their[0] * 1000:11.1f} ms   1/{their[0] / our[0]:<8.1f}"
          f"{our[1]:9.1f} MB{their[1]:9.1f} MB   1/{their[1] / our[1]:.1f}")
    return our

print(f"{'':28}{'time':>12}{'libical':>14}{'ratio':>8}{'memory':>17}{'libical':>12}{'ratio':>8}")
for count in sorted(int(path.stem) for path in folder.glob("*.ics")):
    side_by_side(f"{count:,} events in one file", str(folder / f"{count}.ics"), 1 if count > 100_000 else 3)
many = side_by_side("20,000 files of one event", str(folder / "20000"))
print(f"one of 20,000 files changed, time to a new schedule, slowest of 100: {many[2][1] / 1000:.2f} ms")
print(f"\n{'hostile files':44}{'time':>8}{'memory':>14}")
for path in sorted((folder / "hostile").iterdir()):
    seconds, peak, _ = run([ours, str(path)], 1)
    print(f"{path.name:40}{seconds * 1000:9.1f} ms{peak:11.1f} MB")
PY
