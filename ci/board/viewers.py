"""Clients of a board: live viewers, its event stream, downloads, and clients that never read."""

import contextlib
import http.client
import socket
import threading
import time


class Reader:
    """Reads an endless or long answer in a thread of its own, and counts the bytes."""

    def __init__(self, port, path, cookie=""):
        self.cookie = cookie
        self.path, self.bytes, self.fault, self.ended = path, 0, None, False
        self.asked = time.monotonic()
        self.first_media = self.socket = None
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            self.connection.connect()
            self.socket = self.connection.sock
            self.connection.request("GET", self.path, headers={"Cookie": self.cookie})
            answer = self.connection.getresponse()
            if answer.status != 200:
                raise OSError(f"{self.path}: {answer.status} {answer.read()[:200]}")
            head = b""
            while piece := answer.read1(65536):
                self.bytes += len(piece)
                if self.first_media is None:
                    head += piece
                    if b"mdat" in head:
                        self.first_media = time.monotonic() - self.asked
        except (OSError, http.client.HTTPException, AttributeError, ValueError) as fault:
            self.fault = fault
        # A connection that stays open, as a browser's six may, takes 25 KB of the board.
        self.connection.close()
        self.ended = True

    def stop(self):
        # Shut down, not closed: the answer being read holds it open.
        with contextlib.suppress(OSError, AttributeError):
            self.socket.shutdown(socket.SHUT_RDWR)


def never_reads(port, path):
    """A connection that sends a request and then reads nothing."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return connection
