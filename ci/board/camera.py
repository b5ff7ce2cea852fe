"""The test camera as a process of its own, on this machine's loopback; 10.0.2.2 to the board."""

import os
import pathlib
import re
import subprocess
import threading

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


def clip(name):
    """The path where `ci/clips.sh` keeps it."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    kept = cache / "smolnvr/clips" / name
    return kept if kept.exists() else TOP / "ci/clips" / name


class Camera:
    """Plays clips by name: `Camera(camera=clip("bench.h264"))`."""

    def __init__(self, options=(), port=0, **clips):
        streams = [f"{name}={path}" for name, path in clips.items()]
        program = TOP / "target/release/camera"
        self.process = subprocess.Popen(
            [program, "--port", str(port), *options, *streams], stdout=subprocess.PIPE, text=True
        )
        self.lines = []
        self.changed = threading.Condition()
        line = self.process.stdout.readline()
        self.port = int(re.search(r":(\d+)/", line)[1])
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.strip())
                self.changed.notify_all()

    def url(self, name="camera"):
        """The address at which the board reaches it."""
        return f"rtsp://10.0.2.2:{self.port}/{name}"

    def sessions(self):
        """The last report on each session, by number: state and frames."""
        found = {}
        with self.changed:
            for line in self.lines:
                words = dict(word.split("=", 1) for word in line.split()[2:] if "=" in word)
                if line.startswith("session "):
                    found[int(line.split()[1])] = words
        return found

    def stop(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
