"""Booting, the init script, and every way of installing."""

import card
from board import wait_for
from camera import Camera, clip
from run import config

SHORT = "segment_seconds = 5\nsync_seconds = 2\n"


def boot_to_recording(setting):
    """From power on to recording; start, stop, restart and reload; poweroff leaves the card clean."""
    image = setting.card()
    with Camera(camera=clip("numbered.h264")) as camera:
        board = setting.board(config(("camera", camera.url()), storage=SHORT), image)
        board.wait_for_recording()
        since_power_on = board.uptime()
        process = board.daemon()
        assert "Seccomp:\t2" in board.run(f"cat /proc/{process}/status"), "not under kernel49"
        total = board.numbers("grep MemTotal /proc/meminfo")[0]
        assert total < 28 * 1024, f"MemTotal {total} KB"
        script = "/etc/init.d/S97smolnvr"
        for _ in range(2):
            assert board.daemon() == process
            board.run(f"{script} start")
            assert board.daemon() == process, "start started another"
            board.run(f"{script} reload")
            board.run(f"{script} status")
            board.run(f"{script} restart")
            assert board.daemon() != process, "restart did nothing"
            process = board.daemon()
            board.wait_for_recording(frames=60)
            board.run(f"{script} stop")
            board.run(f"{script} stop")
            board.wait_for_end()
            board.run(f"{script} start")
            process = board.daemon()
            board.wait_for_recording()
        board.wait_for_recording(frames=60)
        board.shut_down()
    recordings, files = setting.read(image, clip("numbered.h264"))
    states = card.verify(recordings)
    assert set(states.values()) == {"whole"}, states
    assert card.is_clean(image), "the card was not unmounted"
    return (
        f"recording {since_power_on:.1f} s after power on, MemTotal {total} KB; "
        f"{len(files)} files, {sum(file['frames'] for file in files)} frames, all whole"
    )


def installed_by_ipk(setting):
    """The .ipk's files in the firmware: it boots and records."""
    image = setting.card()
    with Camera(camera=clip("numbered.h264")) as camera:
        board = setting.board(config(("camera", camera.url()), storage=SHORT), image, way="ipk")
        board.wait_for_recording(frames=60)
        mode = board.run("ls -l /etc/smolnvr.toml /etc/default/smolnvr")
        board.shut_down()
    _, files = setting.read(image, clip("numbered.h264"))
    assert "-rw-------" in mode and files, mode
    card.assert_follow_on(files)
    return f"{sum(file['frames'] for file in files)} frames in {len(files)} files"


def installed_on_the_card(setting):
    """install.sh on a firmware without smolnvr: it records, also after the next boot, and runs from RAM."""
    image = setting.card()
    card.put(image, setting.images.sdcard() / "smolnvr", "download")
    with Camera(camera=clip("numbered.h264")) as camera:
        text = config(("camera", camera.url()), storage=SHORT)
        board = setting.board(None, image, way="none", files={"/root/mine.toml": text})
        wait_for("the card", lambda: "/mnt/mmcblk0p1" in board.run("cat /proc/mounts"))
        board.run("mkdir -p /mnt/mmcblk0p1/smolnvr && cp /root/mine.toml /mnt/mmcblk0p1/smolnvr/smolnvr.toml")
        said = board.run("sh /mnt/mmcblk0p1/download/install.sh")
        assert "is on /mnt/mmcblk0p1 and runs" in said, said
        board.wait_for_recording(frames=60)
        board.shut_down()
        assert card.is_clean(image), "the card was not unmounted"
        board = setting.board(None, image, way="none")
        board.wait_for_recording(frames=60)
        since_power_on = board.uptime()
        process = board.daemon()
        held = board.run("ls -l /proc/$(pidof smolnvrd)/exe /proc/$(pidof smolnvrd)/cwd " + f"/proc/{process}/exe /proc/{process}/cwd")
        assert "/tmp/smolnvr/smolnvr" in held and "/mnt" not in held, held
        released = seconds_to_unmount(board)
        board.wait_for_recording(frames=120)
        board.shut_down()
    assert card.is_clean(image), "the card was not unmounted"
    folder, files = setting.read(image, clip("numbered.h264"))
    assert set(card.verify(folder).values()) == {"whole"}
    assert released <= 2, f"{released:.1f} s until the card could be unmounted"
    return (
        f"recorded at the next boot {since_power_on:.1f} s after power on; for an upgrade the card was free in "
        f"{released:.1f} s; {len(files)} files, the card clean after each poweroff"
    )


def seconds_to_unmount(board):
    """A firmware upgrade needs the card: measures the time until it is unmounted, then mounts it again."""
    waited = board.waited()
    board.run(
        "touch /tmp/sysupgrade.lock; read a b </proc/uptime;"
        " until umount /mnt/mmcblk0p1 2>/dev/null; do sleep 0.1; done; read c d </proc/uptime"
    )
    waited = board.waited() - waited
    board.wait_for_status("released", lambda status: status["storage"]["state"] == "released")
    assert not board.run("find /mnt -type f").strip(), "written under the empty mount point"
    board.run("mount -t vfat /dev/vdc1 /mnt/mmcblk0p1; rm /tmp/sysupgrade.lock")
    began, ended = (float(it) for it in board.run("echo $a $c").split())
    return ended - began - waited


def upgrade_wants_the_card(setting):
    """/tmp/sysupgrade.lock: the card can be unmounted within 2 s; recording goes on afterwards."""
    image = setting.card()
    with Camera(camera=clip("numbered.h264")) as camera:
        board = setting.board(config(("camera", camera.url()), storage=SHORT), image)
        board.wait_for_recording(frames=60)
        spans = []
        for round_number in range(3 if setting.full else 2):
            spans.append(seconds_to_unmount(board))
            board.wait_for_recording(frames=60 * (round_number + 2))
        board.shut_down()
    folder, files = setting.read(image, clip("numbered.h264"))
    assert set(card.verify(folder).values()) == {"whole"}
    assert max(spans) <= 2, f"{max(spans):.1f} s until the card could be unmounted"
    return f"unmounted {max(spans):.1f} s after the lock at most; {len(files)} files whole"


TESTS = [boot_to_recording, installed_by_ipk, installed_on_the_card, upgrade_wants_the_card]
