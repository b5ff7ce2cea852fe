#!/usr/bin/python3
"""Records raw H.264 or H.265 streams that GStreamer's RTSP server sends, and compares.

usage: ci/conformance.py SMOLNVR STREAM...

For each stream, over TCP and over UDP: every VCL NAL unit from the first key picture on is in the
recording, in order, and FFmpeg makes the same pictures of recording and source. A line for each; exit
status 1 if one differs. Meant for the conformance streams of the JVT and JCT-VC (H.264.1, H.265.1),
which are not in this repository: their licence is unclear. Wants ffmpeg, GStreamer and python3-gi.
Names that end in 265, hevc or bit are H.265.

A stream's access units are cut by FFmpeg's parser, its times are the order of FFmpeg's decoder at 25
pictures a second.
"""
import json
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

PATIENCE_SECONDS = 10


def main():
    if sys.argv[1:2] == ["--serve"]:
        return serve(*sys.argv[2:])
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    program, *streams = sys.argv[1:]
    same = [check(program, stream, kind) for stream in streams for kind in ("tcp", "udp")]
    sys.exit(0 if all(same) else 1)


def codec_of(stream):
    return "h265" if stream.endswith(("265", "hevc", "bit")) else "h264"


def check(program, stream, transport):
    codec = codec_of(stream)
    sent = vcl(nal_units(pathlib.Path(stream).read_bytes()), codec)
    first = next((at for at, nal in enumerate(sent) if is_key(nal, codec)), 0)
    nals, drawn = record(program, stream, transport, codec)
    # The server plays the stream again; that is a second run.
    wanted, expected = sent[first:], pictures(stream)
    are_same = nals[: len(wanted)] == wanted, drawn[: len(expected)] == expected
    counts = f"{len(wanted)} NAL units, {len(expected)} pictures"
    said = counts if all(are_same) else f"{counts}: NAL units, pictures the same: {are_same}"
    print(f"{'ok   ' if all(are_same) else 'wrong'} {transport} {stream}: {said}", flush=True)
    return all(are_same)


def record(program, stream, transport, codec):
    """Records until the camera ends its stream; returns the VCL NAL units and the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        recordings = folder / "recordings"
        recordings.mkdir()
        log = folder / "log"
        server = subprocess.Popen(
            ["/usr/bin/python3", __file__, "--serve", stream],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            url = server.stdout.readline().decode().strip()
            (folder / "smolnvr.toml").write_text(
                f'[storage]\npath = "{recordings}"\nrequire_mount = false\nkeep_free_percent = 0\n'
                f'segment_seconds = 600\nsync_seconds = 1\n[web]\nlisten = "127.0.0.1:{free_port()}"\n'
                f'[[camera]]\nname = "camera"\nurl = "{url}"\nsnapshot = "off"\nbuffer_kb = 8192\n'
                f'transport = "{transport}"\n'
            )
            arguments = ["run", "--socket", folder / "socket", "-c", folder / "smolnvr.toml"]
            with log.open("wb") as out:
                nvr = subprocess.Popen([program, *arguments], stdout=out, stderr=out)
            wait_for_end(recordings, log)
            nvr.send_signal(signal.SIGTERM)
            nvr.wait(10)
        finally:
            server.kill()
            server.wait()
        nals, drawn = [], []
        for file in sorted(recordings.glob("*.mp4"), key=lambda it: int(it.stem)):
            nals += vcl(samples(file), codec)
            drawn += pictures(file)
        return nals, drawn


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_end(recordings, log):
    """Waits until a run has ended, or nothing was written for a while."""
    size, since = -1, time.monotonic()
    while " packets=" not in log.read_text() and time.monotonic() - since < PATIENCE_SECONDS:
        time.sleep(0.3)
        now = sum(file.stat().st_size for file in recordings.glob("*.mp4"))
        if now != size:
            size, since = now, time.monotonic()


def nal_units(stream):
    units = (unit.rstrip(b"\0") for unit in re.split(b"\0\0\1", stream))
    return [unit for unit in units if unit]


def samples(file):
    """The NAL units of a recording, at the sample positions that FFmpeg reports."""
    found = []
    with open(file, "rb") as media:
        for line in probe(file, "-show_entries", "packet=pos,size", "-of", "json")["packets"]:
            media.seek(int(line["pos"]))
            rest = media.read(int(line["size"]))
            while rest:
                (length,) = struct.unpack(">I", rest[:4])
                found.append(rest[4 : 4 + length])
                rest = rest[4 + length :]
    return found


def kind(nal, codec):
    return nal[0] & 31 if codec == "h264" else nal[0] >> 1 & 63


def vcl(nals, codec):
    return [nal for nal in nals if kind(nal, codec) in (range(1, 6) if codec == "h264" else range(32))]


def is_key(nal, codec):
    return kind(nal, codec) in ([5] if codec == "h264" else range(16, 24))


def pictures(file):
    command = ["ffmpeg", "-nostdin", "-v", "quiet", "-i", str(file), "-map", "0:v:0"]
    command += ["-fps_mode", "passthrough", "-f", "framemd5", "-"]
    lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    return [line.rsplit(",", 1)[1].strip() for line in lines if line[:1] != "#"]


def probe(file, *arguments):
    command = ["ffprobe", "-v", "quiet", "-select_streams", "v:0", *arguments, str(file)]
    return json.loads(subprocess.run(command, capture_output=True).stdout)


def serve(stream):
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    units, codec = timed_units(stream), codec_of(stream)
    caps = f"video/x-{codec},stream-format=byte-stream,alignment=au"
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f"( appsrc name=source format=time max-bytes=0 caps={caps} ! rtp{codec}pay name=pay0 pt=96 )"
    )

    def feed(source):
        for at, (unit, place) in enumerate(units):
            buffer = Gst.Buffer.new_wrapped(unit)
            buffer.dts, buffer.pts = at * 40 * Gst.MSECOND, (place + 8) * 40 * Gst.MSECOND
            source.emit("push-buffer", buffer)
        source.emit("end-of-stream")

    def configure(_, media):
        GLib.idle_add(feed, media.get_element().get_by_name_recurse_up("source"))

    factory.connect("media-configure", configure)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    print(f"rtsp://127.0.0.1:{server.get_bound_port()}/camera", flush=True)
    GLib.MainLoop().run()


def timed_units(stream):
    """Access units in order, and the place of each among the pictures shown."""
    form = "h264" if codec_of(stream) == "h264" else "hevc"
    found = probe(
        stream, "-f", form, "-show_packets", "-show_frames", "-of", "json",
        "-show_entries", "packet=pos,size:frame=pkt_pos",
    )  # fmt: skip
    found = found["packets_and_frames"]
    shown = {}
    for place, frame in enumerate(it for it in found if it["type"] == "frame"):
        shown.setdefault(int(frame["pkt_pos"]), place)
    data, units, place = pathlib.Path(stream).read_bytes(), [], 0
    for packet in (it for it in found if it["type"] == "packet"):
        begin, size = int(packet["pos"]), int(packet["size"])
        # A second field is shown with the first.
        place = shown.get(begin, place)
        units.append((data[begin : begin + size], place))
    return units


if __name__ == "__main__":
    main()
