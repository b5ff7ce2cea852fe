#!/usr/bin/python3
"""Opens a recording in headless Chromium, seeks in it and checks the picture there.

usage: chromium_seek.py FILE.mp4 [FRACTION]

Serves the file with byte ranges on 127.0.0.1 and counts the requests for it. Prints one line of
JSON: {"requests": N, "bytes": SENT, "duration": S, "time": S, "width": W, "height": H, "colours": N,
"sound": DECODED_BYTES} where `colours` tells a picture from a blank one. Exit status 1 and why, if there is no picture
within 60 s.
"""
import http.server
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading

PAGE = """<!doctype html><title>seek</title><video id="video" muted preload="auto"></video><script>
const video = document.getElementById("video");
const report = (what) => fetch("/report", { method: "POST", body: JSON.stringify(what) });
video.onerror = () => report({ error: video.error.message });
// Requested at once, like a click into the time line.
video.onloadedmetadata = () => { video.currentTime = video.duration * FRACTION; };
video.onseeked = () => {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const pixels = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
  report({ duration: video.duration, time: video.currentTime, width: video.videoWidth,
           height: video.videoHeight, colours: new Set(pixels).size,
           sound: video.webkitAudioDecodedByteCount });
};
video.src = "/recording.mp4";
</script>"""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, file, fraction):
        super().__init__(("127.0.0.1", 0), Handler)
        self.file = file
        self.page = PAGE.replace("FRACTION", str(fraction)).encode()
        self.reports = queue.Queue()
        self.lock = threading.Lock()
        self.requests = 0
        self.sent = 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/recording.mp4":
            self.recording()
        elif self.path == "/":
            self.answer(200, "text/html", self.server.page)
        else:
            self.answer(404, "text/plain", b"")

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.server.reports.put(json.loads(self.rfile.read(length)))
        self.answer(200, "text/plain", b"")

    def recording(self):
        with self.server.lock:
            self.server.requests += 1
        size = os.path.getsize(self.server.file)
        first, last = 0, size - 1
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked:
            first = int(asked[1])
            last = min(int(asked[2] or last), last)
        if first > last:
            return self.answer(416, "video/mp4", b"", {"Content-Range": f"bytes */{size}"})
        self.send_response(206 if asked else 200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        try:
            self.send(first, last)
        except OSError:  # the browser needs no more of this range
            self.close_connection = True

    def send(self, first, last):
        with open(self.server.file, "rb") as file:
            file.seek(first)
            while first <= last:
                chunk = file.read(min(65536, last - first + 1))
                self.wfile.write(chunk)
                first += len(chunk)
                with self.server.lock:
                    self.server.sent += len(chunk)

    def answer(self, status, kind, body, headers=None):
        self.send_response(status)
        for name, value in {"Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def open_in_chromium(url, profile):
    return subprocess.Popen(
        [
            "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--disable-dev-shm-usage",
            "--autoplay-policy=no-user-gesture-required", f"--user-data-dir={profile}", url,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main():
    file = sys.argv[1]
    fraction = float(sys.argv[2]) if len(sys.argv) > 2 else 0.75
    server = Server(file, fraction)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        chromium = open_in_chromium(f"http://127.0.0.1:{server.server_port}/", profile)
        try:
            report = server.reports.get(timeout=60)
        except queue.Empty:
            report = {"error": "no picture within 60 s"}
        finally:
            chromium.terminate()
            try:
                chromium.wait(timeout=10)
            except subprocess.TimeoutExpired:
                chromium.kill()
                chromium.wait()
    if "error" in report:
        sys.exit(f"chromium_seek: {report['error']} (after {server.requests} requests)")
    print(json.dumps({"requests": server.requests, "bytes": server.sent, **report}))


if __name__ == "__main__":
    main()
