"""What a card does: comes late, is pulled, is read-only, is full, is wanted by an upgrade."""

import card
from board import wait_for
from camera import Camera, clip
from run import config

SHORT = "segment_seconds = 5\nsync_seconds = 2\n"


def card_comes_and_goes(setting):
    """A late card, a pulled card, another one: recording is back, nothing is written elsewhere."""
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
    return f"recording {late:.1f} s after a late card, {again:.1f} s after another; {held} frames on them"


def recording_after(board, image):
    """Inserts a card; seconds of the guest's clock from its mount to the first segment on it."""
    board.insert_card(image)
    wait_for("the mount", lambda: "/mnt/mmcblk0p1" in board.run("cat /proc/mounts"))
    began = board.uptime()
    board.wait_for_status("a segment", lambda status: status["storage"]["state"] == "ok"
                          and status["cameras"][0]["segment"] is not None)
    return board.uptime() - began


def card_turns_read_only(setting):
    """A card that turns read-only is made writable again and recording goes on; one that is, stays."""
    image = setting.card()
    with Camera(camera=clip("numbered.h264")) as camera:
        board = setting.board(config(("camera", camera.url()), storage=SHORT), image)
        board.wait_for_recording(frames=100)
        segment = board.status()["cameras"][0]["segment"]
        board.run("mount -o remount,ro /mnt/mmcblk0p1 || mount -o remount,ro,force /mnt/mmcblk0p1", check=False)
        board.run("/etc/init.d/S97smolnvr stop")
        board.run("umount /mnt/mmcblk0p1 && mount -t vfat -o ro /dev/vdc1 /mnt/mmcblk0p1")
        board.run("/etc/init.d/S97smolnvr start")
        board.wait_for_status("read-only", lambda status: status["storage"]["state"] == "read-only")
        board.run("mount -o remount,rw /mnt/mmcblk0p1")
        board.wait_for_status("a segment", lambda status: status["storage"]["state"] == "ok"
                              and (status["cameras"][0]["segment"] or 0) > segment)
        board.wait_for_recording(frames=100)
        board.shut_down()
    folder, files = setting.read(image, clip("numbered.h264"))
    states = card.verify(folder)
    assert set(states.values()) <= {"whole", "cut"}, states
    return f"said so, and recorded once it was writable; {len(files)} files good"


def card_is_full(setting):
    """A small card and a fast camera: it never stops, the oldest go, foreign files stay."""
    rounds = 60 if setting.full else 12
    image = setting.card(100, cluster_kb=1, reserve_mb=20)
    with Camera(["--speed", "3"], camera=clip("bench.h264")) as camera:
        storage = "segment_seconds = 5\nsync_seconds = 2\nkeep_free_percent = 10\n"
        text = config(("camera", camera.url(), "buffer_kb = 6144"), storage=storage)
        board = setting.board(text, image)
        frames = rounds * 500
        status = board.wait_for_status(
            "many times the card", lambda s: s["cameras"][0]["frames"] > frames, 900
        )
        lowest = int(board.run("df -k /mnt/mmcblk0p1").split()[-3])
        board.shut_down()
    assert status["storage"]["state"] == "ok", status
    lost = status["cameras"][0]["losses"]["card"]
    assert "holiday.mov" in card.names(image, "/"), "a foreign file was deleted"
    folder, files = setting.read(image, clip("bench.h264"), missing=lost)
    assert int(files[0]["file"][:-4]) > 0, "nothing was deleted"
    assert set(card.verify(folder).values()) == {"whole"}
    return (
        f"{status['cameras'][0]['frames']} frames through a card for {sum(f['frames'] for f in files)}, "
        f"{lost} of them lost; {lowest} KB free at the end; the foreign file stays"
    )


def upgrade_wants_the_card(setting):
    """/tmp/sysupgrade.lock: the card can be unmounted within 2 s; recording goes on afterwards."""
    image = setting.card()
    with Camera(camera=clip("numbered.h264")) as camera:
        board = setting.board(config(("camera", camera.url()), storage=SHORT), image)
        board.wait_for_recording(frames=60)
        spans = []
        for round_number in range(3 if setting.full else 2):
            board.run(
                "touch /tmp/sysupgrade.lock; read a b </proc/uptime;"
                " until umount /mnt/mmcblk0p1 2>/dev/null; do sleep 0.1; done; read c d </proc/uptime"
            )
            began, ended = (float(it) for it in board.run("echo $a $c").split())
            spans.append(ended - began)
            board.wait_for_status("released", lambda status: status["storage"]["state"] == "released")
            assert not board.run("find /mnt -type f").strip()
            board.run("mount -t vfat /dev/vdc1 /mnt/mmcblk0p1; rm /tmp/sysupgrade.lock")
            board.wait_for_recording(frames=60 * (round_number + 2))
        board.shut_down()
    folder, files = setting.read(image, clip("numbered.h264"))
    assert set(card.verify(folder).values()) == {"whole"}
    assert max(spans) <= 2, f"{max(spans):.1f} s until the card could be unmounted"
    return f"unmounted {max(spans):.1f} s after the lock at most; {len(files)} files whole"


def card_stalls(setting):
    """A card that stands still: what memory holds is bridged, beyond that whole picture groups go, counted."""
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
        board.wait_for_recording(frames=status["cameras"][0]["frames"] + 150)
        lost = board.status()["cameras"][0]["losses"]["card"]
        board.shut_down()
    folder, files = setting.read(image, clip("bench.h264"), missing=lost)
    states = card.verify(folder)
    assert set(states.values()) == {"whole"}, states
    return f"2 s bridged; a longer stall cost {lost} frames, and {len(files)} files are whole"


TESTS = [card_stalls, card_comes_and_goes, card_turns_read_only, card_is_full, upgrade_wants_the_card]
