"""The page in Firefox or WebKitGTK: the first password, live, a moment of last week, a span, the link to it.

usage: engines.py firefox|webkit PORT START SCREENSHOTS

The camera `camera` plays the clip `numbered`, `yard` one with B frames. Of `camera` there are recordings of 4 s,
24 of them from START (UTC in ms) on, 6 after an hour's gap, others lately; each begins with picture 0. What a
person does here he does by keyboard, but for the band, which he drags.
"""
import base64
import pathlib
import sys
import time

from browser import NAME, Tab as Playwright, chromium, step
from walk import FRAMES_PER_SECOND, FRONT
from webdriver import browser

PASSWORD = "correct horse"
LENGTH_MS = 4000
STILL = FRONT + "return video?.readyState >= 2 && !video.seeking && video.paused"
# Visible without scrolling, on phones too, while a span is marked.
NEEDED = ["stage", "play", "time", "go-live", "mute", "band", "strip", "menu",
          "save-file", "save-lapse", "keep", "chosen-link", "chosen-delete", "clear"]


def main():
    name, port, start, screenshots = sys.argv[1], sys.argv[2], int(sys.argv[3]), pathlib.Path(sys.argv[4])
    screenshots.mkdir(parents=True, exist_ok=True)
    with browser(name) as tab:
        try:
            use(tab, port, start, screenshots)
        except AssertionError:
            tab.photograph(screenshots / f"{name}-failed.png")
            raise


def use(tab, port, start, screenshots):
    tab.size(1280, 800)
    tab.go(f"http://{NAME if tab.name == 'firefox' else '127.0.0.1'}:{port}/")
    first_run(tab)
    live(tab, "camera")
    live(tab, "yard")
    tab.photograph(screenshots / f"{tab.name}-live.png")
    catch_up(tab)
    find(tab, start)
    scrub(tab, start)
    cuts(tab, start)
    gap(tab, start)
    url = span(tab, start, screenshots)
    elsewhere(tab, url, port)
    sizes(tab, screenshots)


def first_run(tab):
    tab.wait_for_text("#login-title", "Choose a password")
    tab.type(PASSWORD)
    tab.keys("Tab")
    tab.type(PASSWORD)
    tab.keys("Enter")
    tab.wait("the page", 'return !document.querySelector("#main").hidden')
    step("password_set")


def live(tab, camera):
    """Time runs on without a jump."""
    tab.keys("1" if camera == "camera" else "2")
    tab.wait(f"the camera {camera}", "return location.hash === `#${argument}`", camera)
    here = 'const video = [...document.querySelectorAll("#live .tile")].find((tile) => !tile.hidden)?.querySelector("video");'
    tab.wait("a live picture", here + "return video?.readyState >= 2 && video.currentTime > 0.5")
    # Of B frames that come late browsers show every fourth, and they seek over the holes. A busy machine
    # shows fewer for a while.
    seen = tab.wait("pictures in their turn", here + """
      const small = new OffscreenCanvas(48, 27).getContext("2d", { willReadFrequently: true });
      const look = () => {
        small.drawImage(video, 0, 0, 48, 27);
        return small.getImageData(0, 0, 48, 27).data.reduce((sum, byte) => (sum * 31 + byte) | 0, 0);
      };
      let [seeks, pictures, last] = [0, 0, null];
      video.addEventListener("seeking", () => (seeks += 1));
      const began = video.currentTime;
      while (video.currentTime < began + 2) {
        const now = look();
        if (now !== last) pictures += 1;
        last = now;
        await new Promise((done) => setTimeout(done, 5));
      }
      return seeks <= 2 && pictures > argument && { seeks, pictures };
    """, FRAMES_PER_SECOND, patience=40)
    step("live", camera=camera, **seen)


def catch_up(tab):
    """Plays the open recording from some seconds ago at double speed: it ends in live."""
    tab.keys("1")
    tab.wait("the camera", "return location.hash === '#camera'")
    tab.keys("ArrowLeft")
    tab.wait("the past", FRONT + "return location.hash.includes('@') && video?.readyState >= 2 && video.currentTime > 0 && !video.paused")
    tab.keys("]")
    tab.wait("live again", "return location.hash === '#camera' && document.querySelector('#go-live').getAttribute('aria-pressed') === 'true'", patience=60)
    tab.keys("[")
    step("caught_up")


def moment(tab):
    return tab.run("return new Date(location.hash.split('@')[1].split('&')[0]).getTime()")


def typed(tab, ms):
    """Types a day and a time."""
    text = tab.run("const two = (n) => String(n).padStart(2, '0'); const d = new Date(argument); "
                   "return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${d.toTimeString().slice(0, 8)}`", ms)
    tab.keys("t")
    tab.wait("the field", "return document.activeElement.id === 'time'")
    tab.type(text)
    tab.keys("Enter")


def find(tab, start):
    """Goes to the second."""
    tab.keys("k")
    tab.wait("that it stands", STILL)
    wanted = start + 3 * LENGTH_MS + 2000
    typed(tab, wanted)
    expect_picture(tab, wanted, start)
    assert moment(tab) == wanted, (moment(tab), wanted)
    for key, ms in [(".", 40), (".", 80), (",", 40), (",", 0), (",", -40)]:
        tab.keys(key)
        expect_picture(tab, wanted + ms, start, slack=0)
    step("found")


def expect_picture(tab, ms, start, slack=2):
    number = int((ms - start) % LENGTH_MS / 1000 * FRAMES_PER_SECOND)
    tab.wait(f"picture {number}", STILL + f" && Math.abs(shown(video) - {number}) <= {slack}")


def scrub(tab, start):
    """Shows the picture under the finger, and stays where it is released."""
    tab.keys(*"+++++++++")
    tab.wait("five minutes", 'return document.querySelector("#band-words").textContent.includes("5 minutes")')
    left, top, width, height = tab.box("#band")
    per_pixel = 300_000 / width
    at = moment(tab)
    # The needle glides to the middle.
    x, y = left + width / 2, top + height * 0.7
    for ms in [-8000, 22_000]:
        pixels = round(ms / per_pixel)
        at += pixels * per_pixel
        tab.drag([(x, y), (x - pixels / 2, y), (x - pixels, y)], then=lambda: expect_picture(tab, at, start, slack=3))
        expect_picture(tab, at, start, slack=3)
        tab.wait("the address", "return Math.abs(Date.parse(location.hash.split('@')[1]) - argument) < 1100", at)
    step("scrubbed")


def cuts(tab, start):
    """Ten changes of recording at four times the speed: none is left out, none comes twice."""
    typed(tab, start + 1000)
    expect_picture(tab, start + 1000, start)
    tab.run("""
      const files = (document.files = []);
      setInterval(() => {
        const file = document.querySelector("#player video.front")?.currentSrc.match(/(\\d+)\\.mp4/)?.[1];
        if (file && file !== files[files.length - 1]) files.push(file);
      }, 20);
    """)
    tab.keys("]", "]", "k")
    files = tab.wait("ten cuts", "return document.files.length > 10 && document.files", patience=60)
    numbers = [int(file) for file in files]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers
    tab.keys("[", "[")
    step("cuts", recordings=len(files))


def gap(tab, start):
    block = 24 * LENGTH_MS
    typed(tab, start + block - 1500)
    tab.wait_for_text("#player-note", "Skipped 60 minutes")
    tab.wait("what comes after the gap", FRONT + "return !video.paused && video.currentTime > 0")
    tab.keys("k")
    tab.wait("that it stands", STILL)
    assert moment(tab) - (start + block + 3_600_000) in range(-1000, 30_000), moment(tab)
    step("gap")


def span(tab, start, screenshots):
    """Marks, keeps and saves a span: the file equals what the link gives."""
    for ms, key in [(start + 1000, "i"), (start + 3 * LENGTH_MS, "o")]:
        typed(tab, ms)
        tab.wait("that moment", STILL + " && Date.parse(location.hash.split('@')[1].split('&')[0]) === argument", ms)
        tab.keys(key)
    tab.wait("the span", "return /&to=/.test(location.hash) && !document.querySelector('#save-file').hidden")
    tab.run("document.querySelector('#keep').focus()")
    tab.keys("Enter")
    tab.wait_for_text("#keep", "Don’t Keep")
    tab.photograph(screenshots / f"{tab.name}-span.png")
    href = tab.run("return document.querySelector('#save-file').href")
    clip = base64.b64decode(tab.run("""
      const blob = await (await fetch(argument)).blob();
      return new Promise((done) => {
        const reader = new FileReader();
        reader.onload = () => done(reader.result.split(",")[1]);
        reader.readAsDataURL(blob);
      });
    """, href))
    assert clip[4:8] == b"ftyp" and len(clip) > 10_000, clip[:8]
    saved = None
    if tab.name == "firefox":
        # WebKitGTK asks where to save in a dialog that WebDriver does not reach.
        tab.keys("e")
        saved = wait_for_file(tab.driver.downloads)
        assert saved.name.startswith("camera_") and saved.name.endswith(".mp4"), saved
        assert saved.read_bytes() == clip, (saved.stat().st_size, len(clip))
    url = tab.run("return location.href")
    tab.keys("c")
    tab.wait("a link that is selected", "const field = document.querySelector('#link-text'); return document.activeElement === field && field.value === argument", url)
    tab.keys("Escape")
    step("span", bytes=len(clip), file=saved and saved.name)
    return url


def wait_for_file(folder):
    deadline = time.monotonic() + 20
    while True:
        whole = [path for path in folder.iterdir() if path.suffix != ".part" and path.stat().st_size > 0]
        if whole and not list(folder.glob("*.part")):
            return whole[0]
        assert time.monotonic() < deadline, "nothing was saved"
        time.sleep(0.05)


def elsewhere(tab, url, port):
    """The link opens the same moment in another browser."""
    first = tab.run(STILL + " && shown(video)")
    with chromium() as other:
        page = Playwright(other.new_context(), f"http://127.0.0.1:{port}")
        page.wait_for_text("#login-title", "Log in")
        page.fill("#login-password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait("the page", 'return !document.querySelector("#main").hidden')
        zone = tab.run("return Intl.DateTimeFormat().resolvedOptions().timeZone")
        assert page.run("return Intl.DateTimeFormat().resolvedOptions().timeZone") == zone
        page.run("location.hash = argument", url[url.index("#"):])
        page.wait("the moment of the link", FRONT + "return video?.readyState >= 2 && !document.querySelector('#chosen').hidden")
        seen = page.run("return location.hash")
        assert seen == url[url.index("#"):], (seen, url)
        page.check()
    step("elsewhere", picture=first)


def sizes(tab, screenshots):
    for width, height in [(360, 640), (740, 360), (1280, 800)]:
        tab.size(width, height)
        tab.run("dispatchEvent(new Event('resize'))")
        overflow = tab.run("return document.documentElement.scrollWidth - innerWidth")
        tab.photograph(screenshots / f"{tab.name}-{width}.png")
        assert overflow <= 0, f"{overflow} px too wide at {width}"
        for id in NEEDED:
            left, top, wide, high = tab.box(f"#{id}")
            assert left >= 0 and top >= 0 and top + high <= height + 0.5, (width, height, id, left, top, wide, high)
    step("photographed")


if __name__ == "__main__":
    main()
