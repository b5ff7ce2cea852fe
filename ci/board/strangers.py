#!/usr/bin/env python3
"""Attackers without a password, as a process of their own: strangers.py KIND PORT

Until standard input ends; then a line of JSON says what they did.
"""

import collections
import http.client
import json
import pathlib
import secrets
import select
import socket
import struct
import subprocess
import sys
import threading
import time

# A flood's connections per second, and the most open at a time.
FLOOD_PER_SECOND = 5000
FLOOD_OPEN_MAX = 200
GUESSERS = 8
HOLDERS = 60
# Ways to hold a place: a body that never comes, answers that nobody reads, a body or an upgrade
# that is refused.
HOLDS = (
    b"POST /api/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 20\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 200,
    b"PUT /api/config HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 20\r\n\r\n",
    b"GET /live/camera HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
)


class Strangers:
    """The strangers are active while this is open; afterwards `did` counts their actions."""

    def __init__(self, kind, port):
        command = [sys.executable, pathlib.Path(__file__), kind, str(port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.did = json.loads(self.process.communicate()[0])


def connect(port, first):
    """A connection being made, and the first bytes to send."""
    stranger = socket.socket()
    stranger.setblocking(False)
    # Closing sends a reset, so that it does not occupy a port of this machine for a minute.
    stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stranger.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stranger.connect_ex(("127.0.0.1", port))
    try:
        stranger.send(first)
    except OSError:
        pass
    return stranger


def flood(port, ended):
    """Opens connections, of which some say nothing, some half of a request, some a whole one; each goes when
    the board has answered or closed it, or after a second. (One that goes sooner stays in QEMU's network, which
    is then the bottleneck.)"""
    words = (b"", HOLDS[0][:20], HOLDS[1][: len(HOLDS[1]) // 200])
    opened, answered, open_, began = 0, 0, {}, time.monotonic()
    look = select.poll()
    while not ended():
        now = time.monotonic()
        while opened < (now - began) * FLOOD_PER_SECOND and len(open_) < FLOOD_OPEN_MAX:
            stranger = connect(port, words[opened % len(words)])
            look.register(stranger, select.POLLIN)
            open_[stranger.fileno()] = (stranger, now)
            opened += 1
        said = {number for number, _ in look.poll(5)}
        answered += len(said)
        for number in [number for number, (_, since) in open_.items() if number in said or now - since > 1]:
            look.unregister(number)
            open_.pop(number)[0].close()
    return {"opened": opened, "answered": answered}


def guess(port, ended):
    """Tries passwords, one connection each, as fast as they are answered."""
    answers = collections.Counter()

    def work():
        while not ended():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                body = json.dumps({"password": secrets.token_hex(8)})
                connection.request("POST", "/api/session", body)
                answers[connection.getresponse().status] += 1
            except (OSError, http.client.HTTPException):
                answers["none"] += 1
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(GUESSERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"answers": answers}


def hold(port, ended):
    """Takes places and keeps them; reconnects when thrown out."""
    held, came = {}, 0
    while not ended():
        for place in range(HOLDERS):
            if place not in held:
                held[place] = connect(port, HOLDS[place % len(HOLDS)])
                came += 1
        # One that ended has something to say of that; those that read nothing are not asked.
        for place in [place for place, it in held.items() if place % len(HOLDS) != 1 and has_ended(it)]:
            held.pop(place).close()
        time.sleep(0.05)
    return {"came": came}


def has_ended(stranger):
    try:
        return bool(select.select([stranger], [], [], 0)[0]) and not stranger.recv(4096)
    except OSError:
        return True


def main():
    kind, port = sys.argv[1:]
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    print(json.dumps({"flood": flood, "guess": guess, "hold": hold}[kind](int(port), over.is_set)))


if __name__ == "__main__":
    main()
