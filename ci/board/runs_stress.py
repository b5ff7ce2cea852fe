"""Cameras that fail, viewers that hang, a clock that is wrong, memory that runs out."""

import card
from board import free_port, wait_for
from camera import Camera, clip
from run import config
from runs_budget import within
from viewers import never_reads

SHORT = "segment_seconds = 5\nsync_seconds = 2\n"


def clients_that_never_read(setting):
    """Clients that read nothing take all connections: no frame is missing, TCP memory is bounded."""
    image = setting.card()
    with Camera(camera=clip("bench.h264")) as camera:
        board = setting.board(config(("camera", camera.url()), storage=SHORT), image)
        board.wait_for_recording(frames=200)
        # As many viewers as allowed: they hold the most memory.
        paths = ["/live/camera.mp4"] * 6 + ["/recordings/camera/000.mp4", "/api/events", "/"] * 6
        clients = [never_reads(board.port, path) for path in paths]
        peak = 0
        span, began = 120 if setting.full else 20, board.uptime()
        while board.uptime() - began < span:
            peak = max(peak, board.queued_kb())
        high, _ = board.memory()
        for client in clients:
            client.close()
        frames = board.wait_for_recording()["frames"]
        board.wait_for_recording(frames=frames + 50)
        lost = setting.lost(board, viewers_read=False)
        board.shut_down()
    _, files = setting.read(image, clip("bench.h264"), missing=lost)
    card.assert_follow_on(files, lost)
    assert peak > 0, "nobody was kept waiting"
    assert peak <= 1024, f"{peak:.0f} KB in TCP queues"
    # The budget of two viewers, and a quarter of a megabyte; without bounds it was 5,764.
    within("peak RSS", high, 5376)
    return f"24 clients for {span} s: {lost} frames lost, {peak:.0f} KB in TCP queues, peak RSS {high} KB"


def clock_is_wrong(setting):
    """Boots in 2019, steps by years while it records, and back by a day: order and lengths stay right."""
    image = setting.card()
    with Camera(camera=clip("numbered.h264")) as camera:
        text = config(("camera", camera.url()), storage=SHORT)
        board = setting.board(text, image, clock="2019-03-01T00:00:00")
        assert "2019" in board.run("date")
        board.wait_for_recording(frames=150)
        board.run("date -s '2027-06-01 12:00:00'")
        board.wait_for_recording(frames=350)
        board.run("date -s '2027-05-31 12:00:00'")
        board.wait_for_recording(frames=550)
        status, body = board.http("GET", "/api/recordings?limit=100")
        board.shut_down()
    assert status == 200, body
    folder, files = setting.read(image, clip("numbered.h264"))
    assert set(card.verify(folder).values()) == {"whole"}
    card.assert_follow_on(files)
    lengths = [file["frames"] for file in files[:-1]]
    assert all(125 <= length <= 150 for length in lengths), f"cut short or long: {lengths}"
    return f"{len(files)} files of {min(lengths)} to {max(lengths)} frames, none missing between them"


def cameras(setting, count):
    """This many cameras of 1 Mbit/s with small buffers: every frame, and the cost."""
    image, names = setting.card(), [f"camera{number}" for number in range(count)]
    with Camera(**dict.fromkeys(names, clip("modest.h264"))) as camera:
        keys = [(name, camera.url(name), "buffer_kb = 512") for name in names]
        board = setting.board(config(*keys, storage=SHORT), image)
        for name in names:
            board.wait_for_recording(name, frames=3000 if setting.full else 400)
        peak, anon = board.memory()
        lost = setting.lost(board)
        board.shut_down()
    folder = card.read_card(image, "recordings", setting.folder / "read")
    for part in (folder, *(folder / name for name in names[1:])):
        card.assert_follow_on(card.compare(clip("modest.h264"), part, lost), lost)
    assert peak <= 5120, f"{peak} KB, 5120 allowed"
    return f"peak RSS {peak} KB, anonymous {anon} KB, {lost} frames lost"


def two_cameras(setting):
    """Two cameras of 1 Mbit/s with small buffers: every frame, and the cost."""
    return cameras(setting, 2)


def four_cameras(setting):
    """The same with four cameras."""
    return cameras(setting, 4)


def camera_fails(setting):
    """Off at boot, lost, stalled, back with another codec: recording resumes with it, files contain what it sent."""
    image, port = setting.card(), free_port()
    board = setting.board(
        config(("camera", f"rtsp://10.0.2.2:{port}/camera"), storage=SHORT), image
    )
    board.wait_for_status("a try that fails", lambda s: s["cameras"][0]["last_error"])
    spans, segments = [], []
    for options, plays in (
        ([], "numbered.h264"), (["--stall-after", "150"], "numbered.h264"),
        (["--drop-after", "100"], "numbered.h264"), ([], "plain.h265"),
    ):
        before = board.status()["cameras"][0]["frames"]
        watch = board.stopwatch()
        with Camera(options, port=port, camera=clip(plays)):
            board.wait_for_status("frames", lambda s: s["cameras"][0]["frames"] > before)
            spans.append(watch())
            frames = board.status()["cameras"][0]["frames"] + (250 if options else 100)
            segments.append(board.wait_for_recording(frames=frames)["segment"])
        board.wait_for_status("the loss", lambda s: s["cameras"][0]["state"] != "live")
    board.shut_down()
    folder, files = setting.read_both(image, clip("numbered.h264"), clip("plain.h265"), segments[-2] + 1)
    assert set(card.verify(folder).values()) == {"whole"}
    # A try every second, of at most 2 s; a key frame comes at once.
    assert max(spans) <= 3, f"frames {max(spans):.1f} s after the camera answered again"
    return f"frames at most {max(spans):.1f} s after the camera answered again; {len(files)} files, all whole"


def camera_floods(setting):
    """A camera sends all that the network takes: memory stays in bounds, the page answers, then all is well."""
    image, port = setting.card(), free_port()
    url = f"rtsp://10.0.2.2:{port}/camera"
    board = setting.board(config(("camera", url), storage=SHORT), image)
    process = board.daemon()
    with Camera(["--speed", "max"], port=port, camera=clip("bench.h264")):
        seconds, watch = 60 if setting.full else 10, board.uptime()
        board.wait_for_status("a flood", lambda s: s["cameras"][0]["frames"] > 1000)
        answers = [board.wait_for_status("an answer", lambda s: s)]
        while board.uptime() - watch < seconds:
            answers.append(board.wait_for_status("an answer", lambda s: s))
    with Camera(port=port, camera=clip("bench.h264")):
        flooded = answers[-1]["cameras"][0]["frames"]
        came = board.wait_for_status("the camera again", lambda s: s["cameras"][0]["state"] == "live")
        board.wait_for_recording(frames=came["cameras"][0]["frames"] + 150)
        lost = board.status()["cameras"][0]["losses"]
        peak, _ = board.memory()
        assert board.daemon() == process, "it did not outlive the flood"
        board.shut_down()
    folder, files = setting.read(image, clip("bench.h264"), missing=sum(lost.values()))
    states = card.verify(folder)
    assert set(states.values()) == {"whole"}, states
    assert peak <= 5120, f"{peak} KB, 5120 allowed"
    return (
        f"{flooded} frames in {seconds} s, {len(answers)} times status, peak RSS {peak} KB, "
        f"{lost['card']} frames too many for the card; {len(files)} files whole"
    )


# Allocates 16 bytes times 2 to the power of LIMIT, and keeps them.
HOG = """awk 'BEGIN { x = "0123456789abcdef"; for (i = 0; i < LIMIT; i++) x = x x; system("sleep 600") }'"""


def memory_runs_out(setting):
    """One large process, then many smaller than the recorder, use up memory: it goes on and reports its losses."""
    image = setting.card()
    with Camera(camera=clip("numbered.h264")) as camera:
        board = setting.board(config(("camera", camera.url()), storage=SHORT), image)
        board.wait_for_recording(frames=100)
        before = board.run("pidof smolnvr").split()
        # Before the kernel gives up, it rereads programs from the flash, at times for minutes.
        board.run(HOG.replace("LIMIT", "30"), seconds=600, check=False)
        one = board.run("dmesg").count("Killed process")
        hog = HOG.replace("LIMIT", "16")
        board.run(f"for i in $(seq 20); do ({hog} >/dev/null 2>&1 &); done", seconds=600)
        killed = wait_for("memory to run out", lambda: board.run("dmesg", seconds=600).count("Killed process") > one + 2, 600)
        assert one and killed
        board.run("killall awk sleep", seconds=600, check=False)
        frames = board.wait_for_recording()["frames"]
        board.wait_for_recording(frames=frames + 100)
        after = board.run("pidof smolnvr").split()
        victims = board.run("dmesg").count("Killed process")
        # What the ring lost while the thread of the card got no memory is known once that thread goes on.
        goes_on = board.wait_for_status("the card", lambda status: status["cameras"][0]["durable_age_ms"] in range(5000))
        lost = sum(goes_on["cameras"][0]["losses"].values())
        board.shut_down()
    assert before == after, f"the kernel chose the recorder or its supervisor: {before}, then {after}"
    folder, files = setting.read(image, clip("numbered.h264"), missing=lost)
    assert set(card.verify(folder).values()) <= {"whole", "cut"}
    return f"{victims} processes died, the recorder is none of them; {lost} frames lost, {len(files)} files good"


TESTS = [camera_fails, memory_runs_out, clients_that_never_read, four_cameras, two_cameras, camera_floods, clock_is_wrong]
