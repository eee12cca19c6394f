#!/usr/bin/env bash
# Measures one presenced that holds the presence of many users of one application, against the emulator: four fifths of them are
# Available, the others Away, and each has two calls an hour. Of the changes, only those of calls count. With 1,000 users or more, the
# users file is also rewritten in place with a pause of 2 s, and 200 users come and go. Prints a row for each number of users; asserts
# nothing.
#
#     benches/fleet.sh                      1, 100, 1,000 and 12,000 users, for a minute each: about ten minutes
#     SECONDS_EACH=900 benches/fleet.sh     for a quarter of an hour each
#     USERS="1 1000" benches/fleet.sh       only these numbers
#     CALLS=0.5 benches/fleet.sh            half a call per user and hour
#     EVENTS=50 benches/fleet.sh            each user also has a calendar with 50 events
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked --release --quiet --bin presenced
exec python3 benches/fleet.py target/release/presenced "${SECONDS_EACH:-60}" "${EVENTS:-0}" "${CALLS:-2}" ${USERS:-1 100 1000 12000}
