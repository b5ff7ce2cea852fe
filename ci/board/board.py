"""A board in QEMU: boots it, talks to it over console and network, takes its card and its power.

Nothing here sleeps for a fixed time: everything waits for a condition, with an end.
"""

import contextlib
import errno
import gzip
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
PROMPT = b"@@board@@ "
# The daemon's process id, for the board's shell: the child of the supervisor, which `pidof` finds too, being
# of the same binary.
DAEMON = '$(grep -l "^[0-9]* (smolnvr) . $(pidof smolnvrd) " /proc/[0-9]*/stat 2>/dev/null | cut -d / -f 3)'


def wait_for(what, condition, seconds=120.0):
    """Returns the condition's value once it is true; checks ten times a second."""
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


def make_overlay(image, files):
    """Files on the board's flash beside the firmware: texts by path, in an ext4 image."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in files.items():
            file = pathlib.Path(folder) / "root" / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o755 if text.startswith("#!") else 0o600)
        subprocess.run(["truncate", "-s", "8M", image], check=True)
        mkfs = ["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", folder, image]
        subprocess.run(mkfs, check=True)


class Board:
    """One boot of one machine."""

    def __init__(self, kernel, root, folder, card=None, memory=32, log=None, clock=None, page=None,
                 interactive=False):
        """`card`: an image file, or None for an empty slot; `log`: a file for all writes to it;
        `clock`: what the real-time clock says at first; `page`: this machine's port of the page, or any;
        `interactive`: the console is this terminal, for a person."""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = page
        self.cards = self.breaks = 0
        self.writes = log
        overlay = self.folder / "overlay.img"
        if not overlay.exists():
            make_overlay(overlay, {})
        qmp = self.folder / "qmp"
        qmp.unlink(missing_ok=True)
        command = [
            "qemu-system-arm", "-M", "virt,highmem=off", "-cpu", "cortex-a7", "-m", f"{memory}M",
            "-nodefaults", "-display", "none", "-no-reboot", "-name", "board,debug-threads=on",
            "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
            "-qmp", f"unix:{qmp},server=on,wait=off",
            "-kernel", kernel,
            "-append", "console=ttyAMA0 root=/dev/vda ro init=/sbin/overlay-init loglevel=1",
            "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{page or 0}-:8080",
            "-device", "virtio-net-device,netdev=net",
            # The last device of this kind is found first.
            "-drive", f"file={overlay},if=none,id=overlay,format=raw,cache=unsafe",
            "-device", "virtio-blk-device,drive=overlay",
            "-drive", f"file={root},if=none,id=root,format=raw,readonly=on",
            "-device", "virtio-blk-device,drive=root",
            "-device", "virtio-rng-device",
            "-device", "pcie-root-port,id=slot0,chassis=1,slot=1",
            "-device", "pcie-root-port,id=slot1,chassis=2,slot=2",
        ]
        if card:
            command += self.card_arguments(card)
        if clock:
            command += ["-rtc", f"base={clock}"]
        self.started, self.ended = time.monotonic(), None
        self.output = bytearray()
        self.log = bytearray()
        self.lock = threading.Condition()
        self.commands = 0
        self.waited_before = 0.0
        self.cookie = None
        self.qmp_path = qmp
        self._qmp = None
        command = [str(part) for part in command]
        if interactive:
            self.process = subprocess.Popen(command)
            return
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        threading.Thread(target=self._read, daemon=True).start()

    # --- power ------------------------------------------------------------------------------

    def cut_power(self):
        """Cuts the power. The board's writes are in the card's image, even if still in this machine's memory."""
        self.waited()
        self.process.kill()
        self.process.wait()
        self.ended = time.monotonic()

    def wait_for_shell(self, seconds=180):
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
        # Input may be lost while the shell sets up its terminal: repeat it until a reply comes.
        with self.lock:
            del self.output[:]
            while not self.lock.wait_for(lambda: PROMPT in self.output, timeout=3):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"a shell that does not answer:\n{self.text()}")
                self.process.stdin.write(b"PS1='@@board'\"@@ \"; stty -echo\n")
                self.process.stdin.flush()
        self.run("true")
        self.port = self.port or int(re.search(r"127\.0\.0\.1 (\d+)", self.monitor("info usernet"))[1])

    def daemon(self):
        """The recorder's process id, once it runs."""
        return int(wait_for("the daemon", lambda: self.run(f"echo {DAEMON}").strip()))

    def memory(self):
        """Memory of the recorder and its supervisor together, in KB: peak, anonymous."""
        text = self.run(f"cat /proc/{DAEMON}/status /proc/$(pidof smolnvrd)/status")
        return tuple(
            sum(int(value) for value in re.findall(rf"^{key}:\s*(\d+)", text, re.M)) for key in ("VmHWM", "RssAnon")
        )

    def queued_kb(self):
        """Bytes waiting in all TCP sockets. (The kernel's own sum may miss up to 1 MB.)"""
        lines = self.run("cat /proc/net/tcp").splitlines()
        queues = re.findall(r" ([0-9A-F]{8}):([0-9A-F]{8}) \d\d:", "\n".join(lines))
        return sum(int(bytes_, 16) for queue in queues for bytes_ in queue) / 1024

    def opened(self):
        """Connections that others have opened to the board so far."""
        keys, values = re.findall(r"^Tcp: (.*)$", self.run("cat /proc/net/snmp"), re.M)
        return int(dict(zip(keys.split(), values.split()))["PassiveOpens"])

    def wait_for_end(self):
        """Waits until neither the recorder nor its supervisor runs."""
        wait_for("its end", lambda: not self.run("pidof smolnvr smolnvrd", check=False).strip())

    def wait_for_recording(self, camera="camera", frames=1):
        """Waits until frames of that camera are durable, in a new run."""
        def durable(status):
            found = [it for it in status["cameras"] if it["name"] == camera]
            return (
                status["storage"]["state"] == "ok" and found and found[0]["state"] == "live"
                and found[0]["durable_age_ms"] is not None and found[0]["frames"] >= frames
                and found[0]["segment"] is not None and found[0]
            )
        return wait_for("recording", lambda: (s := self.status()) and durable(s), 180)

    def shut_down(self, seconds=180):
        self.waited()
        self.process.stdin.write(b"poweroff\n")
        self.process.stdin.flush()
        self.wait_for_text("Requesting system poweroff", seconds)
        # Everything is unmounted by now. QEMU's own network may be busy with the rest of a flood for minutes.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=20)
        self.process.kill()
        self.process.wait()
        self.ended = time.monotonic()

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

    def _until(self, mark, seconds=120):
        with self.lock:
            if not self.lock.wait_for(lambda: mark in self.output, timeout=seconds):
                raise TimeoutError(f"waited for {mark!r}:\n{self.text()[-2000:]}")
            end = self.output.index(mark)
            text = bytes(self.output[:end])
            del self.output[: end + len(mark)]
            return text

    def run(self, command, seconds=120, check=True):
        """Runs a command on the console; returns its output."""
        self.commands += 1
        number = self.commands
        # The mark is printed in two halves, so that its echo is not mistaken for it.
        self.process.stdin.write(f"{command}\necho \"@@{number}\"\"@@$?@\"\n".encode())
        self.process.stdin.flush()
        before = self._until(f"@@{number}@@".encode(), seconds)
        status = int(self._until(b"@", seconds))
        self._until(PROMPT, seconds)
        text = before.decode(errors="replace").replace("\r\n", "\n").replace(PROMPT.decode(), "")
        if check and status != 0:
            raise RuntimeError(f"{command}: status {status}\n{text}")
        return text

    def numbers(self, command):
        """The integers in the output of a command."""
        return [int(number) for number in re.findall(r"\d+", self.run(command))]

    def uptime(self):
        """Seconds by the guest's own clock."""
        return float(self.run("cat /proc/uptime").split()[0])

    def waited(self):
        """Seconds for which the emulated CPU was ready to run but waited for a core of this machine."""
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*"):
            with contextlib.suppress(OSError):
                if (task / "comm").read_text().startswith("CPU "):
                    self.waited_before = int((task / "schedstat").read_text().split()[1]) / 1e9
        return self.waited_before

    def stopwatch(self):
        """Starts a watch: called, it says how many seconds went by on the board since then, without
        those that the board had to wait for this machine."""
        began = self.uptime() - self.waited()
        return lambda: self.uptime() - self.waited() - began

    def wait_for_text(self, text, seconds=120):
        """Waits until the console has printed this text since power on."""
        with self.lock:
            if not self.lock.wait_for(lambda: text.encode() in self.log, timeout=seconds):
                raise TimeoutError(f"waited for {text!r} on the console")

    def text(self):
        return self.log.decode(errors="replace")

    # --- network ----------------------------------------------------------------------------

    def http(self, method, path, body=None, seconds=10):
        """Status and body; the page's port is on this machine's loopback. A session that begins is kept."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        with contextlib.closing(connection):
            headers = {"Accept-Encoding": "gzip", "Origin": f"http://127.0.0.1:{self.port}"}
            if self.cookie:
                headers["Cookie"] = self.cookie
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            if cookie := answer.getheader("Set-Cookie"):
                self.cookie = cookie.split(";")[0]
            packed = answer.getheader("Content-Encoding") == "gzip"
            return answer.status, gzip.decompress(answer.read()) if packed else answer.read()

    def status(self):
        """`/api/status`, or None while there is no reply."""
        try:
            status, body = self.http("GET", "/api/status")
        except (OSError, http.client.HTTPException):
            return None
        return json.loads(body) if status == 200 else None

    def wait_for_status(self, what, condition, seconds=120):
        return wait_for(what, lambda: (s := self.status()) and condition(s) and s, seconds)

    # --- the card ---------------------------------------------------------------------------

    # What the board writes stays in this machine's memory, where killing QEMU does not reach it: a card
    # that is as fast on a busy machine.
    CARD = "if=none,format=raw,cache=unsafe"

    def card_arguments(self, image):
        self.cards += 1
        node = f"card{self.cards}"
        return ["-drive", self.drive_options(image, node), "-device", f"virtio-blk-pci,drive={node},bus={self.slot()},id=dev{node}"]

    def drive_options(self, image, node):
        file = f"file.driver=file,file.filename={image},file.node-name=file-{node}"
        if self.writes:
            log = f"file.log.driver=file,file.log.filename={self.writes},file.log-sector-size=512"
            # Flushes reach QEMU but not the files behind it, so nothing waits for this machine's disk.
            told = "file.cache.no-flush=off,file.file.cache.no-flush=on,file.log.cache.no-flush=on"
            file = f"file.driver=blklogwrites,{log},file.file.driver=file,file.file.filename={image},{told}"
        return f"id={node},node-name=raw-{node},{file},{self.CARD}"

    def slot(self):
        """A slot other than the previous card's: a card inserted while its slot is being emptied goes unnoticed."""
        return f"slot{self.cards % 2}"

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
        wait_for("the slot to let go", lambda: f"card{self.cards}" not in self.monitor("info block"))
        self.cards += 1
        node = f"card{self.cards}"
        self.monitor(f"drive_add 0 {self.drive_options(image, node)}")
        self.qmp("device_add", {
            "driver": "virtio-blk-pci", "drive": node, "bus": self.slot(), "id": f"dev{node}",
        })

    def throttle_card(self, bytes_a_second):
        """Limits how fast the card writes; 0: as fast as it can."""
        limits = dict.fromkeys(("bps", "bps_rd", "iops", "iops_rd", "iops_wr"), 0)
        self.qmp("block_set_io_throttle", {
            "device": f"card{self.cards}", **limits, "bps_wr": bytes_a_second,
        })

    def break_card(self, *kinds):
        """Makes the card answer every `read` or `write` with an error from now on; without kinds, none."""
        node = f"card{self.cards}"
        file = f"file-{node}"
        if kinds:
            self.breaks += 1
            faults = [{"event": "none", "iotype": kind, "errno": errno.EIO} for kind in kinds]
            fault = {"driver": "blkdebug", "node-name": f"fault{self.breaks}", "image": file, "inject-error": faults}
            self.qmp("blockdev-add", fault)
            file = f"fault{self.breaks}"
        node = {"driver": "raw", "node-name": f"raw-{node}", "file": file, "cache": {"no-flush": True}}
        self.qmp("blockdev-reopen", {"options": [node]})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.ended is None:
            self.cut_power()
