"""What surrounds a board: a camera's pictures and detectors, a web server, an MQTT server. All of it counts what it got."""

import collections
import contextlib
import http.server
import re
import socketserver
import subprocess
import threading
import time

# Pictures of a box that crosses the scene, then as many without it, twice a second.
CROSSING = 20
STILL = 30

EVENTS = "http://www.onvif.org/ver10/events/wsdl"
MOTION = """<NotificationMessage><Topic>tns1:VideoSource/MotionAlarm</Topic><Message><Message
PropertyOperation="Changed"><Data><SimpleItem Name="State" Value="{}"/></Data></Message></Message></NotificationMessage>"""


def pictures():
    scene = "testsrc=s=640x360:r=2,trim=end_frame=1,loop=loop=-1:size=1[scene]"
    box = "color=black:s=60x120:r=2[box];[scene][box]overlay=x=30*n:y=120"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-filter_complex", f"{scene};{box}", "-frames:v", str(CROSSING)]
    command += ["-f", "image2pipe", "-c:v", "mjpeg", "-"]
    data = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    moving = [b"\xff\xd8\xff" + part for part in data.split(b"\xff\xd8\xff")[1:]]
    return moving + [moving[-1]] * STILL


class World:
    """Both servers, on this machine's loopback; `counts` by what came."""

    def __init__(self):
        self.counts = collections.Counter()
        self.topics = collections.Counter()
        self.pictures = pictures()
        self.web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
        self.broker = Broker(("127.0.0.1", 0), Session)
        for server in (self.web, self.broker):
            server.world = self
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in (self.web, self.broker):
            server.shutdown()
            server.server_close()


class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        world = self.server.world
        world.counts["pictures"] += 1
        self.answer(world.pictures[world.counts["pictures"] % len(world.pictures)])

    def do_POST(self):
        world = self.server.world
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        name = re.search(r"<s:Body[^>]*><(\w+)", body)
        if not name:
            world.counts["webhook"] += 1
            self.answer(b"")
            return
        world.counts[name[1]] += 1
        port = self.server.server_port
        answer = {
            "GetServices": f"<Service><Namespace>{EVENTS}</Namespace><XAddr>http://10.9.9.9:{port}/e</XAddr></Service>",
            "CreatePullPointSubscription": f"""<SubscriptionReference><Address>http://0.0.0.0:{port}/pull</Address>
</SubscriptionReference><CurrentTime>2026-11-30T06:00:00Z</CurrentTime><TerminationTime>2026-11-30T06:00:40Z</TerminationTime>""",
        }.get(name[1], "")
        if name[1] == "PullMessages":
            time.sleep(2)
            answer = MOTION.format(str(world.counts["PullMessages"] % 10 < 5).lower())
        self.answer(f"<Envelope><Body>{answer}</Body></Envelope>".encode())

    def answer(self, body):
        # A board that was shut down waits for nothing any more.
        with contextlib.suppress(OSError):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class Broker(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


class Session(socketserver.StreamRequestHandler):
    """MQTT 3.1.1, as far as it takes to keep a client: everything is confirmed, nothing passed on."""

    def handle(self):
        while head := self.rfile.read(1):
            kind, length, shift = head[0], 0, 0
            while True:
                byte = self.rfile.read(1)[0]
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            body = self.rfile.read(length)
            answer = {1: b"\x20\x02\0\0", 8: b"\x90\x05" + body[:2] + b"\0\0\0", 12: b"\xd0\0"}.get(kind >> 4)
            if kind >> 4 == 3:
                size = int.from_bytes(body[:2], "big")
                self.server.world.topics[body[2 : 2 + size].decode()] += 1
                answer = b"\x40\x02" + body[2 + size : 4 + size] if kind & 2 else None
            if answer:
                self.wfile.write(answer)
