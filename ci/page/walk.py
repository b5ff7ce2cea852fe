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
        scrub(tab)
        url = hand_over(tab)
        download(tab, recordings)
        delete(tab, recordings)
        back_to_live(tab)
        photograph(browser, context, tab, screenshots)
        use_by_address(browser, port, url)
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
    """Frames differ and time advances; the test compares each number with what the camera has sent."""
    seen = []
    behind = []
    # Until 2 s of video were seen, however long a busy machine takes, and it was close to live once.
    while not seen or seen[-1][1] - seen[0][1] < 2 or min(behind) >= 1:
        number, now, distance = tab.run(
            LIVE + "return [shown(video), video.currentTime, video.buffered.end(video.buffered.length - 1) - video.currentTime]"
        )
        if not seen or number != seen[-1][0]:
            step("shown", frame=number)
            seen.append((number, now))
            behind.append(distance)
            assert len(seen) < 60 * FRAMES_PER_SECOND, (seen[-1], behind[-9:])
        tab.wait("the next picture", LIVE + "return shown(video) !== argument", number)
    times = [now for _, now in seen]
    assert times == sorted(times), times
    # Each picture is the one of its time, whatever was left out between two.
    steps = [(b - a, (after - before) * FRAMES_PER_SECOND) for (a, before), (b, after) in zip(seen, seen[1:])]
    half = FRAMES_OF_CLIP / 2
    off = [(frames - due + half) % FRAMES_OF_CLIP - half for frames, due in steps]
    assert all(abs(frames) < FRAMES_PER_SECOND for frames in off), (off, steps)
    return {"pictures": len(seen), "behind_s": round(behind[-1], 2)}


def list_grows_by_itself(tab):
    tab.files()
    count = 'return document.querySelectorAll("#rows .whole").length'
    before = tab.run(count)
    tab.wait("another recording in the list", count + " > argument && " + count[7:] + " >= 3", before)
    step("list", rows=tab.run(count))


def stop_and_start(tab):
    dot = 'return document.querySelector("#dot").classList.contains("on")'
    tab.wait("the recording dot", dot)
    tab.wait("number and age", r'return /Recording \d{3}, \d+:\d\d/.test(document.querySelector("#recording-state").textContent)')
    assert not tab.page.is_visible("#start")
    began = time.monotonic()
    tab.menu("#stop")
    tab.wait("the dot to go out", dot.replace("return ", "return !"))
    off = time.monotonic() - began
    tab.wait_for_text("#recording-state", "Not recording")
    tab.wait("Stop Record out of use", 'return document.querySelector("#stop").getAttribute("aria-disabled") === "true"')
    # The list may not have it yet.
    number = tab.run('return fetch("/api/status").then((answer) => answer.json()).then(({ cameras }) => cameras[0].newest)')
    tab.wait("no open recording in the list", 'return !document.querySelector("#rows .recording")')
    began = time.monotonic()
    tab.click("#start")
    tab.wait("the dot to come back", dot)
    on = time.monotonic() - began
    tab.wait("the next number", r'return Number(document.querySelector("#recording-state").textContent.match(/\d{3}/)?.[0]) > argument', number)
    age = 'return document.querySelector("#recording-state").textContent'
    tab.wait("its age to grow", age + " !== argument", tab.run(age))
    step("record", off_s=round(off, 2), on_s=round(on, 2))


def row(tab, number):
    """A recording's row, scrolled to."""
    tab.wait("the row", """
      const rows = document.querySelector("#rows");
      const row = rows.querySelector(`[data-number="${argument}"]`);
      if (!row) rows.scrollTop = rows.scrollTop + rows.clientHeight < rows.scrollHeight - 1 ? rows.scrollTop + 200 : 0;
      return row;
    """, number)
    return f'#rows [data-number="{number}"]'


def play(tab):
    """The first recording begins with the camera's first frame."""
    tab.click(f"{row(tab, 0)} .entry")
    tab.wait("a recording that plays", FRONT + "return video?.readyState >= 2 && video.currentTime > 0 && shown(video) > 0")
    assert tab.run("return location.hash").startswith("#camera@2"), tab.run("return location.hash")
    tab.keyboard.press("k")
    tab.wait("live video to be let go", 'return fetch("/api/status").then((answer) => answer.json()).then(({ cameras }) => cameras[0].viewers === 0)')
    # A picture may still be on its way to the screen when the player stops.
    still = FRONT + """
      globalThis.times = globalThis.last === shown(video) ? globalThis.times + 1 : 0;
      globalThis.last = shown(video);
      return video.paused && !video.seeking && video.readyState >= 2 && times > 10 && [last, video.currentTime];
    """
    number, at = tab.wait("a picture that stands", still)
    assert abs(number - int(at * FRAMES_PER_SECOND)) <= 1, (number, at)
    for key, step_ in [(".", 1), (".", 2), (",", 1)]:
        tab.keyboard.press(key)
        tab.wait(f"one picture on or back by {key}", FRONT + "return !video.seeking && shown(video) === argument", number + step_)
    step("sought", to_s=at, frame=number)


def run_on(tab):
    """Shows each picture of two consecutive recordings: the second waits, loaded, for the end of the first."""
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
    tab.wait("the recording after the next", FRONT + 'return video.currentSrc.endsWith("/002.mp4")')
    seen, was_ready = tab.run("seen.ended = true; return [seen, seen.wasReady]")
    files = sorted({file for file, *_ in seen})
    assert files[:2] == ["000.mp4", "001.mp4"], files
    first = [picture for picture in seen if picture[0] == "000.mp4"]
    second = [picture for picture in seen if picture[0] == "001.mp4"]
    # Its first picture was ready before, below the first recording.
    gap = second[0][2] - first[-1][2]
    missing = (second[0][3] - first[-1][3]) % FRAMES_OF_CLIP - 1
    step("ran_on", gap_ms=round(gap), pictures=len(second), frames_missing=missing)
    # How soon a picture follows depends on the machine; that nothing remains to be loaded depends on us.
    assert was_ready, f"{gap} ms between {first[-1]} and {second[0]}"
    times = [media_time for _, media_time, *_ in second]
    assert times == sorted(times) and len(set(times)) > 1, second


def keys(tab):
    pause_at_the_last_moment(tab)
    file = "return document.querySelector('#player video.front').currentSrc.split('#')[0]"
    before = tab.run(file)
    tab.keyboard.press("n")
    tab.wait("the next recording", file + " !== argument", before)
    tab.wait("that it stands there", FRONT + "return video.paused && !video.seeking && video.readyState >= 2")
    tab.keyboard.press(" ")
    tab.wait("that it plays", FRONT + "return !video.paused && video.currentTime > 0")
    tab.keyboard.press(" ")
    tab.wait("that it stands again", FRONT + "return video.paused")
    tab.keyboard.press("p")
    tab.wait("its beginning, or the one before", FRONT + "return video.currentTime < 0.5 && !video.seeking")
    tab.keyboard.press(" ")
    tab.wait("that it goes on", FRONT + "return !video.paused")
    tab.keyboard.press("]")
    tab.wait("a faster picture", FRONT + "return video.playbackRate === 2")
    tab.keyboard.press("[")
    tab.keyboard.press("m")
    tab.wait("silence", FRONT + "return video.muted && video.playbackRate === 1")
    tab.keyboard.press("m")
    tab.keyboard.press("?")
    tab.wait_for_text("#keys-list", "or just type 1432")
    tab.keyboard.press("Escape")
    tab.keyboard.press("d")
    tab.wait("the calendar", 'return document.querySelector("#calendar").open && document.activeElement.closest("#month")')
    tab.keyboard.press("Escape")
    tab.keyboard.press("Escape")
    tab.wait("live again", LIVE + 'return location.hash === "#camera" && video?.currentTime > 0')
    # The first recording's begin, as typed; it may have begun within that second.
    start = tab.run("""
      return fetch("/api/recordings?camera=camera&number=1").then((answer) => answer.json()).then(({ recordings }) => recordings[0].start_ms)
    """)
    typed = tab.run("return new Date(argument + 1000).toTimeString().slice(0, 8).replaceAll(':', '')", start)
    # Two digits without a key before are a time; a busy machine would not type them as fast.
    tab.run("""
      for (const key of argument) document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    """, typed[:2])
    tab.keyboard.type(typed[2:])
    tab.keyboard.press("Enter")
    tab.wait("that time", FRONT + 'return video?.currentSrc.includes("/001.mp4") && video.readyState >= 2')
    step("keys", typed=typed)


def pause_at_the_last_moment(tab):
    """Pauses just after the next recording began below the one in front: both stop, and nothing is skipped."""
    tab.run("""
      document.activeElement.blur();
      const { play } = HTMLMediaElement.prototype;
      HTMLMediaElement.prototype.play = function () {
        if (!this.classList.contains("front")) {
          HTMLMediaElement.prototype.play = play;
          queueMicrotask(() => document.querySelector("#play").click());
          globalThis.wasPaused = true;
        }
        return play.call(this);
      };
    """)
    both = 'const [...videos] = document.querySelectorAll("#player video");'
    tab.wait("a pause", both + "return globalThis.wasPaused && videos.every((video) => video.paused)")
    tab.wait("a picture that stands", FRONT + "return video.readyState >= 2 && !video.seeking")
    below = tab.run('return document.querySelector("#player video:not(.front)").currentTime')
    assert below < 0.1, f"{below} s would be passed over"


def scrub(tab):
    """Shows the picture under the finger; plays on from where it is released."""
    tab.keyboard.press("Escape")
    watch_live(tab)
    box = tab.page.locator("#band").bounding_box()
    for _ in range(8):
        tab.page.click("#closer")
    tab.wait("five minutes", 'return document.querySelector("#band-words").textContent.includes("5 minutes")')
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.page.mouse.move(x, y)
    tab.page.mouse.down()
    seen = []
    for seconds in range(4, 9):
        tab.page.mouse.move(x + box["width"] * seconds / 300, y)
        shows = "const shows = video && [video.currentSrc, video.currentTime].join();"
        another = shows + "return video?.readyState >= 2 && !video.seeking && video.paused && !argument.includes(shows) && shows"
        seen.append(tab.wait("another picture under the finger", FRONT + another, seen))
    said = tab.run('return document.querySelector("#bubble").textContent')
    tab.page.mouse.up()
    tab.wait("that it plays from there", FRONT + "return video && !video.paused && video.currentTime > 0 && location.hash.includes('@')")
    step("scrubbed", pictures=len(seen), said=said)


def hand_over(tab):
    """A span is marked, saved as one file, and the link to it opened elsewhere."""
    tab.click(f"{row(tab, 1)} .entry")
    tab.wait("a recording that plays", FRONT + 'return video?.currentSrc.includes("/001.mp4") && video.currentTime > 0')
    tab.keyboard.press("i")
    tab.wait_for_text("#chosen-text", "now go to the end")
    tab.wait("two more seconds", FRONT + 'return !video.currentSrc.includes("/001.mp4") && video.currentTime > 0.5')
    tab.keyboard.press("o")
    tab.wait("the span in the address", 'return /@.*&to=/.test(location.hash)')
    href = tab.page.get_attribute("#save-file", "href")
    with tab.expect_download() as waiting:
        tab.click("#save-file")
    saved = pathlib.Path(waiting.value.path()).read_bytes()
    length = tab.run("return fetch(argument).then((answer) => answer.arrayBuffer()).then((bytes) => bytes.byteLength)", href)
    assert len(saved) == length and saved[4:8] == b"ftyp", (len(saved), length)
    assert waiting.value.suggested_filename.startswith("camera_"), waiting.value.suggested_filename
    tab.keyboard.press("c")
    tab.wait("a link that is selected", """
      const field = document.querySelector("#link-text");
      return document.activeElement === field && field.selectionEnd === field.value.length && field.value;
    """)
    url = tab.page.input_value("#link-text")
    tab.click("#close-link")
    with tab.expect_download() as waiting:
        tab.keyboard.press("s")
    picture = pathlib.Path(waiting.value.path()).read_bytes()
    assert picture[:2] == b"\xff\xd8" and len(picture) > 1000
    tab.click("#clear")
    tab.wait("no span", 'return document.querySelector("#chosen").hidden && !location.hash.includes("&to")')
    step("handed_over", file=waiting.value.suggested_filename, bytes=len(saved), link=url)
    return url


def download(tab, recordings):
    name = tab.run(f"return document.querySelector('{row(tab, 1)} .download').pathname.split('/').pop()")
    with tab.expect_download() as waiting:
        tab.click(f"{row(tab, 1)} .download")
    got = pathlib.Path(waiting.value.path()).read_bytes()
    assert waiting.value.suggested_filename.endswith(".mp4"), waiting.value.suggested_filename
    assert got == (recordings / name).read_bytes(), f"{name}: {len(got)} bytes"
    step("downloaded", file=name, bytes=len(got))


def delete(tab, recordings):
    tab.click(f"{row(tab, 0)} .delete")
    tab.wait("the question", 'return document.querySelector("#question").open')
    tab.click("#question button[value=no]")
    tab.wait("no question", 'return !document.querySelector("#question").open')
    assert (recordings / "000.mp4").exists()
    tab.click(f"{row(tab, 0)} .delete")
    tab.click("#question button[value=yes]")
    gone = "return !document.querySelector('#rows [data-number=\"0\"]')"
    tab.wait("the row to go", gone)
    assert not (recordings / "000.mp4").exists()
    tab.wait("the focus on another row", 'return document.activeElement.closest("#rows")')
    tab.click("#refresh")
    tab.wait("the list again", "return document.querySelector('#rows [data-number]') && (() => { " + gone + " })()")
    step("deleted")


def back_to_live(tab):
    tab.keyboard.press("Escape")
    tab.click("#close-files")
    watch_live(tab)


def photograph(browser, context, tab, folder):
    folder.mkdir(parents=True, exist_ok=True)
    state = context.storage_state()
    for width, height in [(360, 740), (740, 360), (1024, 768), (1920, 1080)]:
        for scheme in ["light", "dark"]:
            other = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, storage_state=state
            )
            page = Tab(other, tab.origin)
            watch_live(page)
            overflow = page.run("return document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, f"{overflow} px too wide at {width}"
            # Everything needed is visible without scrolling.
            for id in ["stage", "play", "time", "go-live", "mark", "save", "link", "mute", "band", "strip", "menu"]:
                box = page.page.locator(f"#{id}").bounding_box()
                assert box["y"] >= 0 and box["y"] + box["height"] <= height, (width, height, id, box)
                assert box["x"] >= 0 and box["x"] + box["width"] <= width, (width, height, id, box)
            page.screenshot(path=folder / f"{width}-{scheme}.png")
            page.check()
            other.close()
    step("photographed")


def use_by_address(browser, port, url):
    """127.0.0.1, which browsers trust like HTTPS; the shared link opens at its moment."""
    context = browser.new_context()
    tab = Tab(context, f"http://127.0.0.1:{port}")
    tab.wait_for_text("#login-title", "Log in")
    tab.fill("#login-password", PASSWORD)
    tab.keyboard.press("Enter")
    watch_live(tab)
    assert tab.run("return isSecureContext")
    tab.page.goto(url.replace(NAME, "127.0.0.1"))
    tab.page.reload()
    tab.wait("the moment of the link", FRONT + 'return video?.readyState >= 2 && video.currentTime > 0 && !document.querySelector("#chosen").hidden')
    assert tab.run("return location.hash") == url[url.index("#"):], tab.run("return location.hash")
    tab.check()
    context.close()
    step("used_by_address")


def log_out_and_in(tab):
    tab.menu("#open-settings")
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
    # Even the right password is not accepted before.
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
    tab.menu("#shutdown")
    tab.wait_for_text("#question-title", "Shut down")
    tab.click("#question button[value=yes]")
    tab.wait_for_text("#banner", "has shut down")
    step("shut_down")


if __name__ == "__main__":
    main()
