"""A board in QEMU: boots, is talked to over its console and its network, loses its card and its power.

Nothing here sleeps for a fixed time: everything waits for a condition, with an end.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import select
import socket
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
PROMPT = b"@@board@@ "


def wait_for(what, condition, seconds=30.0):
    """What the condition answers, once that is true; looks ten times a second."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for: {what}")
        time.sleep(0.1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Board:
    """One boot of one machine."""

    def __init__(self, kernel, root, folder, card=None, memory=32, append="", drive="", overlay=None):
        """`card`: an image file, or None for an empty slot; `drive`: further options of its drive."""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.cards = 0
        self.drive = drive
        overlay = overlay or self.folder / "overlay.img"
        if not overlay.exists():
            subprocess.run(["truncate", "-s", "8M", overlay], check=True)
            subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", overlay], check=True)
        qmp = self.folder / "qmp"
        qmp.unlink(missing_ok=True)
        command = [
            "qemu-system-arm", "-M", "virt,highmem=off", "-cpu", "cortex-a7", "-m", f"{memory}M",
            "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
            "-qmp", f"unix:{qmp},server=on,wait=off",
            "-kernel", kernel,
            "-append", f"console=ttyAMA0 root=/dev/vda ro init=/init quiet {append}",
            "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self.port}-:8080",
            "-device", "virtio-net-device,netdev=net",
            # The last device of this kind comes first.
            "-drive", f"file={overlay},if=none,id=overlay,format=raw",
            "-device", "virtio-blk-device,drive=overlay",
            "-drive", f"file={root},if=none,id=root,format=raw,readonly=on",
            "-device", "virtio-blk-device,drive=root",
            "-device", "virtio-rng-device",
            "-device", "pcie-root-port,id=slot0,chassis=1,slot=1",
            "-device", "pcie-root-port,id=slot1,chassis=2,slot=2",
        ]
        if card:
            command += self.card_arguments(card)
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.output = bytearray()
        self.log = bytearray()
        self.lock = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        self.qmp_path = qmp
        self._qmp = None

    # --- power ------------------------------------------------------------------------------

    def cut_power(self):
        """What reached the card's image is what was written."""
        self.process.kill()
        self.process.wait()

    def wait_for_shell(self, seconds=60):
        """Boots until the console's shell answers."""
        deadline = time.monotonic() + seconds
        while True:
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
            with self.lock:
                if self.lock.wait_for(lambda: re.search(rb"[#$] ", self.output), timeout=0.5):
                    break
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise TimeoutError(f"no shell:\n{self.text()}")
        self.process.stdin.write(b"PS1='@@board'\"@@ \"; stty -echo\n")
        self.process.stdin.flush()
        self._until(PROMPT)
        return time.monotonic() - self.started

    def shut_down(self, seconds=60):
        self.process.stdin.write(b"poweroff\n")
        self.process.stdin.flush()
        self.process.wait(timeout=seconds)

    # --- console ----------------------------------------------------------------------------

    def _read(self):
        while True:
            piece = os.read(self.process.stdout.fileno(), 4096)
            if not piece:
                return
            with self.lock:
                self.output += piece
                self.log += piece
                self.lock.notify_all()

    def _until(self, mark, seconds=60):
        with self.lock:
            if not self.lock.wait_for(lambda: mark in self.output, timeout=seconds):
                raise TimeoutError(f"waited for {mark!r}:\n{self.text()[-2000:]}")
            end = self.output.index(mark)
            text = bytes(self.output[:end])
            del self.output[: end + len(mark)]
            return text

    def run(self, command, seconds=60, check=True):
        """Runs a command on the console; answers what it printed."""
        self.count = getattr(self, "count", 0) + 1
        mark = f"@@{self.count}@@"
        # The shell prints the mark in two halves, so that its echo is not taken for it.
        line = f"{command}; echo \"@@{self.count}\"\"@@$?@\"\n"
        self.process.stdin.write(line.encode())
        self.process.stdin.flush()
        before = self._until(mark.encode(), seconds)
        status = int(self._until(b"@", seconds))
        self._until(PROMPT, seconds)
        text = before.decode(errors="replace").replace("\r\n", "\n")
        if check and status != 0:
            raise RuntimeError(f"{command}: status {status}\n{text}\n{self.text()[-1500:]}")
        return text

    def text(self):
        return self.log.decode(errors="replace")

    # --- network ----------------------------------------------------------------------------

    def http(self, method, path, body=None, seconds=10):
        """Status and body; the page's port is on this machine's loopback."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        with contextlib.closing(connection):
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def status(self):
        """`/api/status`, or None while nobody answers."""
        try:
            status, body = self.http("GET", "/api/status")
        except (OSError, http.client.HTTPException):
            return None
        return json.loads(body) if status == 200 else None

    def wait_for_status(self, what, condition, seconds=60):
        return wait_for(what, lambda: (s := self.status()) and condition(s) and s, seconds)

    # --- the card ---------------------------------------------------------------------------

    def card_arguments(self, image):
        self.cards += 1
        node = f"card{self.cards}"
        drive = f"file={image},if=none,id={node},format=raw,cache=writethrough{self.drive}"
        return ["-drive", drive, "-device", f"virtio-blk-pci,drive={node},bus=slot0,id=dev{node}"]

    def monitor(self, command):
        return self.qmp("human-monitor-command", {"command-line": command})

    def qmp(self, command, arguments=None):
        if self._qmp is None:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(self.qmp_path))
            self._qmp = connection.makefile("rw")
            self._qmp_socket = connection
            json.loads(self._qmp.readline())
            self._ask("qmp_capabilities", {})
        return self._ask(command, arguments or {})

    def _ask(self, command, arguments):
        self._qmp.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._qmp.flush()
        while True:
            answer = json.loads(self._qmp.readline())
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise RuntimeError(answer["error"]["desc"])

    def pull_card(self):
        """Pulls the card; the guest notices within seconds."""
        self.qmp("device_del", {"id": f"devcard{self.cards}"})

    def insert_card(self, image):
        self.cards += 1
        node = f"card{self.cards}"
        self.monitor(f"drive_add 0 file={image},if=none,id={node},format=raw,cache=writethrough{self.drive}")
        self.qmp("device_add", {
            "driver": "virtio-blk-pci", "drive": node, "bus": "slot0", "id": f"dev{node}",
        })

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.cut_power()


def make_card(path, megabytes, system="vfat"):
    """A card image with one partition of FAT32 (or ext4)."""
    path = pathlib.Path(path)
    path.unlink(missing_ok=True)
    subprocess.run(["truncate", "-s", f"{megabytes}M", path], check=True)
    kind = "c" if system == "vfat" else "83"
    subprocess.run(
        ["sfdisk", "-q", path], input=f"start=2048, type={kind}\n", text=True, check=True
    )
    offset = 2048 * 512
    if system == "vfat":
        blocks = (megabytes * 1024 * 1024 - offset) // 1024
        subprocess.run(
            ["mkfs.vfat", "-F", "32", "--offset", "2048", path, str(blocks)],
            check=True, stdout=subprocess.DEVNULL,
        )
    else:
        size = (megabytes * 1024 * 1024 - offset) // 1024
        subprocess.run(
            ["mkfs.ext4", "-q", "-F", "-E", f"offset={offset}", path, f"{size}k"], check=True
        )
    return path
