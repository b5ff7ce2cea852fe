#!/usr/bin/env python3
"""smolnvr beside FFmpeg on the same stream, in the same minute: one table.

Usage: ci/bench.py [SECONDS]     (default 60; the table is printed and written to ci/bench/host.txt)

Both record the test camera's 1080p clip (25 fps, 4 Mbit/s) over TCP at real time. FFmpeg gets the
arguments of the shell scripts that smolnvr replaces. A first pass measures memory, CPU and bytes; a
second one, under strace, counts system calls.
"""

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

TOP = pathlib.Path(__file__).resolve().parent.parent
FPS = 25


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    build()
    clip = cache() / "clips" / "bench.h264"
    with tempfile.TemporaryDirectory() as folder:
        camera = Camera(clip)
        try:
            plain = measure(pathlib.Path(folder) / "plain", camera.url, seconds, traced=False)
            traced = measure(pathlib.Path(folder) / "traced", camera.url, seconds, traced=True)
            durable = first_durable(pathlib.Path(folder) / "durable", camera.url)
        finally:
            camera.stop()
    table = render(plain, traced, durable, seconds)
    print(table, end="")
    (TOP / "ci/bench/host.txt").write_text(table)
    check(plain, traced)


def build():
    subprocess.run(["cargo", "build", "--quiet", "--release", "--workspace"], cwd=TOP, check=True)
    subprocess.run(["sh", "ci/clips.sh"], cwd=TOP, check=True)


def cache():
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(home) / "smolnvr"


class Camera:
    """The test camera as a process of its own."""

    def __init__(self, clip):
        program = TOP / "target/release/camera"
        self.process = subprocess.Popen(
            [program, "--port", "0", f"bench={clip}"], stdout=subprocess.PIPE, text=True
        )
        self.url = self.process.stdout.readline().removeprefix("listening on ").strip()

    def stop(self):
        self.process.kill()
        self.process.wait()


class Recorder:
    """A recording process, perhaps under strace."""

    def __init__(self, name, command, folder, traced):
        self.name = name
        self.folder = folder
        self.trace = folder / "strace.txt" if traced else None
        if traced:
            command = ["strace", "-f", "-c", "-o", str(self.trace), *command]
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
        self.first_frame = None

    def pid(self):
        if not self.trace:
            return self.process.pid
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return int(pathlib.Path(children).read_text().split()[0])

    def watch(self):
        """Notes when the first media reached a file."""
        if self.first_frame is None:
            sizes = [path.stat().st_size for path in self.folder.glob("rec/*.mp4")]
            if sizes and max(sizes) > 16 * 1024:
                self.first_frame = time.monotonic() - self.started

    def finish(self):
        """Reads the kernel's figures of the process, then ends it in order."""
        proc = pathlib.Path(f"/proc/{self.pid()}")
        status = (proc / "status").read_text()
        self.peak_kb = field(status, "VmHWM")
        self.anonymous_kb = field(status, "RssAnon")
        # In nanoseconds, and not by ticks of 10 ms, which short bursts slip through.
        threads = [path.read_text() for path in proc.glob("task/*/schedstat")]
        self.cpu_seconds = sum(int(text.split()[0]) for text in threads) / 1e9
        os.kill(self.pid(), signal.SIGINT)
        # Until it is waited for, a process that has ended still has its figures.
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        if not self.trace:
            self.written = field((proc / "io").read_text(), "wchar")
        self.process.wait()
        self.media, self.frames = media(self.folder / "rec")
        if self.trace:
            text = self.trace.read_text()
            total = re.search(r"^\s*100\.00.*?\s(\d+)\s+\d*\s*total$", text, re.M)
            self.calls = int(total[1]) / self.frames
            syncs = re.findall(r"(\d+)\s+(?:\d+\s+)?f(?:data)?sync$", text, re.M)
            self.syncs = sum(map(int, syncs))


def field(text, name):
    return int(re.search(rf"^{name}:\s*(\d+)", text, re.M)[1])


def media(folder):
    """Bytes and number of the frames in all files."""
    total = count = 0
    for path in sorted(folder.glob("*.mp4")):
        sizes = subprocess.run(
            ["ffprobe", "-v", "error", "-show_entries", "packet=size", "-of", "csv=p=0", path],
            capture_output=True, text=True, check=True,
        ).stdout.split()
        total += sum(int(size.rstrip(",")) for size in sizes)
        count += len(sizes)
    return total, count


def commands(folder, url):
    """The two command lines, and the folders that they are run in."""
    ours, theirs = folder / "smolnvr", folder / "ffmpeg"
    for path in (ours, theirs):
        (path / "rec").mkdir(parents=True)
    config = ours / "smolnvr.toml"
    config.write_text(
        f'[storage]\npath = "{ours}/rec"\nrequire_mount = false\n[web]\nlisten = "127.0.0.1:0"\n'
        f'[[camera]]\nname = "camera"\nurl = "{url}"\n'
    )
    smolnvr = [
        TOP / "target/release/smolnvr", "run", "-c", config, "--socket", ours / "smolnvr.sock",
    ]
    ffmpeg = [
        "ffmpeg", "-nostdin", "-loglevel", "error", "-rtsp_transport", "tcp",
        "-fflags", "+genpts", "-i", url, "-c", "copy", "-an",
        "-avoid_negative_ts", "make_zero", "-f", "segment", "-segment_time", "60",
        "-reset_timestamps", "1", "-segment_format", "mp4", "-segment_format_options",
        "movflags=frag_keyframe+empty_moov+default_base_moof", "rec/%03d.mp4",
    ]
    return [str(part) for part in smolnvr], ffmpeg


def measure(folder, url, seconds, traced):
    ours, theirs = commands(folder, url)
    recorders = [
        Recorder("smolnvr", ours, folder / "smolnvr", traced),
        Recorder("FFmpeg", theirs, folder / "ffmpeg", traced),
    ]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for recorder in recorders:
            recorder.watch()
            assert recorder.process.poll() is None, f"{recorder.name} ended"
        time.sleep(0.02)
    for recorder in recorders:
        recorder.finish()
    return recorders


def first_durable(folder, url):
    """Seconds from the start of smolnvr to the end of the first fdatasync after media was written."""
    ours, _ = commands(folder, url)
    trace = folder / "smolnvr" / "calls.txt"
    strace = ["strace", "-f", "-ttt", "-T", "-e", "trace=execve,pwrite64,fdatasync", "-o", str(trace)]
    process = subprocess.Popen([*strace, *ours], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while (durable := durable_after(trace)) is None:
        assert time.monotonic() < deadline, "nothing became durable"
        time.sleep(0.1)
    for child in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGINT)
    process.wait()
    return durable


def durable_after(trace):
    """Seconds to the end of the first fdatasync behind a fragment, or None if there is none yet."""
    lines = trace.read_text().splitlines() if trace.exists() else []
    media = next((index for index, line in enumerate(lines) if "moof" in line), len(lines))
    for line in lines[media:]:
        sync = re.match(r"\d+\s+([\d.]+) .*fdatasync.*= 0 <([\d.]+)>", line)
        if sync:
            return float(sync[1]) + float(sync[2]) - float(lines[0].split()[1])
    return None


def binary_kb():
    return (TOP / "target/release/smolnvr").stat().st_size // 1024


def render(plain, traced, durable, seconds):
    version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True).stdout
    rows = [
        ("system calls per frame, start and end included", [f"{r.calls:.2f}" for r in traced]),
        ("CPU seconds per recorded minute", [f"{r.cpu_seconds * 60 / seconds:.2f}" for r in plain]),
        ("peak RSS, KB", [r.peak_kb for r in plain]),
        ("anonymous RSS at the end, KB", [r.anonymous_kb for r in plain]),
        ("bytes written per byte of media", [f"{r.written / r.media:.4f}" for r in plain]),
        ("seconds to the first frame in a file", [f"{r.first_frame:.2f}" for r in plain]),
        ("seconds to the first durable frame", [f"{durable:.2f}", f"({traced[1].syncs} fsyncs in all)"]),
        ("frames recorded", [r.frames for r in plain]),
        ("program on this machine, KB", [binary_kb(), "(shared libraries)"]),
    ]
    lines = [
        f"{datetime.date.today()}  {cpu()}, {os.cpu_count()} cores, Linux {platform.release()}",
        f"1080p25 H.264 at 4 Mbit/s over TCP, {seconds} s, {version.split(' Copyright')[0]}",
        "",
        f"{'':48}{'smolnvr':>12}{'FFmpeg':>20}",
    ]
    lines += [f"{name:48}{str(a):>12}{str(b):>20}" for name, (a, b) in rows]
    return "\n".join(lines) + "\n"


def cpu():
    names = re.findall(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return names[0] if names else platform.machine()


def check(plain, traced):
    """The budgets that a host can show."""
    ours, theirs = plain
    failures = []
    if traced[0].calls > 2.0:
        failures.append(f"{traced[0].calls:.2f} system calls per frame, 2.0 allowed")
    if ours.cpu_seconds > theirs.cpu_seconds / 4:
        failures.append(f"CPU {ours.cpu_seconds:.2f} s, a quarter of FFmpeg's {theirs.cpu_seconds:.2f} s allowed")
    if ours.peak_kb > 8192:
        failures.append(f"peak RSS {ours.peak_kb} KB, 8192 allowed")
    if ours.written / ours.media > 1.01:
        failures.append(f"{ours.written / ours.media:.4f} bytes written per media byte, 1.01 allowed")
    if failures:
        sys.exit("bench: over budget: " + "; ".join(failures))


if __name__ == "__main__":
    main()
