"""Cards: late, pulled, read-only, full, needed by an upgrade."""

import re

import card
from board import wait_for
from camera import Camera, clip
from run import config

SLOW_BYTES_A_SECOND = 350_000
SHORT = "segment_seconds = 5\nsync_seconds = 2\n"


def card_comes_and_goes(setting):
    """A late card, a pulled card, another one: recording resumes, nothing is written elsewhere."""
    first, second = setting.card(), setting.folder / "second.img"
    card.make_card(second, 2200)
    with Camera(camera=clip("numbered.h264")) as camera:
        board = setting.board(config(("camera", camera.url()), storage=SHORT))
        board.wait_for_status("no card", lambda status: status["storage"]["state"] == "absent")
        board.wait_for_status("frames", lambda status: status["cameras"][0]["frames"] > 50)
        assert not board.run("find /mnt -type f").strip()
        late = recording_after(board, first)
        board.wait_for_recording(frames=200)
        board.pull_card()
        board.wait_for_status("a pulled card", lambda status: status["storage"]["state"] == "absent")
        assert not board.run("find /mnt -type f").strip(), "written under the empty mount point"
        again = recording_after(board, second)
        status = board.wait_for_recording(frames=400)
        board.shut_down()
    assert status["losses"]["network"] == 0, status
    assert card.is_clean(second), "the card was not unmounted"
    held = []
    for image in (first, second):
        folder, files = setting.read(image, clip("numbered.h264"))
        states = card.verify(folder)
        assert set(states.values()) <= {"whole", "cut"} and files, states
        card.assert_follow_on([file for file in files if file["frames"]])
        held.append(sum(file["frames"] for file in files))
    assert min(held) > 50, held
    assert max(late, again) <= 3, f"recording {late:.1f} s and {again:.1f} s after a card"
    return f"recording {late:.1f} s after a late card, {again:.1f} s after another; {held} frames on them"


def recording_after(board, image):
    """Inserts a card; seconds of the guest's clock from its mount to the first segment on it."""
    board.insert_card(image)
    wait_for("the mount", lambda: "/mnt/mmcblk0p1" in board.run("cat /proc/mounts"))
    watch = board.stopwatch()
    board.wait_for_status("a segment", lambda status: status["storage"]["state"] == "ok"
                          and status["cameras"][0]["segment"] is not None)
    return watch()


def card_turns_read_only(setting):
    """A card turns read-only over a broken file: made writable again by itself; one mounted so stays."""
    image = setting.card(80, cluster_kb=1)
    with Camera(camera=clip("numbered.h264")) as camera:
        text = config(("camera", camera.url()), storage="segment_seconds = 10\nsync_seconds = 2\n")
        board = setting.board(text, image)
        # A closed file is not read; in this one, some fragments are partly there.
        board.wait_for_recording(frames=400)
        board.cut_power()
        before = card.names(image, "recordings")
        broken = [name for name in before if name.endswith(".mp4")][-1]
        card.cut_chain(image, f"recordings/{broken}")

        board = setting.board(text, image)
        board.wait_for_recording(frames=100)
        log = board.run("cat /tmp/messages")
        # The kernel reports it, and so do we: which file it was, and that it is over.
        assert "Filesystem has been set read-only" in board.run("dmesg"), "the file did no harm"
        assert re.search(rf"turned read-only over .*{broken}|turned read-only.*{broken}.*writable again", log), log
        assert re.search(r"/mnt/mmcblk0p1 vfat rw", board.run("cat /proc/mounts"))
        segment = board.status()["cameras"][0]["segment"]

        board.run("/etc/init.d/S97smolnvr stop")
        board.run("umount /mnt/mmcblk0p1 && mount -t vfat -o ro /dev/vdc1 /mnt/mmcblk0p1")
        board.run("/etc/init.d/S97smolnvr start")
        board.wait_for_status("read-only", lambda status: status["storage"]["state"] == "read-only")
        # The card is checked every second, and left as it was mounted.
        frames = board.status()["cameras"][0]["frames"]
        board.wait_for_status("3 s", lambda status: status["cameras"][0]["frames"] > frames + 75)
        assert re.search(r"/mnt/mmcblk0p1 vfat ro", board.run("cat /proc/mounts"))
        board.run("mount -o remount,rw /mnt/mmcblk0p1")
        board.wait_for_status("a segment", lambda status: status["storage"]["state"] == "ok"
                              and (status["cameras"][0]["segment"] or 0) > segment)
        board.wait_for_recording(frames=100)
        board.shut_down()
    folder, files = setting.read(image, clip("numbered.h264"))
    states = card.verify(folder)
    assert set(states.values()) <= {"whole", "cut"}, states
    rest = next(file["frames"] for file in files if file["file"] == broken)
    assert rest > 0, f"nothing of {broken} was kept"
    return f"over {broken}: remounted, {rest} frames of it kept; {len(files)} files good; one mounted ro stays"


def room_that_leads_nowhere(setting):
    """The power is cut while files get room: what the kernel leaves is mended in a second, and nothing is lost."""
    image = setting.card(80, cluster_kb=1)
    with Camera(camera=clip("numbered.h264")) as camera:
        text = config(("camera", camera.url()), storage="segment_seconds = 2\nsync_seconds = 2\n")
        board = setting.board(text, image)
        # So many that the index has to grow for some more.
        board.wait_for_recording(frames=400)
        board.shut_down()
        board = setting.board(text, image)
        board.wait_for_recording(frames=100)
        board.cut_power()
        cut = [name for name in card.names(image, "recordings") if name.endswith(".mp4")][-1]
        for name in (cut, "000.idx"):
            card.lead_nowhere(image, f"recordings/{name}")

        board = setting.board(text, image)
        board.wait_for_recording(frames=400)
        assert "Filesystem has been set read-only" in board.run("dmesg"), "it did no harm"
        lost = setting.lost(board)
        board.shut_down()
    folder, files = setting.read(image, clip("numbered.h264"), missing=lost)
    assert set(card.verify(folder).values()) == {"whole"}
    return f"over {cut}: remounted, {lost} frames lost; {len(files)} files good"


def card_is_full(setting):
    """A small card and 8 Mbit/s: it never stops, deletes the oldest, keeps foreign files and always some room."""
    seconds = 600 if setting.full else 50
    image = setting.card(72, cluster_kb=1, reserve_mb=40)
    with Camera(camera=clip("heavy.h264")) as camera:
        storage = "segment_seconds = 4\nsync_seconds = 2\nkeep_free_percent = 10\n"
        text = config(("camera", camera.url(), "buffer_kb = 4096"), storage=storage)
        board = setting.board(text, image)
        room = []

        def has_gone_on(status):
            assert status["storage"]["state"] == "ok", status
            room.append(status["storage"]["free_bytes"])
            return status["cameras"][0]["frames"] > seconds * 25

        board.wait_for_recording()
        status = board.wait_for_status("many times the card", has_gone_on, 10 * seconds)
        # When this returns, the last frame is on the card.
        answer = board.http("POST", "/api/record/stop")
        assert answer[0] == 200, answer
        lost = setting.lost(board)
        board.shut_down()
    assert "holiday.mov" in card.names(image, "/"), "a foreign file was deleted"
    folder, files = setting.read(image, clip("heavy.h264"), missing=lost)
    assert int(files[0]["file"][:-4]) > 0, "nothing was deleted"
    assert set(card.verify(folder).values()) == {"whole"}
    card.assert_follow_on(files, lost)
    lowest = min(it for it in room if it) // 1024
    assert lowest > 1024, f"{lowest} KB were left"
    return (
        f"{status['cameras'][0]['frames']} frames through a card for {sum(f['frames'] for f in files)}, "
        f"{lost} of them lost; at least {lowest} KB free; the foreign file stays"
    )


def card_fails(setting):
    """A card that answers with errors for a while: reported, bridged from memory, over when they end."""
    image = setting.card()
    with Camera(camera=clip("numbered.h264")) as camera:
        board = setting.board(config(("camera", camera.url()), storage=SHORT), image)
        frames = board.wait_for_recording(frames=100)["frames"]
        spans = []
        for round_number in range(4 if setting.full else 2):
            board.break_card("write", *["read"] * (round_number % 2))
            board.wait_for_status("the word for it", lambda s: s["storage"]["state"] in ("failing", "read-only"))
            frames = board.status()["cameras"][0]["frames"] + 75
            board.wait_for_status("3 s", lambda s: s["cameras"][0]["frames"] >= frames)
            board.break_card()
            watch = board.stopwatch()
            status = board.wait_for_recording(frames=frames)
            spans.append(watch())
            board.wait_for_recording(frames=frames + 150)
        lost = board.status()["cameras"][0]["losses"]["card"]
        board.shut_down()
    folder, files = setting.read(image, clip("numbered.h264"))
    states = card.verify(folder)
    assert set(states.values()) <= {"whole", "cut"}, states
    assert lost == 0, f"{lost} frames lost, though memory held them"
    assert max(spans) <= 3, f"recording {max(spans):.1f} s after the card was well again"
    return f"said so; recording {max(spans):.1f} s after the card was well again, no frame lost; {len(files)} files good"


def card_pulled_that_brought_smolnvr(setting):
    """smolnvr runs from the card that is pulled, memory is short: the page answers, recording resumes."""
    image = setting.card()
    for name in ("smolnvr", "autostart.sh"):
        card.put(image, setting.images.sdcard() / name, name)
    with Camera(camera=clip("numbered.h264")) as camera:
        toml = setting.folder / "smolnvr.toml"
        toml.write_text(config(("camera", camera.url()), storage=SHORT))
        card.put(image, toml, "smolnvr/smolnvr.toml")
        board = setting.board(None, image, way="none")
        board.wait_for_recording(frames=100)
        # All free memory, taken by a file in RAM, which cannot be reclaimed. (Not the console's
        # shell, which the kernel might kill to reclaim memory.)
        board.run("echo -900 >/proc/$$/oom_score_adj")
        board.run("mkdir /tmp/hog && mount -t tmpfs -o size=24m tmpfs /tmp/hog")
        board.run(
            "until [ $(awk '/^MemAvailable/ { print $2 }' /proc/meminfo) -lt 5000 ]; do"
            " dd if=/dev/zero bs=64k count=2 2>/dev/null >>/tmp/hog/file || break; done"
        )
        available = board.numbers("grep MemAvailable /proc/meminfo")[0]
        process = board.daemon()
        board.pull_card()
        board.wait_for_status("a pulled card", lambda status: status["storage"]["state"] == "absent")
        status, page = board.http("GET", "/")
        assert status == 200 and b"<html" in page[:200].lower(), page[:200]
        assert not board.run("find /mnt -type f").strip(), "written under the empty mount point"
        back = recording_after(board, image)
        frames = board.wait_for_recording()["frames"]
        board.wait_for_recording(frames=frames + 100)
        assert board.daemon() == process, "it did not outlive the card"
        board.run("umount /tmp/hog")
        board.shut_down()
    # (FAT keeps the mark that it was pulled once.)
    assert "can't unmount /mnt" not in board.text(), "the card was not unmounted"
    folder, files = setting.read(image, clip("numbered.h264"))
    states = card.verify(folder)
    assert set(states.values()) <= {"whole", "cut"}, states
    assert back <= 3, f"recording {back:.1f} s after the card was back"
    return f"{available} KB available: the page answers, recording {back:.1f} s after the card was back; {len(files)} files good"


def card_stalls(setting):
    """A card that stalls or is slow: memory bridges what it holds; then whole picture groups are lost and counted."""
    image = setting.card()
    with Camera(camera=clip("bench.h264")) as camera:
        board = setting.board(config(("camera", camera.url()), storage=SHORT), image)
        frames = board.wait_for_recording(frames=150)["frames"]
        board.throttle_card(1)
        board.wait_for_status("2 s of frames", lambda s: s["cameras"][0]["frames"] >= frames + 50)
        board.throttle_card(0)
        status = board.wait_for_recording(frames=frames + 200)
        assert status["losses"]["card"] == 0, f"a stall of 2 s cost frames: {status['losses']}"
        board.throttle_card(1)
        status = board.wait_for_status("losses, and the word for it", lambda s: (
            s["cameras"][0]["losses"]["card"] > 0 and s["storage"]["state"] == "failing"
        ))
        board.throttle_card(0)
        stalled = board.wait_for_recording(frames=status["cameras"][0]["frames"] + 150)
        # Two thirds of the camera's bit rate.
        board.throttle_card(SLOW_BYTES_A_SECOND)
        board.wait_for_status("10 s", lambda s: s["cameras"][0]["frames"] >= stalled["frames"] + 250)
        board.throttle_card(0)
        status = board.wait_for_recording(frames=stalled["frames"] + 400)
        stalled, lost = stalled["losses"]["card"], status["losses"]["card"]
        board.shut_down()
    folder, files = setting.read(image, clip("bench.h264"), missing=lost)
    states = card.verify(folder)
    assert set(states.values()) == {"whole"}, states
    return (
        f"2 s bridged; a longer stall cost {stalled} frames, 10 s at {SLOW_BYTES_A_SECOND // 1000} KB/s "
        f"{lost - stalled}; {len(files)} files are whole"
    )


TESTS = [card_is_full, card_stalls, card_fails, card_comes_and_goes, card_pulled_that_brought_smolnvr, card_turns_read_only,
         room_that_leads_nowhere]
