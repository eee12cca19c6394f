#!/usr/bin/env python3
"""baresip: reports `in-call` while a call is established. Needs `module ctrl_tcp.so` and `ctrl_tcp_listen 127.0.0.1:4444` in
baresip's configuration. Run it alongside baresip: `baresip.py [HOST:PORT]`. It writes a call-state file with its process id, so
that the state ends when this script ends."""

import json
import os
import socket
import sys

host, port = (sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:4444").rsplit(":", 1)
folder = os.path.join(os.environ["XDG_RUNTIME_DIR"], "presenced")
path = os.path.join(folder, "call-state")
os.makedirs(folder, mode=0o700, exist_ok=True)
calls = set()


def say():
    state = {"state": "in-call" if calls else "idle", "app": "baresip", "pid": os.getpid()}
    with open(path + ".new", "w") as file:
        json.dump(state, file)
    os.rename(path + ".new", path)


def messages(stream):
    """Netstrings: 12:hello world!,"""
    length = b""
    while byte := stream.read(1):
        if byte != b":":
            length += byte
            continue
        yield json.loads(stream.read(int(length)))
        stream.read(1)
        length = b""


with socket.create_connection((host, int(port))) as baresip:
    say()
    for message in messages(baresip.makefile("rb")):
        if message.get("type") == "CALL_ESTABLISHED":
            calls.add(message["id"])
        elif message.get("type") == "CALL_CLOSED":
            calls.discard(message["id"])
        else:
            continue
        say()
