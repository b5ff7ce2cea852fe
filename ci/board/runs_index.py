"""As many recordings as a folder holds, and their index."""

import json
import struct
import subprocess
import zlib

import card
from board import wait_for
from camera import Camera, clip
from run import TOP, config

# Nearly as many as FAT holds, so that none is deleted for a new one.
COUNT = 29_900
# The identity box of a recording, after its type.
IDENTITY = bytes.fromhex("5e1c0b4e6d3a4f589b27") + b"smolnv"
NUMBER, WALL, NAME = 2, 30, 38
MINUTE = 60_000
INDEX = "/mnt/mmcblk0p1/recordings/000.idx"


def index_of_thirty_thousand(setting):
    """29,900 recordings: recording begins as fast as without an index, and with it the list is there at once."""
    image = setting.card()
    first = thirty_thousand(setting, image)
    with Camera(camera=clip("bench.h264")) as camera:
        text = config(("camera", camera.url()), storage="keep_free_percent = 0\nsegment_seconds = 5\n")
        board = setting.board(text, image)
        board.wait_for_status("the list", lambda status: status["storage"]["list_complete"])
        board.run("/etc/init.d/S97smolnvr stop")
        durable, complete, status = start(board)
        peak, anonymous = board.memory()
        assert status["storage"]["segments"] >= COUNT, status["storage"]
        oldest = json.loads(board.http("GET", "/api/recordings?camera=camera&number=0")[1])["recordings"][0]
        assert oldest["start_ms"] == first["start_ms"] - COUNT * MINUTE, oldest
        timeline = day(board, first["start_ms"] - COUNT // 2 * MINUTE)
        # The same without the index.
        board.run(f"/etc/init.d/S97smolnvr stop && rm {INDEX}")
        without, _, status = start(board, is_indexed=False)
        assert not status["storage"]["list_complete"], "all heads were read within seconds"
        board.shut_down()
    assert complete <= 1, f"the list was complete {complete:.1f} s after the first frame"
    assert durable <= without + 1, f"the first frame after {durable:.1f} s, without an index {without:.1f} s"
    # The budget with 1,000 recordings, and 1 MB for the list.
    assert peak <= 5120 + 1024, f"{peak} KB, {5120 + 1024} allowed"
    return (
        f"first frame {durable:.1f} s after the start, {without:.1f} s without the index; the list of {COUNT} "
        f"complete {max(0, complete):.1f} s after it; a day's timeline {timeline:.0f} ms; peak RSS {peak} KB, "
        f"anonymous {anonymous} KB"
    )


def day(board, start_ms):
    """The timeline of a day in the middle: how much longer it takes than an answer that needs no list, in ms."""

    def takes(path, count=20):
        watch = board.stopwatch()
        for _ in range(count):
            status, body = board.http("GET", path)
            assert status == 200 and len(body) <= 2048, body[:200]
        return watch() / count * 1000

    span = f"from={start_ms}&to={start_ms + 1440 * MINUTE}"
    spans = json.loads(board.http("GET", f"/api/timeline?camera=camera&{span}")[1])["spans"]
    assert spans[-1][3] - spans[0][2] >= 1438, spans
    return takes(f"/api/timeline?camera=camera&{span}") - takes("/api/session")


def start(board, is_indexed=True):
    """Starts the recorder: seconds to its first frame on the card, and from there to the whole list."""
    watch = board.stopwatch()
    board.run("/etc/init.d/S97smolnvr start")
    board.wait_for_recording()
    durable = watch()
    status = board.wait_for_status("the list", lambda s: s["storage"]["list_complete"] or not is_indexed)
    return durable, watch() - durable, status


def thirty_thousand(setting, image):
    """Puts them onto the card, a minute apart: one that is recorded on this machine, each with its number and time,
    and their index. What that one is."""
    folder = setting.folder / "recordings"
    folder.mkdir()
    card.put(image, folder, "recordings")
    with Camera(["--frames", "2"], camera=clip("plain.h264")) as camera:
        text = (
            f'[storage]\npath = "{folder}"\nrequire_mount = false\n[web]\nlisten = "127.0.0.1:0"\n'
            f'[[camera]]\nname = "camera"\nurl = "rtsp://127.0.0.1:{camera.port}/camera"\n'
        )
        (setting.folder / "host.toml").write_text(text)
        command = [TOP / "target/release/smolnvr", "run", "-c", setting.folder / "host.toml"]
        recorder = subprocess.Popen([*command, "--socket", setting.folder / "host.sock"], stderr=subprocess.DEVNULL)
        wait_for("a recording", lambda: any(file.stat().st_size > 0 for file in folder.glob("*.mp4")))
        wait_for("the end of the stream", lambda: "Finished" in str(camera.sessions()))
        recorder.terminate()
        recorder.wait()
    command = [TOP / "target/release/smolnvr", "list", "-c", setting.folder / "host.toml", "--json"]
    first = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)[0]
    content = (folder / "000.mp4").read_bytes()
    at = content.index(IDENTITY) + len(IDENTITY)

    def copy(number):
        start = first["start_ms"] - (COUNT - number) * MINUTE
        parts = [content[: at + NUMBER], struct.pack(">I", number), content[at + NUMBER + 4 : at + WALL]]
        return b"".join([*parts, struct.pack(">q", start), content[at + WALL + 8 :]])

    first["cause"] = content[at + NAME + 1 + content[at + NAME] + 8]
    files = [(f"{number:03}.mp4", copy(number)) for number in range(COUNT)]
    card.fill(image, "recordings", [("000.idx", index(first)), *files])
    return first


def index(first):
    """Their index, as src/storage/index.rs has it."""
    codecs = first["mime"].split('"')[1].encode()
    texts = [(2, b"camera"), (3, codecs)]
    assert all(len(text) <= 23 for _, text in texts), texts
    records = [bytes([kind, 0, 0, len(text), 0]) + text for kind, text in texts]
    for number in range(COUNT):
        digits = max(3, len(str(number)))
        name = struct.pack(">IB", number, digits << 2)
        facts = int(first["clock_trusted"]) | {"h264": 1, "h265": 2}[first["codec"]] << 3
        start = first["start_ms"] - (COUNT - number) * MINUTE
        times = first["bytes"].to_bytes(6, "big") + start.to_bytes(6, "big") + struct.pack(">I", first["duration_ms"])
        records.append(bytes([1, 0]) + name + bytes([facts, 0, 0]) + times + bytes([0, first["cause"]]))
    records = [record.ljust(28, b"\0") for record in records]
    return b"".join(record + struct.pack(">I", zlib.crc32(record)) for record in records)


TESTS = [index_of_thirty_thousand]
