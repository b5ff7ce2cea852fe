"""Logs every write to a card, then gives a board the card as it was after each of certain writes."""

import filecmp
import hashlib
import pathlib
import shutil
import struct
import subprocess
import tempfile

import card
from camera import Camera, clip
from run import config

SECTOR = 512
# Writes of at most this many bytes are the file system's own.
SMALL_BYTES = 4096


def torn_vfat(setting):
    """States that a power cut can leave on FAT, with the oldest recordings being deleted: all are good."""
    return torn(setting, "vfat", 400 if setting.full else 20)


def torn_vfat_often(setting):
    """The same of 50 logs, each state of which is shown to fsck alone: what goes wrong once in many runs."""
    states = 0
    for number in range(50):
        image, state, log = begin(setting, "vfat")
        with Camera(camera=clip("bench.h264")) as camera:
            board = setting.board(settings(camera, "vfat"), image, log=log)
            board.wait_for_recording(frames=900)
            board.cut_power()
        writes = read_log(log)
        check_every_state(setting, state, log, writes)
        states += len(writes)
        print(f"log {number + 1}: {len(writes)} states sound", flush=True)
    return f"{states} states of 50 logs sound to fsck"


def torn_ext4(setting):
    """The same on ext4."""
    return torn(setting, "ext4", 100 if setting.full else 5)


def torn(setting, system, points):
    """Records, replays the log of writes to that many points, and gives each state to one board in turn:
    it mounts it, and smolnvr records on it. The mount stays writable, earlier files stay as they were."""
    image, state, log = begin(setting, system)
    with Camera(camera=clip("bench.h264")) as camera:
        text = settings(camera, system)
        board = setting.board(text, image, log=log)
        board.wait_for_recording(frames=1500 if setting.full else 900)
        board.shut_down()
        final = digests(setting, image, system)
        writes = read_log(log)
        if system == "vfat":
            check_every_state(setting, state, log, writes)
        chosen = choose(setting.random, writes, points)

        # The same flash, another card: it is emptied of what the boot writes before each state.
        work = setting.folder / "work.img"
        shutil.copyfile(state, work)
        board = setting.board(text, work)
        board.wait_for_recording()
        board.run("/etc/init.d/S97smolnvr stop && umount /mnt/mmcblk0p1 && dmesg -c >/dev/null")
        done, held = 0, 0
        with open(log, "rb") as source, open(state, "r+b", buffering=0) as target:
            for point in chosen:
                for write in writes[done:point]:
                    write.apply(source, target)
                done = point
                what = f"{system}, after write {point} of {len(writes)}"
                held += examine(setting, board, state, work, system, final, what)
            for write in writes[done:]:
                write.apply(source, target)
        assert filecmp.cmp(state, image, shallow=False), "the log does not lead to what the card holds"
        board.shut_down()
    checked = f"{len(writes)} states sound to fsck, " if system == "vfat" else ""
    return f"{checked}{points} states of {len(writes)} writes: mounted, writable, {held} earlier files as they were"


def begin(setting, system):
    """A new card, a copy of it, and a log of its writes that is still empty."""
    # FAT's room suffices for half of what is recorded; ext4's, which the host can only read once it was
    # mounted, for all of it.
    how = {"cluster_kb": 1, "reserve_mb": 50} if system == "vfat" else {}
    image = setting.card(80, system=system, **how)
    state, log = setting.folder / "state.img", setting.folder / "log"
    shutil.copyfile(image, state)
    log.unlink(missing_ok=True)
    log.touch()
    return image, state, log


def settings(camera, system):
    return config(
        ("camera", camera.url()),
        storage="segment_seconds = 2\nsync_seconds = 1\n" f"keep_free_percent = {20 if system == 'vfat' else 5}\n",
    )


def check_every_state(setting, start, log, writes):
    """The card as it was after each write: fsck finds nothing for which the kernel would make it read-only."""
    image = setting.folder / "partition.img"
    with open(start, "rb") as card_image, open(image, "wb") as file:
        card_image.seek(card.START * SECTOR)
        shutil.copyfileobj(card_image, file)
    with open(log, "rb") as source, open(image, "r+b", buffering=0) as target:
        for number, write in enumerate(writes, 1):
            write.apply(source, target, card.START)
            damage = card.damage(image)
            assert not damage, f"after write {number} of {len(writes)}: {damage}"


class Write:
    """One write; `flushes` is the number of flushes before it."""

    def __init__(self, sector, offset, length, flushes):
        self.sector, self.offset, self.length, self.flushes = sector, offset, length, flushes

    def apply(self, source, target, start=0):
        """Writes it to the card, of which the target holds what lies behind that sector."""
        source.seek(self.offset)
        target.seek((self.sector - start) * SECTOR)
        target.write(source.read(self.length))


def read_log(path):
    """The writes in a log of QEMU's blklogwrites, in order: the format is that of dm-log-writes, with an
    first sector that QEMU fills in at a flush."""
    writes, flushes = [], 0
    size = pathlib.Path(path).stat().st_size
    with open(path, "rb") as log:
        offset = SECTOR
        while offset + SECTOR <= size:
            log.seek(offset)
            first, sectors, flags, _ = struct.unpack("<QQQQ", log.read(32))
            offset += SECTOR
            assert not flags & 4, "a discard, which the cards here do not offer"
            flushes += flags & 1
            if sectors:
                writes.append(Write(first, offset, sectors * SECTOR, flushes))
                offset += sectors * SECTOR
            elif not flags:
                break  # the file is longer than the log
    return writes


def choose(random, writes, points):
    """The points of the power cuts: half of them right after a write of the file system's own."""
    every = range(1, len(writes) + 1)
    small = [number for number in every if writes[number - 1].length <= SMALL_BYTES]
    chosen = set(random.sample(small, min(len(small), points // 2)))
    rest = [number for number in every if number not in chosen]
    return sorted(chosen | set(random.sample(rest, points - len(chosen))))


def examine(setting, board, state, work, system, final, what):
    """Gives the board one state of the card, lets it record; how many earlier files were there."""
    subprocess.run(["dd", f"if={state}", f"of={work}", "bs=1M", "conv=notrunc", "status=none"], check=True)
    before = digests(setting, state, system) if system == "vfat" else final
    board.run(f"mount -t {system} /dev/vdc1 /mnt/mmcblk0p1")
    names = board.run("ls /mnt/mmcblk0p1/recordings 2>/dev/null", check=False).split()
    numbers = sorted(int(name[:-4]) for name in names if name.endswith(".mp4"))
    newest = numbers[-1] if numbers else -1
    board.run("smolnvr run -c /etc/smolnvr.toml >/tmp/said 2>&1 & recorder=$!")
    status = board.wait_for_status("recording, and the list", lambda s: (
        s["storage"]["state"] == "ok" and s["storage"]["list_complete"]
        and s["cameras"][0]["segment"] is not None and s["cameras"][0]["durable_age_ms"] is not None
    ))
    assert status["cameras"][0]["segment"] > newest, f"{what}: {newest} was used again"
    board.run("kill $recorder; wait $recorder")
    mounts = board.run("cat /proc/mounts")
    assert f"/mnt/mmcblk0p1 {system} rw" in mounts, f"{what}: {mounts}"
    board.run("umount /mnt/mmcblk0p1")
    kernel, said = board.run("dmesg -c"), board.run("cat /tmp/said")
    assert "read-only" not in kernel + said, f"{what}: {kernel}\n{said}"
    after = digests(setting, work, system)
    earlier = [number for number in numbers if number < newest]
    left = [number for number in earlier if number in after]
    assert left == earlier[len(earlier) - len(left) :], f"{what}: {left} are left of {earlier}"
    changed = [number for number in left if after[number] != before[number]]
    assert not changed, f"{what}: {changed} changed"
    return len(left)


def digests(setting, image, system):
    """Of each recording by number; all of them are found in order."""
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
        recordings = card.read_recordings(image, system, folder)
        # The newest may not be closed.
        wrong = {name: it for name, it in list(sorted(card.verify(recordings).items()))[:-1] if it not in ("whole", "cut")}
        assert not wrong, wrong
        return {int(file.stem): hashlib.sha256(file.read_bytes()).digest() for file in recordings.glob("*.mp4")}


TESTS = [torn_vfat, torn_ext4]
FULL_ONLY = [torn_vfat_often]
