"""Walks through the whole page in Chromium, as a person would, from the first password to the end.

usage: walk.py PORT RECORDINGS SCREENSHOTS

The camera of that recorder plays the clip `numbered`; its segments have 2 s. Prints a line of JSON for each
step, with what was measured. Exit status 1, and why, where something is not as it must be.
"""
import pathlib
import sys
import time

from browser import FRAMES_OF_CLIP, NAME, Tab, chromium, step

PASSWORD = "correct horse"
FRAMES_PER_SECOND = 25
LIVE = 'const video = document.querySelector("#live video");'
FRONT = 'const video = document.querySelector("#player video.front");'


def main():
    port, recordings, screenshots = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
        tab = Tab(context, f"http://{NAME}:{port}")
        set_password(tab)
        see_live(tab)
        list_grows_by_itself(tab)
        stop_and_start(tab)
        play(tab)
        run_on(tab)
        keys(tab)
        download(tab, recordings)
        delete(tab, recordings)
        back_to_live(tab)
        photograph(browser, context, tab, screenshots)
        use_by_address(browser, port)
        log_out_and_in(tab)
        shut_down(tab)
        tab.check()


def set_password(tab):
    tab.wait_for_text("#login-title", "Choose a password")
    tab.fill("#login-password", PASSWORD)
    tab.fill("#login-again input", "another one")
    tab.click("#login [type=submit]")
    tab.wait_for_text("#login .error", "not the same")
    tab.fill("#login-again input", PASSWORD)
    tab.click("#login [type=submit]")
    tab.wait("the page", 'return !document.querySelector("#main").hidden')
    step("password_set")


def see_live(tab):
    watch_live(tab)
    step("live_moves", **measure_live(tab))


def watch_live(tab):
    tab.wait("a live picture", LIVE + "return video?.readyState >= 2 && video.currentTime > 0")
    step("live")


def measure_live(tab):
    """Frames differ, time goes on; the test compares each number with what the camera has sent."""
    seen = []
    behind = []
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        number, now, distance = tab.run(
            LIVE + "return [shown(video), video.currentTime, video.buffered.end(video.buffered.length - 1) - video.currentTime]"
        )
        if not seen or number != seen[-1][0]:
            step("shown", frame=number)
            seen.append((number, now))
            behind.append(distance)
        tab.wait("the next picture", LIVE + "return shown(video) !== argument", number)
    times = [now for _, now in seen]
    assert times == sorted(times) and times[-1] - times[0] > 2, times
    steps = [(b - a) % FRAMES_OF_CLIP for (a, _), (b, _) in zip(seen, seen[1:])]
    assert all(0 < frames < 2 * FRAMES_PER_SECOND for frames in steps), steps
    # A busy machine holds it up; it comes near again.
    assert min(behind) < 1, behind
    return {"pictures": len(seen), "behind_s": round(behind[-1], 2)}


def list_grows_by_itself(tab):
    count = 'return document.querySelectorAll("#days li.whole").length'
    before = tab.run(count)
    tab.wait("another recording in the list", count + " > argument && " + count[7:] + " >= 3", before)
    step("list", rows=tab.run(count))


def stop_and_start(tab):
    dot = 'return document.querySelector("#dot").classList.contains("on")'
    tab.wait("the recording dot", dot)
    tab.wait("number and age", r'return /Recording \d{3}, \d+:\d\d/.test(document.querySelector("#recording-state").textContent)')
    began = time.monotonic()
    tab.click("#stop")
    tab.wait("the dot to go out", dot.replace("return ", "return !"))
    off = time.monotonic() - began
    tab.wait_for_text("#recording-state", "Not recording")
    tab.wait("Stop Record out of use", 'return document.querySelector("#stop").getAttribute("aria-disabled") === "true"')
    number = tab.run('return Number(document.querySelector("#days li").dataset.number)')
    tab.wait("no open recording in the list", 'return !document.querySelector("#days li.recording")')
    began = time.monotonic()
    tab.click("#start")
    tab.wait("the dot to come back", dot)
    on = time.monotonic() - began
    tab.wait("the next number", 'return document.querySelector("#recording-state").textContent.includes(argument)', f"{number + 1:03}")
    age = 'return document.querySelector("#recording-state").textContent'
    tab.wait("its age to grow", age + " !== argument", tab.run(age))
    step("record", off_s=round(off, 2), on_s=round(on, 2))


def play(tab):
    """The first recording begins with the camera's first frame."""
    rows = tab.run('return [...document.querySelectorAll("#days li")].map((row) => Number(row.dataset.number))')
    assert rows == sorted(rows, reverse=True) and rows[-1] == 0, rows
    tab.click('#days li[data-number="0"] .entry')
    tab.wait("a recording that plays", FRONT + "return video?.readyState >= 2 && video.currentTime > 0 && shown(video) > 0")
    assert tab.run("return location.hash") == "#camera/0"
    tab.wait("live video to be let go", 'return fetch("/api/status").then((answer) => answer.json()).then(({ cameras }) => cameras[0].viewers === 0)')
    middle = tab.run(FRONT + "video.pause(); return video.duration / 2 + 0.02")
    tab.fill("#seek", str(middle))
    number = tab.wait(
        "the picture in the middle",
        FRONT + "return !video.seeking && Math.abs(video.currentTime - argument) < 0.1 && shown(video)", middle,
    )
    at = tab.run(FRONT + "return video.currentTime")
    assert abs(number - int(at * FRAMES_PER_SECOND)) <= 1, (number, at)
    step("sought", to_s=at, frame=number)


def run_on(tab):
    """Each picture of two recordings that follow each other: the second waits, loaded, for the end of the first."""
    tab.run("""
      globalThis.seen = [];
      const isReady = (video) => video.currentSrc.endsWith("/001.mp4") && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
      for (const video of document.querySelectorAll("#player video")) {
        const look = (_, { mediaTime, expectedDisplayTime }) => {
          if (seen.ended) return;
          // Told late, when the player has given the element another recording: nothing is shown.
          if (!video.paused && video.videoWidth) seen.push([video.currentSrc.split("/").pop(), mediaTime, expectedDisplayTime, shown(video)]);
          video.requestVideoFrameCallback(look);
        };
        video.requestVideoFrameCallback(look);
        video.addEventListener("ended", () => {
          if (video.currentSrc.endsWith("/000.mp4")) seen.wasReady = [...document.querySelectorAll("#player video")].some(isReady);
        }, { capture: true });
      }
    """)
    tab.click("#play")
    tab.wait("the recording after the next", 'return location.hash === "#camera/2"')
    seen, was_ready = tab.run("seen.ended = true; return [seen, seen.wasReady]")
    files = sorted({file for file, *_ in seen})
    assert files[:2] == ["000.mp4", "001.mp4"], files
    first = [picture for picture in seen if picture[0] == "000.mp4"]
    second = [picture for picture in seen if picture[0] == "001.mp4"]
    # Its first picture was there before, below the first recording.
    gap = second[0][2] - first[-1][2]
    missing = (second[0][3] - first[-1][3]) % FRAMES_OF_CLIP - 1
    step("ran_on", gap_ms=round(gap), pictures=len(second), frames_missing=missing)
    # How soon a picture follows is the machine's matter; that nothing is left to wait for is ours.
    assert was_ready, f"{gap} ms between {first[-1]} and {second[0]}"
    times = [media_time for _, media_time, *_ in second]
    assert times == sorted(times) and len(set(times)) > 1, second


def keys(tab):
    tab.run(FRONT + "document.activeElement.blur(); video.pause()")
    tab.wait("a picture to seek in", FRONT + "return video.readyState >= 2 && !video.seeking")
    tab.keyboard.press("Home")
    tab.wait("its beginning", FRONT + "return video.currentTime === 0 && !video.seeking")
    tab.keyboard.press("ArrowRight")
    tab.wait("a time further on", FRONT + "return video.currentTime > 1")
    tab.keyboard.press("ArrowLeft")
    tab.wait("its beginning again", FRONT + "return video.currentTime === 0 && !video.seeking")
    number = tab.run("return location.hash")
    tab.keyboard.press(" ")
    tab.wait("the space bar to play", FRONT + "return !video.paused && video.currentTime > 0")
    tab.keyboard.press("p")
    tab.wait("the recording before", "return location.hash !== argument", number)
    step("keys")


def download(tab, recordings):
    file = tab.run('return new URL(document.querySelector("#player-download").href).pathname.split("/").pop()')
    with tab.expect_download() as waiting:
        tab.click("#player-download")
    got = pathlib.Path(waiting.value.path()).read_bytes()
    assert waiting.value.suggested_filename.endswith(file), waiting.value.suggested_filename
    assert got == (recordings / file).read_bytes(), f"{file}: {len(got)} bytes"
    step("downloaded", file=file, bytes=len(got))


def delete(tab, recordings):
    row = '#days li[data-number="0"]'
    tab.click(f"{row} .delete")
    tab.wait("the question", 'return document.querySelector("#question").open')
    tab.click("#question button[value=no]")
    tab.wait("no question", 'return !document.querySelector("#question").open')
    assert tab.run(f"return document.querySelector('{row}')") is not None
    assert (recordings / "000.mp4").exists()
    tab.click(f"{row} .delete")
    tab.click("#question button[value=yes]")
    tab.wait("the row to go", f"return !document.querySelector('{row}')")
    assert not (recordings / "000.mp4").exists()
    tab.click("#refresh")
    tab.wait("the list again", f"return document.querySelector('#days li') && !document.querySelector('{row}')")
    step("deleted")


def back_to_live(tab):
    tab.keyboard.press("Escape")
    watch_live(tab)


def photograph(browser, context, tab, folder):
    folder.mkdir(parents=True, exist_ok=True)
    state = context.storage_state()
    for width, height in [(360, 740), (1024, 768), (1920, 1080)]:
        for scheme in ["light", "dark"]:
            other = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, storage_state=state
            )
            page = Tab(other, tab.origin)
            watch_live(page)
            page.wait("the list", 'return document.querySelector("#days li")')
            overflow = page.run("return document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, f"{overflow} px too wide at {width}"
            page.screenshot(path=folder / f"{width}-{scheme}.png")
            page.check()
            other.close()
    step("photographed")


def use_by_address(browser, port):
    """127.0.0.1, which browsers trust as they trust HTTPS."""
    context = browser.new_context()
    tab = Tab(context, f"http://127.0.0.1:{port}")
    tab.wait_for_text("#login-title", "Log in")
    tab.fill("#login-password", PASSWORD)
    tab.keyboard.press("Enter")
    watch_live(tab)
    assert tab.run("return isSecureContext")
    tab.check()
    context.close()
    step("used_by_address")


def log_out_and_in(tab):
    tab.click("#open-settings")
    tab.wait("the settings", 'return document.querySelector("#settings").open')
    tab.click("#logout")
    tab.wait_for_text("#login-title", "Log in")
    refused = tab.run('return fetch("/api/status").then((answer) => answer.status)')
    assert refused == 401, refused
    tab.fill("#login-password", "a wrong one")
    began = time.monotonic()
    tab.click("#login [type=submit]")
    tab.wait("why not", 'return document.querySelector("#login .error").textContent')
    tab.wait("a countdown", r'return /\(\d+\)/.test(document.querySelector("#login [type=submit]").textContent)')
    # Nor is the right one taken before.
    status = tab.run("""
      return fetch("/api/session", { method: "POST", body: JSON.stringify({ password: argument }),
        headers: { "Content-Type": "application/json" } }).then((answer) => answer.status)
    """, PASSWORD)
    assert status == 429 or time.monotonic() - began > 1, status
    tab.wait("the end of the wait", 'return document.querySelector("#login [type=submit]").getAttribute("aria-disabled") !== "true"')
    waited = time.monotonic() - began
    tab.fill("#login-password", PASSWORD)
    tab.click("#login [type=submit]")
    watch_live(tab)
    assert waited > 0.5, waited
    step("logged_in_again", waited_s=round(waited, 2))


def shut_down(tab):
    tab.click("#shutdown")
    tab.wait_for_text("#question-title", "Shut down")
    tab.click("#question button[value=yes]")
    tab.wait_for_text("#banner", "has shut down")
    step("shut_down")


if __name__ == "__main__":
    main()
