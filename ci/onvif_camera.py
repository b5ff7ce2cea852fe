"""An ONVIF camera that we did not write: ipycam, without its video.

onvif_camera.py [USER PASSWORD]

Listens on 127.0.0.1 alone, and to probes of multicast on the loopback. Says the port, then a line for
each request: whether it had a token, or is a `mark` of the test. Ends with its standard input.
"""
import http.server
import socket
import sys
import threading
import types

# Only ipycam's video needs these modules.
for name in ("cv2", "numpy"):
    module = types.ModuleType(name)
    module.__getattr__ = lambda attribute: type(attribute, (), {})
    sys.modules[name] = module

from ipycam.config import CameraConfig
from ipycam.discovery import WSDiscoveryServer
from ipycam.http import IPCameraHTTPHandler
from ipycam.onvif import ONVIFService


class Camera:
    pass


class Handler(IPCameraHTTPHandler):
    def handle_onvif(self):
        verify = self.camera.onvif.verify_usernametoken

        def told(body):
            said = "mark" if body == "mark" else "token" if "UsernameToken" in body else "plain"
            print(said, flush=True)
            return verify(body)

        self.camera.onvif.verify_usernametoken = told
        super().handle_onvif()
        self.camera.onvif.verify_usernametoken = verify


class Loopback(socket.socket):
    """Binds to the group and not to every address."""

    def bind(self, address):
        super().bind((WSDiscoveryServer.MULTICAST_ADDR, address[1]))


config = CameraConfig(local_ip="127.0.0.1")
if len(sys.argv) > 2:
    config.username, config.password = sys.argv[1:3]
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
config.onvif_port = server.server_port
Handler.camera = Camera()
Handler.camera.config = config
Handler.camera.onvif = ONVIFService(config)
plain, socket.socket = socket.socket, Loopback
discovery = WSDiscoveryServer(Handler.camera.onvif)
socket.socket = plain
# Otherwise it would announce itself on the default network.
discovery._send_announcement = lambda action: None
discovery.start()
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
