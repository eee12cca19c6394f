#!/usr/bin/env bash
# Installs what the tests need and is missing, where it may, then runs every test.
set -euo pipefail
cd "$(dirname "$0")/.."

# Xvfb and xdotool: an X server and its mouse; KWin, Weston and sway: Wayland compositors that do and do not tell of idleness.
# swayidle with swaylock on sway, and xss-lock with i3lock on i3, lock the screen by the hooks of config/hooks; xset asks for it.
# dbus-daemon: the lock and sleep tests speak to a real bus. tzdata: zones by name. iproute2: routes that come and go.
# mate-screensaver, on Xvfb: a screen saver that locks for real. curl, git, lua5.4 and python3 run the hooks of config/hooks.
# rsync: it rewrites calendars in place. bindfs: a FUSE file system, which stands for one on another machine.
# openssl: keys and certificates, and a second opinion on signatures. gnome-keyring and secret-tool: a real keyring.
# PipeWire and PulseAudio: the microphone tests record from each. python3-jsonschema: a second opinion on configurations.
# systemd: its tool for socket activation. prometheus with promtool, and its Python library: what they say of the metrics and
# of the alerts.
need=()
command -v dbus-daemon >/dev/null || need+=(dbus)
command -v gnome-keyring-daemon >/dev/null || need+=(gnome-keyring)
command -v secret-tool >/dev/null || need+=(libsecret-tools)
command -v ip >/dev/null || need+=(iproute2)
command -v mate-screensaver >/dev/null || need+=(mate-screensaver)
command -v Xvfb >/dev/null || need+=(xvfb)
[ -e /usr/bin/kwin_wayland ] || need+=(kwin-wayland)
command -v i3 >/dev/null || need+=(i3-wm)
command -v xset >/dev/null || need+=(x11-xserver-utils)
for program in bindfs curl git i3lock lua5.4 openssl python3 rsync sway swayidle swaylock weston xdotool xss-lock; do
    command -v "$program" >/dev/null || need+=("$program")
done
for program in pipewire wireplumber pipewire-pulse pulseaudio; do
    command -v "$program" >/dev/null || need+=("$program")
done
python3 -c 'import jsonschema' 2>/dev/null || need+=(python3-jsonschema)
command -v systemd-socket-activate >/dev/null || need+=(systemd)
command -v parec >/dev/null || need+=(pulseaudio-utils)
command -v promtool >/dev/null || need+=(prometheus)
/usr/bin/python3 -c 'import prometheus_client' 2>/dev/null || need+=(python3-prometheus-client)
[ -e /usr/share/zoneinfo/Europe/Berlin ] || need+=(tzdata)
if [ "${#need[@]}" -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${need[@]}"
    else
        echo "error: the tests need the packages: ${need[*]}" >&2
        echo "hint: sudo apt-get install ${need[*]}" >&2
        exit 1
    fi
fi

cargo test --locked --workspace "$@"
# Alone, since it must not wait for other tests: about a minute.
[ "$#" -gt 0 ] || cargo test --locked --test it week_at_speed -- --ignored

# The minimal build, without the emulator, Wayland, X11 and PulseAudio, in the same target folder: all but a handful of crates are the same for
# both. Of the suite only what the features change, and what such a build is for: the configuration, the command line, the socket,
# idleness, the lock, call-state files, calendars. The simulation stands on parts that no feature reaches.
if [ "$#" = 0 ]; then
    cargo test --locked --no-default-features --lib -- --skip simulation::
    cargo test --locked --no-default-features --test it -- config:: cli:: status:: idle lock:: call:: calendar_signal::
fi
