"""Checks a running smolnvr against its own description: openapi.py http://HOST:PORT PASSWORD

Schemathesis makes requests of every route that may be asked anything at any time, right ones and wrong
ones; the rest is asked here, once, and the answers are held against the description. The last
request ends the daemon.
"""

import base64
import subprocess
import sys
import tempfile

import requests
import schemathesis
from prometheus_client.parser import text_string_to_metric_families

# Requests that change how the daemon is reached, delete something needed, or never end, follow below.
BY_HAND = [
    "/api/events", "/api/session", "/api/password", "/api/config", "/api/probe", "/api/discover",
    "/api/shutdown", "/api/storage/release", "/api/storage/resume", "/api/recordings/{camera}",
    "/live/{camera}.mp4", "/live/{camera}", "/snapshot/{camera}.jpg",
    # A span of more than a day is refused, which the description cannot express.
    "/hls/{camera}.m3u8",
    # Two numbers that are each valid are rarely valid together.
    "/api/timeline", "/api/days", "/api/clock", "/api/marks", "/clip/{camera}.mp4",
]
SECONDS = 15
# Each route's own tests judge which requests are valid; the access tests judge who may make them.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance," \
    "response_headers_conformance,response_schema_conformance,positive_data_acceptance," \
    "unsupported_method"


def main():
    url, password = sys.argv[1:]
    login = "Basic " + base64.b64encode(f"nvr:{password}".encode()).decode()
    fuzz(url, login)
    session = requests.Session()
    session.headers["Authorization"] = login
    walk(url, session)
    guest = sessions(url, password)
    metrics(ask(url, guest, "GET", "/metrics", 200).text)
    ask(url, guest, "POST", "/api/shutdown", 200)
    print("openapi: ok")


def fuzz(url, login):
    # Its findings go here; it would also read its configuration from the current folder.
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", f"{url}/api/openapi.json",
            "--header", f"Authorization: {login}", "--checks", CHECKS, "--phases", "coverage,fuzzing",
            "--max-time", str(SECONDS), "--seed", "1", "--request-timeout", "10", "--warnings", "off",
        ]
        for path in BY_HAND:
            command += ["--exclude-path", path]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(result.stdout[-12000:] + result.stderr[-2000:])


def walk(url, session):
    """Makes a valid request to each route left out above, and a wrong one to each that takes parameters."""
    recordings = ask(url, session, "GET", "/api/recordings?limit=2", 200).json()["recordings"]
    camera, number = recordings[-1]["camera"], recordings[-1]["number"]
    assert recordings[-1]["state"] == "whole"
    begin = recordings[-1]["start_ms"]
    clip = f"/clip/{camera}.mp4?from={begin}&to={begin + 1500}"
    whole = ask(url, session, "GET", clip, 200, "/clip/{camera}.mp4")
    ask(url, session, "GET", f"/clip/{camera}.mp4?from=2&to=1", 400, "/clip/{camera}.mp4")
    asked = {"Range": "bytes=0-9"}
    ask(url, session, "GET", clip, 206, "/clip/{camera}.mp4", headers=asked)
    asked = {"If-None-Match": whole.headers["ETag"]}
    ask(url, session, "GET", clip, 304, "/clip/{camera}.mp4", headers=asked)
    span = f"?from={begin}&to={begin + 1}"
    for method in ("PUT", "DELETE"):
        ask(url, session, method, f"/api/keep/{camera}{span}", 200, "/api/keep/{camera}")
        ask(url, session, method, f"/api/keep/{camera}?from=1&to=2", 404, "/api/keep/{camera}")
    spans = "/api/recordings/{camera}"
    ask(url, session, "DELETE", f"/api/recordings/{camera}?from=1&to=2", 404, spans)
    ask(url, session, "DELETE", f"/api/recordings/{camera}?from=1", 400, spans)
    times = f"camera={camera}&from={begin}&to={begin + 86_400_000}"
    assert ask(url, session, "GET", f"/api/timeline?{times}", 200, "/api/timeline").json()["spans"]
    ask(url, session, "GET", f"/api/timeline?from=0&to={begin}", 400, "/api/timeline")
    mark = {"camera": camera, "kind": "door", "words": "Haustür"}
    ask(url, session, "POST", "/api/marks", 200, json=mark | {"state": "on"})
    assert ask(url, session, "POST", "/api/marks", 200, json=mark | {"state": "off"}).json()["end_ms"]
    ask(url, session, "POST", "/api/marks", 409, json=mark | {"state": "off"})
    ask(url, session, "POST", "/api/marks", 400, json={"camera": camera, "kind": "A door"})
    ask(url, session, "POST", "/api/marks", 404, json=mark | {"camera": "none"})
    for nth in range(60):
        session.post(f"{url}/api/marks", json=mark | {"kind": f"kind-{nth}"})
    ask(url, session, "POST", "/api/marks", 429, json=mark | {"kind": "one-more"})
    assert len(ask(url, session, "GET", f"/api/marks?camera={camera}&limit=9", 200, "/api/marks").json()["marks"]) == 9
    ask(url, session, "GET", "/api/marks?limit=0", 400, "/api/marks")
    ask(url, session, "GET", "/api/marks?camera=none", 404, "/api/marks")
    assert ask(url, session, "GET", f"/api/timeline?{times}", 200, "/api/timeline").json()["marks"]
    ask(url, session, "GET", f"/api/days?{times}&tz=60,{begin}:120", 200, "/api/days")
    ask(url, session, "GET", "/api/days?tz=Berlin", 400, "/api/days")
    ask(url, session, "GET", "/api/days?camera=none", 404, "/api/days")
    playlist = ask(url, session, "GET", f"/hls/{camera}.m3u8?from={begin}", 200, "/hls/{camera}.m3u8")
    init, media = [line for line in playlist.text.replace('"', "\n").splitlines() if line.startswith(f"{camera}/")][:2]
    ask(url, session, "GET", f"/hls/{init}", 200, "/hls/{camera}/{number}.mp4")
    path = "/hls/{camera}/{number}.m4s"
    whole = ask(url, session, "GET", f"/hls/{media}", 200, path)
    ask(url, session, "GET", f"/hls/{media}", 206, path, headers={"Range": "bytes=5-9"})
    ask(url, session, "GET", f"/hls/{media}", 304, path, headers={"If-None-Match": whole.headers["ETag"]})
    ask(url, session, "POST", "/api/clock", 400, json={"now_ms": "noon"})
    config = ask(url, session, "GET", "/api/config", 200).json()
    assert ask(url, session, "PUT", "/api/config", 200, json=config).json() == config
    ask(url, session, "PUT", "/api/config", 400, json={"storage": {"segment_seconds": 1}})
    ask(url, session, "PUT", "/api/config", 400, data="{")
    camera_url = config["camera"][0]["url"]
    probe = ask(url, session, "POST", "/api/probe", 200, json={"url": camera_url, "camera": camera})
    assert probe.json()["video"] and probe.json()["picture"]
    ask(url, session, "POST", "/api/probe", 400, json={"url": "gopher://a/"})
    ask(url, session, "POST", "/api/probe", 502, json={"url": "rtsp://127.0.0.1:1/"})
    ask(url, session, "POST", "/api/discover", 200, json={"address": camera_url.split("@")[-1] if "@" in camera_url else camera_url})
    ask(url, session, "POST", "/api/discover", 400, json={"address": "192.0.2.1.example.com/ /"})
    ask(url, session, "POST", "/api/discover", 400, json={"address": "8.8.8.8"})
    ask(url, session, "POST", "/api/discover", 502, json={"address": "rtsp://127.0.0.1:1"})
    ask(url, session, "POST", "/api/storage/release", 200)
    ask(url, session, "POST", "/api/storage/resume", 200)
    file = f"/recordings/{camera}/{number:03}.mp4"
    whole = ask(url, session, "GET", file, 200, "/recordings/{camera}/{number}.mp4")
    asked = {"Range": "bytes=0-9"}
    ask(url, session, "GET", file, 206, "/recordings/{camera}/{number}.mp4", headers=asked)
    asked = {"If-None-Match": whole.headers["ETag"]}
    ask(url, session, "GET", file, 304, "/recordings/{camera}/{number}.mp4", headers=asked)
    asked = {"Range": "bytes=99999999999-"}
    ask(url, session, "GET", file, 416, "/recordings/{camera}/{number}.mp4", headers=asked)
    ask(url, session, "GET", f"/live/{camera}", 426, "/live/{camera}")
    ask(url, session, "GET", "/snapshot/none.jpg", 404, "/snapshot/{camera}.jpg")
    ask(url, session, "GET", f"/snapshot/{camera}.jpg", 503, "/snapshot/{camera}.jpg")
    for path in ("/api/events", f"/live/{camera}.mp4"):
        with session.get(url + path, stream=True, timeout=30) as response:
            assert response.status_code == 200, path
            assert len(response.raw.read(1000)) == 1000, path
    gone = f"/api/recordings/{camera}/{number}"
    ask(url, session, "DELETE", gone, 200, "/api/recordings/{camera}/{number}")
    ask(url, session, "DELETE", gone, 404, "/api/recordings/{camera}/{number}")


def sessions(url, password):
    """Logs in and out, sets the same password again, guesses; returns a logged-in session."""
    stranger = requests.Session()
    assert not ask(url, stranger, "GET", "/api/session", 200).json()["logged_in"]
    ask(url, stranger, "GET", "/api/status", 401)
    ask(url, stranger, "POST", "/api/session", 400, data="{")
    right, origin = {"password": password}, {"Origin": url}
    assert ask(url, stranger, "POST", "/api/session", 200, json=right).json()["logged_in"]
    ask(url, stranger, "GET", "/api/status", 200)
    short, same = {"password": "x", "old": password}, {"password": password, "old": password}
    ask(url, stranger, "PUT", "/api/password", 400, json=short, headers=origin)
    ask(url, stranger, "PUT", "/api/password", 200, json=same, headers=origin)
    assert not ask(url, stranger, "DELETE", "/api/session", 200, headers=origin).json()["logged_in"]
    guest = requests.Session()
    ask(url, guest, "POST", "/api/session", 200, json=right)
    guess = {"password": password + "?"}
    wrong = ask(url, stranger, "POST", "/api/session", 401, json=guess)
    assert wrong.json()["retry_after_ms"] > 0
    ask(url, stranger, "POST", "/api/session", 429, json=guess)
    # A session does not wait because of guessers.
    guest.headers["Origin"] = url
    return guest


def ask(url, session, method, target, status, route=None, **more):
    """Makes a request and checks the answer against the description of that route."""
    global description
    if description is None:
        headers = {"Authorization": session.headers["Authorization"]}
        description = schemathesis.openapi.from_url(f"{url}/api/openapi.json", headers=headers)
    response = session.request(method, url + target, timeout=30, **more)
    assert response.status_code == status, f"{method} {target}: {response.status_code} {response.text}"
    description[route or target.split("?")[0]][method].validate_response(response)
    return response


description = None


def metrics(text):
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for name, kind in (("uptime_seconds", "gauge"), ("camera_frames", "counter")):
        family = families[f"smolnvr_{name}"]
        assert family.type == kind and family.documentation and family.samples, name
    assert len(families) == text.count("# TYPE "), "a metric that is there twice"
    causes = {sample.labels["cause"] for sample in families["smolnvr_camera_losses"].samples}
    losses = {"network", "malformed", "undecodable", "too_large", "too_short", "card", "viewer", "audio"}
    assert causes == losses, causes
    assert families["smolnvr_camera_recording"].samples[0].labels == {"camera": "camera"}


if __name__ == "__main__":
    main()
