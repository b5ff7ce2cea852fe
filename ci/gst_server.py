#!/usr/bin/python3
"""GStreamer's RTSP server: plays MP4 files on 127.0.0.1 to each client from the beginning; from a JPEG,
the same picture again and again.

usage: gst_server.py FILE h264|h265 [aac|latm|opus|pcmu|pcma]
       gst_server.py FILE.jpg jpeg

The third argument says how the file's sound is sent; without it there is none.

Prints "listening on rtsp://127.0.0.1:PORT/cam" once clients can connect; runs until it is ended.
"""
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


SOUND = {
    "aac": "aacparse ! rtpmp4gpay",
    "latm": "aacparse ! rtpmp4apay",
    "opus": "opusparse ! rtpopuspay",
    "pcmu": "rtppcmupay",
    "pcma": "rtppcmapay",
}


def main():
    file, codec, *sound = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    factory = GstRtspServer.RTSPMediaFactory()
    if codec == "jpeg":
        source = f'multifilesrc location="{file}" loop=true caps=image/jpeg,framerate=25/1'
        factory.set_launch(f"( {source} ! jpegparse ! rtpjpegpay name=pay0 pt=26 )")
    else:
        # Parameter sets in band before every key frame, as well as in the SDP.
        launch = (
            f'filesrc location="{file}" ! qtdemux name=demux demux.video_0 ! queue'
            f" ! {codec}parse config-interval=-1 ! rtp{codec}pay name=pay0 pt=96"
        )
        if sound:
            launch += f" demux.audio_0 ! queue ! {SOUND[sound[0]]} name=pay1 pt=97"
        factory.set_launch(f"( {launch} )")
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)
    print(f"listening on rtsp://127.0.0.1:{server.get_bound_port()}/cam", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
