#!/bin/sh
# i3 and other X11 window managers: `exec --no-startup-id xss-lock -- ~/.config/presenced/xss-lock.sh`
presenced signal lock locked
i3lock --nofork "$@"
presenced signal lock unlocked
