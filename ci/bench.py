#!/usr/bin/env python3
"""Measures the cost of smolnvr beside FFmpeg and beside a minimal program, on the same stream.

Usage: ci/bench.py [SECONDS]     one table (default 60; it is printed and written to ci/bench/host.txt)
       ci/bench.py --gates       only figures without noise: exits with 1 if one grew by 5 %

All record the test camera's 1080p clip (25 fps, 4 Mbit/s) at the same time; start-up is not counted. The floor
(camera/examples/floor.rs) reads, unpacks and writes the same bytes and checks nothing. FFmpeg gets the arguments of
the shell scripts that smolnvr replaces. A second window, under strace, counts system calls; callgrind counts the
instructions of tests/path.rs, in which there is no IO.
"""

import contextlib
import datetime
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parent.parent
RELEASE = TOP / "target/release"
FPS = 25
# After this the ring is full, and payloads are no longer searched for start codes.
WARM_UP = 25
CALLS_WINDOW = 20
# System calls a frame, instructions a byte of media, and system calls a MB downloaded, as measured;
# a gate is 5 % above.
STORED = {"TCP": 0.76, "UDP": 2.2, "one viewer": 3.6, "instructions": 1.62, "download": 19}
UNITS = {"instructions": "a byte of media", "download": "calls a MB"}
# System calls caused by other programs on the machine, through mounts and files in /tmp.
LOOKS = {"statx", "readlink", "read", "openat", "close", "lseek", "clock_adjtime"}

WATCH = "import sys, urllib.request as it\nlive = it.urlopen(sys.argv[1])\nwhile live.read1(1 << 16): pass"


def main():
    build()
    if sys.argv[1:] == ["--gates"]:
        sys.exit(gates())
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as folder, playing() as url:
        folder = pathlib.Path(folder)
        lines = table(measure(folder, programs(folder, url), seconds, WARM_UP))
        several = [Smolnvr(folder, f"{n} cameras", [url] * n) for n in (2, 4, 8, 16)]
        lines += ["", *table(measure(folder, several, seconds // 2, WARM_UP))]
        lines += ["", *downloads(folder, url)]
    lines += [f"user instructions a byte of media, without memcpy: {instructions():.2f}"]
    version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True).stdout
    text = "\n".join([
        f"{datetime.date.today()}  {cpu()}, {os.cpu_count()} cores, Linux {platform.release()}",
        f"1080p25 H.264 at 4 Mbit/s, {seconds} s without the start, {version.split(' Copyright')[0]}",
        "", *lines,
    ]) + "\n"
    print(text, end="")
    (TOP / "ci/bench/host.txt").write_text(text)


def build():
    run = lambda *command: subprocess.run(command, cwd=TOP, check=True)
    run("cargo", "build", "--quiet", "--release", "-p", "smolnvr", "-p", "camera", "--bins")
    run("cargo", "build", "--quiet", "--release", "-p", "smolnvr", "--example", "path")
    run("cargo", "build", "--quiet", "--release", "-p", "camera", "--example", "floor")
    run("sh", "ci/clips.sh")


@contextlib.contextmanager
def playing():
    """Starts the test camera as a process of its own; gives its URL."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    clip = cache / "smolnvr/clips/bench.h264"
    command = [RELEASE / "camera", "--port", "0", f"bench={clip}"]
    camera = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield camera.stdout.readline().removeprefix("listening on ").strip()
    finally:
        camera.kill()
        camera.wait()


class Program:
    """A process to be measured, in a folder of its own."""

    def __init__(self, folder, name, frames_a_second=FPS):
        self.name, self.frames_a_second = name, frames_a_second
        self.folder = folder / name.replace(" ", "-")
        self.folder.mkdir()

    def start(self, *command):
        self.log = open(self.folder / "log", "w")
        command = [str(part) for part in command]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=self.log, stderr=self.log)
        self.proc = pathlib.Path(f"/proc/{self.process.pid}")
        return self

    def prepare(self):
        """Called once it runs."""

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def threads(self, file):
        return [path.read_text() for path in self.proc.glob(f"task/*/{file}")]

    def cpu(self):
        # In nanoseconds: ticks of 10 ms would miss short bursts.
        return sum(int(text.split()[0]) for text in self.threads("schedstat")) / 1e6

    def waits(self):
        return sum(field(text, "voluntary_ctxt_switches") for text in self.threads("status"))

    def memory(self, name):
        return field((self.proc / "status").read_text(), name)


class Smolnvr(Program):
    def __init__(self, folder, name, urls, over="tcp", viewers=0):
        super().__init__(folder, name, FPS * len(urls))
        self.count, self.viewers = viewers, []
        cameras = "".join(
            f'[[camera]]\nname = "c{number}"\nurl = "{url}"\ntransport = "{over}"\n'
            for number, url in enumerate(urls)
        )
        (self.folder / "rec").mkdir()
        (self.folder / "smolnvr.toml").write_text(
            f'[storage]\npath = "{self.folder}/rec"\nrequire_mount = false\n'
            f'[web]\nlisten = "127.0.0.1:0"\nauth = "none"\n{cameras}'
        )
        config, socket = self.folder / "smolnvr.toml", self.folder / "smolnvr.sock"
        self.start(RELEASE / "smolnvr", "run", "-c", config, "--socket", socket)

    def address(self):
        while True:
            log = (self.folder / "log").read_text()
            if found := re.search(r"web=listening address=(\S+)", log):
                return found[1]
            assert self.process.poll() is None, log
            time.sleep(0.1)

    def prepare(self):
        for _ in range(self.count):
            watch = [sys.executable, "-c", WATCH, f"http://{self.address()}/live/c0.mp4"]
            self.viewers.append(subprocess.Popen(watch))

    def stop(self):
        for viewer in self.viewers:
            viewer.kill()
            viewer.wait()
        super().stop()


def programs(folder, url):
    ffmpeg = [
        "ffmpeg", "-nostdin", "-loglevel", "error", "-rtsp_transport", "tcp",
        "-fflags", "+genpts", "-i", url, "-c", "copy", "-an",
        "-avoid_negative_ts", "make_zero", "-f", "segment", "-segment_time", "60",
        "-reset_timestamps", "1", "-segment_format", "mp4", "-segment_format_options",
        "movflags=frag_keyframe+empty_moov+default_base_moof", "%03d.mp4",
    ]
    return [
        Program(folder, "floor").start(RELEASE / "examples/floor", url, "floor.h264"),
        Program(folder, "FFmpeg").start(*ffmpeg),
        Smolnvr(folder, "TCP", [url]),
        Smolnvr(folder, "UDP", [url], over="udp"),
        Smolnvr(folder, "one viewer", [url], viewers=1),
        Smolnvr(folder, "four viewers", [url], viewers=4),
        Smolnvr(folder, "no camera", []),
    ]


def measure(folder, programs, seconds, warm_up):
    """Returns a row of figures for each."""
    time.sleep(warm_up / 2)
    for program in programs:
        program.prepare()
    time.sleep(warm_up / 2)
    before = [(program.cpu(), program.waits()) for program in programs]
    began = time.monotonic()
    time.sleep(seconds)
    span = time.monotonic() - began
    rows = []
    for program, (cpu, waits) in zip(programs, before):
        rows.append({
            "name": program.name,
            "cpu": (program.cpu() - cpu) / span * 60,
            "waits": (program.waits() - waits) / span,
            "peak": program.memory("VmHWM"),
            "anonymous": program.memory("RssAnon"),
        })
    for row, (program, calls) in zip(rows, count_calls(folder, programs)):
        every = max(program.frames_a_second, 1) * CALLS_WINDOW
        row["calls"] = sum(calls.values()) / every
        row["path calls"] = sum(count for name, count in calls.items() if name not in LOOKS) / every
    for program in programs:
        program.stop()
    return rows


def count_calls(folder, programs, seconds=CALLS_WINDOW):
    traces = []
    for number, program in enumerate(programs):
        file = folder / f"calls-{number}"
        strace = ["strace", "-c", "-f", "-p", str(program.process.pid), "-o", file]
        traces.append((file, subprocess.Popen(strace, stderr=subprocess.DEVNULL)))
    time.sleep(seconds)
    for _, trace in traces:
        trace.send_signal(signal.SIGINT)
        trace.wait()
    for (file, _), program in zip(traces, programs):
        rows = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", file.read_text(), re.M)
        yield program, {name: int(count) for count, name in rows if name != "total"}


def table(rows):
    floor = next((row["cpu"] for row in rows if row["name"] == "floor"), None)
    head = ["", "CPU ms/min", "of floor", "calls/frame", "waits/s", "peak KB", "anonymous KB"]
    lines = [head]
    for row in rows:
        lines.append([
            row["name"], f"{row['cpu']:.1f}", f"{row['cpu'] / floor:.2f}" if floor else "",
            f"{row['calls']:.2f}", f"{row['waits']:.1f}", row["peak"], row["anonymous"],
        ])
    return [f"{name:14}" + "".join(f"{str(it):>14}" for it in rest) for name, *rest in lines]


def downloads(folder, url):
    nvr = Smolnvr(folder, "download", [url])
    speed, cost, calls = download(nvr)
    return [f"a download: {speed:.0f} MB/s, {cost:.2f} s of CPU a GB, {calls:.0f} calls a MB"]


def download(nvr):
    """One client fetches the same whole recording again and again. Returns MB/s, s/GB, calls/MB."""
    address = f"http://{nvr.address()}/recordings/c0/000.mp4"
    # Until the next one is there, it is still being written.
    while not any(nvr.folder.rglob("001.mp4")):
        assert nvr.process.poll() is None, (nvr.folder / "log").read_text()
        time.sleep(1)

    def fetch(seconds):
        size, deadline = 0, time.monotonic() + seconds
        while time.monotonic() < deadline:
            with urllib.request.urlopen(address) as answer:
                while piece := answer.read(1 << 20):
                    size += len(piece)
        return size / 1e6

    cpu, began = nvr.cpu(), time.monotonic()
    megabytes = fetch(5)
    cpu, span = nvr.cpu() - cpu, time.monotonic() - began
    trace = nvr.folder / "calls"
    strace = ["strace", "-c", "-f", "-p", str(nvr.process.pid), "-o", trace]
    strace = subprocess.Popen(strace, stderr=subprocess.DEVNULL)
    traced = fetch(5)
    strace.send_signal(signal.SIGINT)
    strace.wait()
    total = int(re.search(r"(\d+)\s+(?:\d+\s+)?total$", trace.read_text(), re.M)[1])
    nvr.stop()
    return megabytes / span, cpu / megabytes, total / traced


def instructions():
    """User instructions a byte of media between the socket and the card, without those of the C library:
    which memcpy a processor gets is not ours."""

    def count(seconds):
        with tempfile.NamedTemporaryFile() as out:
            command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}"]
            path = [RELEASE / "examples/path", str(seconds)]
            ran = subprocess.run([*command, *path], capture_output=True, text=True, check=True)
            annotate = ["callgrind_annotate", "--threshold=100", out.name]
            text = subprocess.run(annotate, capture_output=True, text=True, check=True).stdout
        rows = re.findall(r"^\s*([\d,]+) .*\[(\S+)\]$", text, re.M)
        ours = sum(int(number.replace(",", "")) for number, where in rows if where.endswith("/path"))
        assert ours > 0, text
        return ours, int(ran.stdout)

    # The difference of two runs does not include the start.
    (short, few), (long, many) = count(30), count(60)
    return (long - short) / (many - few)


def gates():
    figures = {"instructions": instructions()}
    with tempfile.TemporaryDirectory() as folder, playing() as url:
        folder = pathlib.Path(folder)
        downloaded = Smolnvr(folder, "download", [url])
        running = [
            Smolnvr(folder, "TCP", [url]),
            Smolnvr(folder, "UDP", [url], over="udp"),
            Smolnvr(folder, "one viewer", [url], viewers=1),
        ]
        figures |= {row["name"]: row["path calls"] for row in measure(folder, running, 1, WARM_UP)}
        figures["download"] = download(downloaded)[2]
    failures = 0
    for name, stored in STORED.items():
        what = UNITS.get(name, "calls a frame")
        is_more = figures[name] > stored * 1.05
        failures += is_more
        verdict = f": more than 5 % above the {stored} it was" if is_more else ""
        print(f"bench: {name} {figures[name]:.2f} {what}{verdict}")
    return min(failures, 1)


def field(text, name):
    return int(re.search(rf"^{name}:\s*(\d+)", text, re.M)[1])


def cpu():
    names = re.findall(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
