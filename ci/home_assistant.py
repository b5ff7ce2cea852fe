"""Home Assistant itself finds a recorder over mosquitto, uses it, and loses and finds it again.

home_assistant.py, with Python 3.12 and these packages, which no other test needs (200 MB):

    homeassistant==2025.1.4 home-assistant-frontend==20250109.2 paho-mqtt==1.6.1 numpy==2.2.1

Needs target/debug/smolnvr, target/debug/camera and mosquitto. Everything listens on 127.0.0.1 alone. Says what
it sees; fails if an entity is missing or does not follow.
"""

import asyncio
import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

from homeassistant import bootstrap, runner

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILT = TOP / "target/debug"
ENTRY = {
    "data": {}, "disabled_by": None, "discovery_keys": {}, "domain": "mqtt", "entry_id": "01JTEST0000000000000000000",
    "created_at": "2026-01-01T00:00:00+00:00", "modified_at": "2026-01-01T00:00:00+00:00", "options": {},
    "pref_disable_new_entities": False, "pref_disable_polling": False, "source": "user", "title": "mqtt",
    "unique_id": None, "version": 1, "minor_version": 2,
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class World:
    """A camera, a recorder, and an MQTT server, which may end and come back."""

    def __init__(self, folder):
        self.folder, self.mqtt = folder, free_port()
        (folder / "recordings").mkdir()
        (folder / "mosquitto.conf").write_text(f"listener {self.mqtt} 127.0.0.1\nallow_anonymous true\n")
        self.camera = subprocess.Popen([BUILT / "camera", "--port", "0"], stdout=subprocess.PIPE, text=True)
        url = re.search(r"rtsp://\S+", self.camera.stdout.readline())[0]
        (folder / "smolnvr.toml").write_text(
            f'[storage]\npath = "{folder}/recordings"\nrequire_mount = false\n[web]\nlisten = "127.0.0.1:0"\n'
            f'[[camera]]\nname = "yard"\nurl = "{url}"\n[mqtt]\nbroker = "mqtt://127.0.0.1:{self.mqtt}"\ntopic = "nvr"\n'
        )
        self.start_server()
        self.start_recorder()

    def start_server(self):
        command = ["/usr/sbin/mosquitto", "-c", self.folder / "mosquitto.conf"]
        self.server = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def start_recorder(self):
        command = [BUILT / "smolnvr", "run", "-c", self.folder / "smolnvr.toml", "--socket", self.folder / "sock"]
        self.recorder = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def door(self, state):
        mark = json.dumps({"kind": "door", "camera": "yard", "state": state})
        command = ["curl", "-sf", "-o", "/dev/null", "--unix-socket", self.folder / "sock"]
        subprocess.run([*command, "-d", mark, "http://localhost/api/marks"], check=True)

    def end(self):
        for process in (self.recorder, self.camera, self.server):
            process.kill()
            process.wait()


async def tried(folder, world):
    home = folder / "home"
    (home / ".storage").mkdir(parents=True)
    (home / "configuration.yaml").write_text(f"http:\n  server_host: 127.0.0.1\n  server_port: {free_port()}\n")
    entry = {**ENTRY, "data": {"broker": "127.0.0.1", "port": world.mqtt}}
    entries = {"version": 1, "minor_version": 4, "key": "core.config_entries", "data": {"entries": [entry]}}
    (home / ".storage/core.config_entries").write_text(json.dumps(entries))
    hass = await bootstrap.async_setup_hass(runner.RuntimeConfig(config_dir=str(home), skip_pip=True))
    await hass.async_start()

    def ids(end):
        return [it.entity_id for it in hass.states.async_all() if it.entity_id.endswith(end)]

    async def shows(end, state):
        began = time.monotonic()
        while not any(hass.states.get(it).state == state for it in ids(end)):
            assert time.monotonic() - began < 90, f"{end} is not {state}: {hass.states.async_all()}"
            await asyncio.sleep(0.2)
        print(f"{end}: {state} after {time.monotonic() - began:.1f} s", flush=True)

    for end, state in (("_recording", "on"), ("_motion", "off"), ("_card", "off"), ("_card_state", "ok"), ("_yard", "on")):
        await shows(end, state)
    assert ids("_days_that_fit") and ids("_picture")
    for action, state in (("turn_off", "off"), ("turn_on", "on")):
        await hass.services.async_call("switch", action, {"entity_id": ids("_recording")}, blocking=True)
        await shows("_recording", state)
    for state in ("on", "off"):
        world.door(state)
        await shows("_motion", state)
    assert hass.states.get(ids("_motion")[0]).attributes["kind"] == "door"
    for stop, start in ((world.server, world.start_server), (world.recorder, world.start_recorder)):
        stop.kill()
        stop.wait()
        await shows("_recording", "unavailable")
        start()
        await shows("_recording", "on")
    await hass.async_stop(force=True)


with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
    world = World(pathlib.Path(name))
    try:
        asyncio.run(tried(pathlib.Path(name), world))
    finally:
        world.end()
print("found, used, lost and found again")
sys.stdout.flush()
