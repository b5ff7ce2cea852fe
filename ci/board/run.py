#!/usr/bin/env python3
"""The 32 MB board under QEMU: boots it, records on it, breaks it.

usage: ci/board/run.py [--full] [--keep] [--seed N] [--jobs N] [--built] [--list] [--shell [PORT]] [TEST...]

Without names all tests run, shortened, or with `--full` at their full length, which some have only. Each prints a figure at its end,
how long it took, and for how much of their time its boards had to wait for this machine; with `--keep` all of that goes to
ci/bench/board.txt, if all have passed. Random moments come from the seed that is printed first.
"""

import argparse
import concurrent.futures
import datetime
import os
import pathlib
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import board
import card
from camera import Camera, clip

TOP = card.TOP
BINARY = TOP / "target/armv7-unknown-linux-musleabi/release/smolnvr"


class Setting:
    """A test's environment: the machine's parts, a folder of its own, a random generator, and its length."""

    def __init__(self, images, folder, seed, full):
        self.images = images
        self.folder = pathlib.Path(folder)
        self.random = random.Random(seed)
        self.full = full
        self.boards = []

    def card(self, megabytes=2200, **how):
        return card.make_card(self.folder / "card.img", megabytes, **how)

    def board(self, config, card=None, way="package", files=(), **how):
        """Boots a board with that /etc/smolnvr.toml; waits for its shell. Boots of one test share
        a flash: what `config` (None: as it is) and `files` say was written there by the user."""
        files = {**dict(files), **({"/etc/smolnvr.toml": config} if config is not None else {})}
        if files:
            board.make_overlay(self.folder / "overlay.img", files)
        machine = board.Board(self.images.kernel, self.images.root(way), self.folder, card, **how)
        self.boards.append(machine)
        machine.wait_for_shell()
        return machine

    def read(self, image, clip_path, folder="recordings", missing=0):
        """The recordings of a card, checked frame by frame against the clip; where they are now,
        and what they hold. `missing`: so many frames may be left out within files."""
        to = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        copied = card.read_card(image, folder, to)
        return copied, card.compare(clip_path, copied, missing)

    def read_both(self, image, clip_path, other_clip, number):
        """The same, if the files from that number on are of another clip."""
        folder = card.read_card(image, "recordings", tempfile.mkdtemp(dir=self.folder))
        parts = {clip_path: [], other_clip: []}
        for file in sorted(folder.glob("*.mp4")):
            parts[clip_path if int(file.stem) < number else other_clip].append(file)
        files = []
        for played, recordings in parts.items():
            part = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
            for file in recordings:
                (part / file.name).hardlink_to(file)
            files += card.compare(played, part)
        return folder, files

    def lost(self, board, status=None, viewers_read=True):
        """Frames lost by the board's last report. There may be none, unless it had to wait for this machine
        for a quarter of its time; what viewers miss that do not read is their own loss, and they are programs
        of this machine, which read late where it is short of time."""
        losses = [camera["losses"] for camera in (status or board.status())["cameras"]]
        share = board.waited() / (time.monotonic() - board.started)
        if not viewers_read or share > 0.05:
            losses = [{key: count for key, count in it.items() if key != "viewer"} for it in losses]
        count = sum(sum(it.values()) for it in losses)
        assert not count or share > 0.25, (
            f"{losses}, and the board waited for {share:.0%} of its time only\n{board.run('cat /tmp/messages')}"
        )
        return count

    def close(self):
        for machine in self.boards:
            machine.__exit__()

    def waiting(self):
        """The share of the boards' time, in per cent, for which they had to wait for this machine."""
        lived = sum(machine.ended - machine.started for machine in self.boards)
        waited = sum(machine.waited_before for machine in self.boards)
        return 100 * waited / lived if lived else 0


def config(*cameras, storage="", further="", auth="none"):
    """/etc/smolnvr.toml with those cameras, each (name, url) or (name, url, keys)."""
    text = f'[storage]\n{storage}\n[web]\nauth = "{auth}"\n{further}\n'
    for name, url, *keys in cameras:
        text += f'[[camera]]\nname = "{name}"\nurl = "{url}"\nsnapshot = "off"\n' + "\n".join(keys) + "\n"
    return text


class Images:
    """Kernel and root file systems, built when they are missing or old."""

    def __init__(self):
        self.kernel = built(["sh", TOP / "ci/board/kernel.sh"])
        self.roots = {}
        self.lock = threading.Lock()

    def root(self, way):
        """`way` to install: package, ipk, or none."""
        with self.lock:
            if way not in self.roots:
                self.roots[way] = self.build_root(way)
            return self.roots[way]

    def build_root(self, way):
        work = TOP / "target/board"
        work.mkdir(parents=True, exist_ok=True)
        image, installed = work / f"{way}.squashfs", work / way
        shutil.rmtree(installed, ignore_errors=True)
        installed.mkdir()
        if way != "none":
            built(["sh", TOP / "ci/board/install.sh", way, installed])
        built(["sh", TOP / "ci/board/image.sh", image, installed])
        return image

    def sdcard(self):
        """The files that a user copies onto a card."""
        dist = TOP / "target/board/dist"
        with self.lock:
            built(["env", f"DIST={dist}", "sh", TOP / "ci/package.sh", "sdcard"])
        return dist / "sdcard"


def built(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def prepare(is_built):
    """Everything a board is made of, from this tree; `is_built`: the board's binary is."""
    built(["sh", TOP / "ci/setup.sh", "board"])
    cargo = ["cargo", "build", "--quiet", "--release", "--manifest-path", TOP / "Cargo.toml"]
    built([*cargo, "--workspace", "--bins"])
    built([*cargo, "--example", "compare"])
    if not is_built:
        subprocess.run(
            ["sh", TOP / "ci/cross.sh"], check=True, stdout=subprocess.DEVNULL,
            env={**os.environ, "CROSS": os.environ.get("CROSS", "zig")},
        )
    return Images()


def tests(full):
    """The tests by name, in starting order, the longest first; some only at full length."""
    import runs_basic, runs_budget, runs_card, runs_index, runs_notices, runs_power, runs_reordered, runs_strangers, runs_stress, runs_torn  # noqa: E401

    modules = [runs_power, runs_budget, runs_torn, runs_reordered, runs_strangers, runs_stress, runs_notices, runs_card, runs_index, runs_basic]
    chosen = [test for module in modules for test in module.TESTS]
    if full:
        chosen += [test for module in modules for test in getattr(module, "FULL_ONLY", [])]
    return {test.__name__: test for test in chosen}


def run(test, images, seed, full):
    """The test's figure and None, or None and the reason for its failure."""
    name = test.__name__
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"board-{name}-") as folder:
        setting = Setting(images, folder, f"{seed} {name}", full)
        figure = fault = None
        try:
            figure = test(setting)
        except Exception:
            fault = traceback.format_exc()
            for machine in setting.boards:
                print(f"--- console\n{machine.text()[-6000:]}\n---", file=sys.stderr)
        finally:
            setting.close()
    if figure is not None:
        figure += f" [{time.monotonic() - started:.0f} s, waited {setting.waiting():.0f} %]"
    print(f"{name:<24} {figure or 'FAILED'}", flush=True)
    return figure, fault


def shell(images, port):
    """A board for people: its console here, the page on this machine, a card that stays."""
    folder = TOP / "target/board/shell"
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "card.img"
    if not image.exists():
        card.make_card(image, 2200)
    with Camera(camera=clip("bench.h264")) as camera:
        text = f'[[camera]]\nname = "camera"\nurl = "{camera.url()}"\n[web]\nauth = "none"\n'
        board.make_overlay(folder / "overlay.img", {"/etc/smolnvr.toml": text})
        machine = board.Board(images.kernel, images.root("package"), folder, image, page=port,
                              interactive=True)
        print(f"the page is http://127.0.0.1:{port}/; `poweroff` ends, and the card is {image}", flush=True)
        machine.process.wait()


def table(figures, seed, full):
    version = subprocess.run(["qemu-system-arm", "--version"], capture_output=True, text=True).stdout
    lines = [
        f"{datetime.date.today()}  QEMU {re.search(r'version ([0-9.]+)', version)[1]}, Cortex-A7, 32 MB, "
        f"on {os.cpu_count()} cores of {platform.machine()}; seed {seed}, {'full' if full else 'short'} runs",
        "In brackets: how long it took, and for how much of their time its boards wanted to run and had to wait for",
        "this machine; that is taken off the times. A real board is faster.",
        "",
    ]
    return "\n".join(lines + [f"{name:<24} {figure}" for name, figure in figures]) + "\n"


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("usage: "))
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="boards at once (as many as cores)")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--built", action="store_true", help="the board's binary is: make cross was just run")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--shell", type=int, nargs="?", const=8080, metavar="PORT")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    known = tests(full=True)
    if arguments.list:
        for name, test in known.items():
            print(f"{name:<24} {test.__doc__.splitlines()[0]}")
        return
    unknown = [name for name in arguments.names if name not in known]
    if unknown:
        sys.exit(f"board: there is no test {', '.join(unknown)}; --list names them")
    images = prepare(arguments.built)
    if arguments.shell:
        shell(images, arguments.shell)
        return
    print(f"seed {arguments.seed}", flush=True)
    chosen = [known[name] for name in arguments.names or tests(arguments.full)]
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        verdicts = pool.map(lambda test: run(test, images, arguments.seed, arguments.full), chosen)
        results = [(test.__name__, *verdict) for test, verdict in zip(chosen, verdicts)]
    # Printed last, below all consoles.
    if failed := [f"--- {name}\n{fault}" for name, _, fault in results if fault]:
        sys.exit("\n".join([*failed, f"board: {len(failed)} failed"]))
    figures = [(name, figure) for name, figure, _ in results]
    if arguments.keep and not arguments.names:
        (TOP / "ci/bench/board.txt").write_text(table(figures, arguments.seed, arguments.full))


if __name__ == "__main__":
    # The tests import this file by its name; it must be the same module.
    sys.modules["run"] = sys.modules["__main__"]
    main()
