"""Takes the pictures of the page for the README: docs/page.png, live, and docs/day.png, a day looked through.

usage: sh ci/python.sh ci/screenshots.py SMOLNVR CAMERA

A recorder and the test camera (two programs as `cargo build --release --workspace` makes them) run for some
seconds on 127.0.0.1; what they record is copied under times of the last days.
"""
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "page"))
from browser import Tab, chromium  # noqa: E402

TOP = pathlib.Path(__file__).parent.parent
CLIP = "ci/clips/bframes.h264"
MINUTE, HOUR, DAY = 60, 3600, 86400
# Offsets of the fields of src/mp4/identity.rs after `uuid` and its usertype.
FLAGS, NUMBER, BOOT, WALL, NAME = 1, 2, 14, 30, 38
CONFIG = """
[storage]
path = "{folder}/recordings"
require_mount = false
segment_seconds = {seconds}

[[camera]]
name = "yard"
label = "Back yard"
folder = "yard"
url = "{url}"

[[camera]]
name = "door"
label = "Front door"
folder = "door"
url = "{url}"

[web]
listen = "127.0.0.1:0"
auth = "none"
"""


def main():
    smolnvr, camera = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "recordings").mkdir()
        source = Program([camera, "--port", "0", f"yard={TOP / CLIP}"])
        url = source.wait_for("rtsp://", ends=" \n")
        try:
            with Recorder(smolnvr, folder, url, seconds=60):
                time.sleep(62)  # a whole recording of a minute
            for name in ["yard", "door"]:
                fill(folder / "recordings" / name, name)
            with Recorder(smolnvr, folder, url, seconds=600) as recorder:
                photograph(recorder.origin)
        finally:
            source.end()


class Program:
    """Starts a program that prints the address on which it listens."""

    def __init__(self, command):
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def wait_for(self, begin, ends):
        for line in self.child.stdout:
            if begin in line:
                rest = line[line.index(begin):]
                return rest[: min(rest.index(end) for end in ends if end in rest)]
        raise AssertionError(f"no {begin}")

    def end(self):
        self.child.terminate()
        self.child.wait()


class Recorder(Program):
    def __init__(self, smolnvr, folder, url, seconds):
        config = folder / "smolnvr.toml"
        config.write_text(CONFIG.format(folder=folder, url=url, seconds=seconds))
        super().__init__([smolnvr, "run", "-c", config, "--socket", folder / "smolnvr.sock"])
        self.origin = "http://" + self.wait_for("127.0.0.1:", ends=" \n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def fill(folder, name):
    """Copies the first recording to blocks of the last days."""
    minute = max(folder.glob("*.mp4"), key=lambda path: path.stat().st_size).read_bytes()
    for path in [*folder.glob("*.mp4"), *folder.glob("000.idx")]:
        path.unlink()
    now = time.time()
    midnight = now - now % DAY
    blocks = [(midnight - days * DAY + hour * HOUR, minutes) for days, hour, minutes in BLOCKS[name]]
    blocks = [*blocks, (now - 200 * MINUTE, 150), (now - 40 * MINUTE, 38)]
    number = 0
    for start, minutes in blocks:
        for at in range(int(minutes)):
            (folder / f"{number:03}.mp4").write_bytes(dated(minute, number, start + at * MINUTE))
            number += 1


# Days ago, hour, minutes.
BLOCKS = {"yard": [(5, 6, 90), (4, 8, 200), (3, 1, 60), (1, 9, 150)], "door": [(4, 8, 100), (1, 9, 80)]}


def dated(recording, number, start):
    at = recording.index(b"uuid") + 4 + 16
    copy = bytearray(recording)
    copy[at + FLAGS] |= 1
    copy[at + NUMBER : at + NUMBER + 4] = struct.pack(">I", number)
    copy[at + BOOT : at + WALL] = bytes(WALL - BOOT)  # another one: this one's clock is not set by them
    copy[at + WALL : at + WALL + 8] = struct.pack(">q", int(start * 1000))
    return bytes(copy)


def photograph(origin):
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="dark")
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() - 25 * MINUTE))
        for name, address in [("page", "#yard"), ("day", f"#yard@{moment}")]:
            tab = Tab(context, origin)
            tab.wait("the list", 'return fetch("/api/status").then((it) => it.json()).then((it) => it.storage.list_complete)', patience=120)
            tab.goto(f"{origin}/{address}")
            tab.reload()
            tab.wait("a picture", """
              const videos = [...document.querySelectorAll("video")];
              return videos.some((video) => video.offsetHeight && video.readyState >= 2 && video.currentTime > 0);
            """, patience=60)
            tab.wait_for_text("body", "All is well")
            tab.wait_for_timeout(1500)
            tab.screenshot(path=TOP / f"docs/{name}.png")
            tab.check()
            tab.close()


if __name__ == "__main__":
    main()
