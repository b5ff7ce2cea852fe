"""The power is cut at any moment; the recorder is killed."""

import hashlib
import json
import re
import time

import card
from board import DAEMON, wait_for
from camera import Camera, clip
from run import config

SYNC_SECONDS = 2
# The rate of numbered.h264.
FPS = 25
CLIP_FRAMES = 250
# Loss of received video: the fragment being made, what is not due for syncing yet, and the fdatasync.
LOSS_SECONDS_MAX = SYNC_SECONDS + 1
FDATASYNC_SECONDS = 0.2
KEY_FRAME_SECONDS = 1


def power_cut(setting):
    """QEMU is killed at random moments; nothing but the last seconds is lost, and the card stays good."""
    rounds = 30 if setting.full else 6
    # Room for half a minute, so that the oldest recordings go all the time, and a camera that is slow enough
    # for the kernel to leave all of it in memory where nobody syncs.
    image = setting.card(80, cluster_kb=1, reserve_mb=61)
    kept, losses, unseen, newest = {}, [], [], -1
    for round_number in range(rounds):
        with Camera(camera=clip("numbered.h264")) as camera:
            text = config(
                ("camera", camera.url()),
                storage=f"segment_seconds = 4\nsync_seconds = {SYNC_SECONDS}\nkeep_free_percent = 20\n",
            )
            # The port differs each time; the rest of the flash stays.
            board = setting.board(text, image)
            # A fifth of the cuts falls into the start-up.
            if setting.random.random() < 0.2:
                board.wait_for_text("Starting smolnvr")
                offset = setting.random.uniform(0, 2)
            else:
                board.wait_for_recording()
                offset = setting.random.uniform(0, 12)
            moment = time.monotonic() + offset
            waited = board.waited()
            wait_for("the moment drawn", lambda: time.monotonic() >= moment)
            status = board.status()
            board.cut_power()
            waited = board.waited_before - waited
            wait_for("the camera to notice", lambda: all(
                it["state"] not in ("Playing", "Ready") for it in camera.sessions().values()
            ))
            sent = max((int(it["frames"]) for it in camera.sessions().values()), default=0)
        end, kept, newest = examine(setting, image, kept, newest, f"cut {round_number}")
        if end is None:
            continue
        came, segment = (status["cameras"][0][key] for key in ("frames", "segment")) if status else (sent, newest)
        # The loss is shorter than the clip, which repeats, and than two segments.
        assert (segment or 0) <= newest + 1, f"cut {round_number}: {segment} was open, {newest} is the newest"
        unseen.append(behind(end, sent) / FPS)
        losses.append(behind(end, came) / FPS)
        # An emulated board that does not run does not write either.
        limit = LOSS_SECONDS_MAX + FDATASYNC_SECONDS + waited
        assert losses[-1] <= limit, f"cut {round_number}: {losses[-1]:.2f} s lost, {limit:.2f} allowed"
    # Finally it boots, records and reports nothing wrong.
    with Camera(camera=clip("numbered.h264")) as camera:
        board = setting.board(config(("camera", camera.url())), image)
        board.wait_for_recording()
        assert "read-only" not in board.run("cat /tmp/messages"), "the card had turned read-only"
        mounts = board.run("cat /proc/mounts")
        assert re.search(r"/mnt/mmcblk0p1 vfat rw", mounts), mounts
        board.shut_down()
    folder, files = setting.read(image, clip("numbered.h264"))
    states = card.verify(folder)
    assert set(states.values()) <= {"whole", "cut"} and files[-1]["frames"], states
    assert losses, "no cut while it recorded"
    return (
        f"{rounds} cuts: of what had come at most {max(losses):.1f} s lost, {sum(losses) / len(losses):.1f} s on "
        f"the average, of what the camera had sent {max(unseen):.1f} s (sync_seconds = {SYNC_SECONDS}); "
        f"{newest + 1} segments, the earlier ones unchanged"
    )


def examine(setting, image, kept, newest, what):
    """What a cut left: where in the clip the last boot's recordings end (None where it opened no file), the
    recordings by digest, the highest number."""
    folder, files = setting.read(image, clip("numbered.h264"))
    by_number = {int(file["file"][:-4]): file for file in files}
    numbers = sorted(by_number)
    digests = {
        number: hashlib.sha256((folder / by_number[number]["file"]).read_bytes()).digest()
        for number in numbers
    }
    # The newest of the last examination was not closed, and is mended since; those before stand as
    # they were, but for the oldest, which may be gone.
    for number, digest in kept.items():
        if number in digests and number != newest:
            assert digests[number] == digest, f"{what}: {number:03} changed"
    gone = [number for number in kept if number not in digests]
    left = [number for number in kept if number in digests]
    assert not gone or not left or max(gone) < min(left), f"{what}: {gone} gone, {left} left"
    if not numbers or numbers[-1] <= newest:
        return None, digests, max(numbers[-1:] + [newest])
    fresh = [by_number[number] for number in numbers if number > newest and by_number[number]["frames"]]
    card.assert_follow_on(fresh)
    end = fresh[-1]["first"] + fresh[-1]["frames"] + fresh[-1]["missing"] if fresh else 0
    return end, digests, numbers[-1]


def behind(end, frames):
    """How many frames lie between the end of the recordings and those that came, counted in a clip that comes
    again and again; some may have come after they were counted."""
    return max(0, (frames - end + FPS) % CLIP_FRAMES - FPS)


def killed(setting):
    """kill -9, SIGSTOP for 20 s and SIGTERM under load: back in seconds, all files good."""
    image = setting.card()
    with Camera(camera=clip("numbered.h264")) as camera:
        storage = f"segment_seconds = 5\nsync_seconds = {SYNC_SECONDS}\n"
        board = setting.board(config(("camera", camera.url()), storage=storage), image)
        board.wait_for_recording(frames=100)
        process = board.daemon()
        began, waited = board.status()["clock"]["now_ms"], board.waited()
        board.run(f"kill -9 {process}")
        wait_for("another daemon", lambda: board.run(f"echo {DAEMON}").strip() not in ("", str(process)))
        board.wait_for_recording()
        waited = board.waited() - waited
        newest = json.loads(board.http("GET", "/api/recordings?limit=1")[1])["recordings"][0]
        back = (newest["start_ms"] - began) / 1000
        assert 0 < back <= 3 + KEY_FRAME_SECONDS + waited, f"the first frame is of {back:.1f} s after kill -9"
        process = board.daemon()
        board.run(f"kill -STOP {process}")
        began = board.uptime()
        wait_for("20 s in which it stands still", lambda: board.uptime() - began >= 20)
        frames = board_frames(camera)
        board.run(f"kill -CONT {process}")
        board.wait_for_recording(frames=frames)
        assert board.daemon() == process, "it did not outlive SIGSTOP"
        began = board.uptime()
        board.run(f"kill -TERM {process}")
        board.wait_for_end()
        ended = board.uptime() - began
        board.shut_down()
    folder, files = setting.read(image, clip("numbered.h264"))
    states = card.verify(folder)
    assert set(states.values()) <= {"whole", "cut"}, states
    assert ended <= 10, f"{ended:.1f} s to end"
    return f"first frame {back:.1f} s after kill -9; {ended:.1f} s to end on SIGTERM; {len(files)} files good"


def board_frames(camera):
    """Frames that the camera has sent so far to the newest session, as it last said, and some more."""
    return max((int(it["frames"]) for it in camera.sessions().values()), default=0) + 25


TESTS = [power_cut, killed]
