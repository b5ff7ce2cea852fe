"""Everything that notices and tells, at once: its cost."""

import json

import card
from board import wait_for
from camera import Camera, clip
from run import config
from runs_budget import usage, within
from world import World

SHORT = "segment_seconds = 5\nsync_seconds = 2\n"
HOOK = "#!/bin/sh\necho $SMOLNVR_CAMERA $SMOLNVR_KIND >>/tmp/told\n"


def all_sources(setting):
    """Two cameras, motion in the JPEG of one and a pull point to the other, marks of scripts, a program, a webhook, MQTT."""
    image, seconds = setting.card(), 600 if setting.full else 60
    clips = dict.fromkeys(("yard", "gate"), clip("modest.h264"))
    with World() as world, Camera(**clips) as camera:
        page = f'snapshot = "http://10.0.2.2:{world.web.server_port}/image.jpg"'
        keys = [
            (name, camera.url(name), page, "buffer_kb = 512", f'motion = "{motion}"')
            for name, motion in (("yard", "jpeg"), ("gate", "onvif"))
        ]
        further = (
            f'[hooks]\non_mark = ["/etc/told"]\nwebhook = "http://10.0.2.2:{world.web.server_port}/hook"\n'
            f'webhook_segments = true\n[mqtt]\nbroker = "mqtt://10.0.2.2:{world.broker.server_address[1]}"\ntopic = "nvr"\n'
        )
        text = config(*keys, storage=SHORT).replace('snapshot = "off"\n', "") + further
        board = setting.board(text, image, files={"/etc/told": HOOK})
        for name in ("yard", "gate"):
            board.wait_for_recording(name, frames=50)
        wait_for("a mark of each source", lambda: {("yard", "jpeg"), ("gate", "onvif")} <= moved(board))
        samples, start, noted = [], usage(board), 0
        while not samples or samples[-1]["uptime"] - start["uptime"] < seconds:
            status, body = board.http("POST", "/api/marks", '{"kind": "door", "camera": "gate"}')
            # A script that hurries is told so.
            assert status in (200, 429), body
            noted += status == 200
            samples.append(usage(board))
        end, status = samples[-1], board.status()
        lost = setting.lost(board, status)
        told = board.numbers("wc -l </tmp/told")[0]
        board.shut_down()
    folder = card.read_card(image, "recordings", setting.folder / "read")
    for part in (folder, folder / "gate"):
        card.assert_follow_on(card.compare(clip("modest.h264"), part, lost), lost)
    counts, topics = world.counts, world.topics
    for what in ("pictures", "PullMessages", "Renew", "Unsubscribe", "webhook"):
        assert counts[what] > 0, f"no {what}: {counts}"
    assert counts["CreatePullPointSubscription"] == 1, counts
    for topic in ("nvr/yard/motion", "nvr/gate/motion", "nvr/yard/mark", "nvr/gate/mark", "nvr/yard/picture"):
        assert topics[topic] > 0, f"nothing in {topic}: {topics}"
    assert told > 0, "the program was not called"
    peak, anonymous = end["peak"], max(it["anon"] for it in samples)
    within("peak RSS", peak, 5120)
    within("anonymous RSS", anonymous, 4300)
    ticks = (end["ticks"] - start["ticks"]) / (end["uptime"] - start["uptime"]) * 60
    return (
        f"peak RSS {peak} KB, anonymous {anonymous} KB, {ticks:.0f} CPU ticks a minute, {lost} frames lost; "
        f"{seconds} s: {counts['pictures']} pictures, {counts['PullMessages']} pulls, {noted} marks of a script, "
        f"{told} calls of a program, {counts['webhook']} posts, {sum(topics.values())} messages over MQTT"
    )


def moved(board):
    """Cameras and sources of the marks so far that are motion."""
    _, body = board.http("GET", "/api/marks")
    return {(mark["camera"], mark["source"]) for mark in json.loads(body)["marks"] if mark["kind"] == "motion"}


TESTS = [all_sources]
