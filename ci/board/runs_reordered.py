"""A card may write in any order what it was not told to flush: the power goes, and of what came since the last
flush any part is there.

Every write and flush is logged while a board records, deletes the oldest, keeps, marks and writes its index. Then
the card as it was at a flush is given some of the writes that followed it, and looked at by this machine.
"""

import itertools
import re
import shutil
import subprocess

import card
import runs_torn
from camera import Camera, clip

SECTOR = runs_torn.SECTOR
# All subsets of this many writes are tried; of more writes, a random choice.
FEW_WRITES = 4


def reordered_vfat(setting):
    """States that a power cut can leave on FAT on a card that reorders: all sound, nothing flushed is lost."""
    image, base, log = record(setting, "vfat")
    writes = runs_torn.read_log(log)
    epochs = by_flush(writes)
    with open(base, "rb") as source, open(setting.folder / "partition.img", "w+b", buffering=0) as target:
        source.seek(card.START * SECTOR)
        shutil.copyfileobj(source, target)
        states = over_states(setting, log, epochs, target, card.START, 2000 if setting.full else 150, check_fat)
    return f"{states} states of {len(writes)} writes between {len(epochs)} flushes: sound, and all that was flushed is there"


def reordered_ext4(setting):
    """The same on ext4, after its journal was replayed."""
    image, base, log = record(setting, "ext4")
    writes = runs_torn.read_log(log)
    epochs = by_flush(writes)
    with open(base, "r+b", buffering=0) as target:
        states = over_states(setting, log, epochs, target, 0, 200 if setting.full else 10, check_ext4)
    return f"{states} states of {len(writes)} writes between {len(epochs)} flushes: sound, and all that was flushed is there"


def record(setting, system):
    image, base, log = runs_torn.begin(setting, system)
    with Camera(camera=clip("bench.h264")) as camera:
        board = setting.board(runs_torn.settings(camera, system), image, log=log)
        frames = 1500 if setting.full else 700
        board.wait_for_recording(frames=frames * 3 // 4)
        board.run("smolnvr keep camera -4s now && smolnvr mark door")
        board.wait_for_recording(frames=frames)
        board.cut_power()
    return image, base, log


def by_flush(writes):
    """Groups of writes with no flush between them."""
    return [list(group) for _, group in itertools.groupby(writes, lambda write: write.flushes)]


def over_states(setting, log, epochs, target, start, states, check):
    """Tries that many states, of each group of writes its share; returns their number."""
    tried, all_writes, seen = 0, sum(len(group) for group in epochs), 0
    with open(log, "rb") as source:
        for number, group in enumerate(epochs):
            seen += len(group)
            wanted = states * seen // all_writes - tried
            before = check(setting, target, None, f"flush {number}") if wanted else None
            for chosen in choices(setting.random, group, wanted):
                old = [(write, peek(target, write, start)) for write in chosen]
                for write in chosen:
                    write.apply(source, target, start)
                what = f"flush {number} of {len(epochs)} and {described(chosen)} of {described(group)}"
                check(setting, target, before, what)
                for write, content in reversed(old):
                    target.seek((write.sector - start) * SECTOR)
                    target.write(content)
                tried += 1
            for write in group:
                write.apply(source, target, start)
    return tried


def described(writes):
    """Begin, in sectors of the partition, and number of sectors of each write."""
    return [f"{write.sector - card.START}+{write.length // SECTOR}" for write in writes]


def choices(random, group, wanted):
    """So many subsets of the writes, all of them if they are few; the order is the log's."""
    if wanted and len(group) <= FEW_WRITES:
        masks = random.sample(range(2 ** len(group)), min(wanted, 2 ** len(group)))
        return [[write for bit, write in enumerate(group) if mask >> bit & 1] for mask in masks]
    return [[write for write in group if random.random() < share] for share in (random.random() for _ in range(wanted))]


def peek(target, write, start):
    target.seek((write.sector - start) * SECTOR)
    return target.read(write.length)


def check_fat(setting, target, before, what):
    """Nothing that makes Linux turn the card read-only; each recording of the flush is there, but for the oldest,
    which may have been deleted. Returns what is there."""
    target.flush()
    damage = card.damage(target.name)
    assert not damage, f"after {what}: {damage}"
    fat = card.Fat(target, start=0)
    now = {}
    for name, (cluster, length) in fat.files("recordings").items():
        content = fat.content(cluster, length)
        assert len(content) == length, f"after {what}: {name} has {len(content)} of {length} bytes"
        now[name] = content if re.fullmatch(r"\d+\.MP4", name) else None
    compare(before, now, what)
    return now


def compare(before, now, what):
    """Both by name: contents of recordings."""
    names = [name for name, content in (before or {}).items() if content is not None]
    names.sort(key=lambda name: int(name.split(".")[0]))
    there = [name for name in names if name in now]
    assert there == names[len(names) - len(there) :] and there[-1:] == names[-1:], f"after {what}: {there} are left of {names}"
    for name in there:
        # Its head changes when it is closed or kept.
        old, new = before[name], now[name]
        head = max(old.find(b"moof"), 0)
        assert new[head:].startswith(old[head:]), f"after {what}: {name} is not what it was"


def check_ext4(setting, target, before, what):
    """As on FAT, once e2fsck has replayed the journal, as a mount does."""
    target.flush()
    copy = setting.folder / "replayed.img"
    with open(target.name, "rb") as source, open(copy, "wb") as to:
        source.seek(card.START * SECTOR)
        shutil.copyfileobj(source, to)
    replay = subprocess.run(["e2fsck", "-y", "-E", "journal_only", copy], capture_output=True, text=True)
    assert replay.returncode <= 1, f"after {what}: {replay.stdout}"
    found = subprocess.run(["e2fsck", "-fn", copy], capture_output=True, text=True)
    assert found.returncode == 0, f"after {what}: {found.stdout}"
    folder = setting.folder / "replayed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    subprocess.run(["debugfs", "-R", f"rdump /recordings {folder}", copy], check=True, capture_output=True)
    now = {file.name.upper(): file.read_bytes() if re.fullmatch(r"\d+\.mp4", file.name) else None
           for file in folder.glob("recordings/*")}
    compare(before, now, what)
    return now


TESTS = [reordered_vfat, reordered_ext4]
