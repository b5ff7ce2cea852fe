"""The axis: finds a moment of last week, by click and by mouse, plays on from it, keeps and deletes.

usage: axis.py PORT START

The camera plays the clip `numbered`; each recording has 10 s and begins with its first picture. From START (UTC in
ms) on there are 24 of them, after an hour's gap 6 more, and later others. The page needs no password.
"""
import sys
import time

from browser import NAME, Tab, chromium, step
from walk import FRAMES_PER_SECOND, FRONT, LIVE

ELEMENTS_MAX = 1500
RECORDING_MS = 10_000
BLOCK_MS = 24 * RECORDING_MS
GAP_MS = 3_600_000
STILL = FRONT + "return video?.readyState >= 2 && !video.seeking && [shown(video), video.currentTime, video.currentSrc]"


def main():
    port, start = sys.argv[1], int(sys.argv[2])
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, timezone_id="Europe/Berlin")
        tab = Tab(context, f"http://{NAME}:{port}")
        tab.wait("the page", 'return !document.querySelector("#main").hidden')
        # From here on the page reacts.
        tab.wait("the days with recordings", 'return document.querySelectorAll("#days .some").length >= 2')
        find(tab, start)
        type_it(tab, start)
        scrub(tab, start)
        cuts(tab, start)
        gap(tab, start)
        is_read(tab, start)
        is_said(tab, start)
        keep_and_delete(tab, start)
        marks(tab)
        by_keyboard(tab, start)
        for width, height, scheme in [(1280, 800, "dark"), (360, 740, "light")]:
            hinders_nobody(tab, start, width, height, scheme)
        elements = tab.run('return document.querySelectorAll("*").length')
        assert elements <= ELEMENTS_MAX, elements
        tab.check()
        step("seen", elements=elements)


def find(tab, start):
    """Two clicks: the day, then the place in it."""
    began = time.monotonic()
    day = tab.run("return new Date(argument).setHours(0, 0, 0, 0)", start)
    tab.click(f'#days [data-day="{day}"]')
    tab.wait("that day", "return new Date(argument).getDate() === Number(location.hash.split('@')[1]?.slice(8, 10))", start)
    box = tab.page.locator("#strip").bounding_box()
    wanted = start + 100_000
    tab.page.mouse.click(box["x"] + box["width"] * (wanted - day) / 86_400_000, box["y"] + box["height"] / 2)
    tab.wait("a picture of it", FRONT + "return video?.readyState >= 2 && !video.paused && video.currentTime > 0")
    found = moment(tab)
    # A pixel of the day is more than a minute.
    assert abs(found - wanted) < 90_000, (found, wanted)
    step("found", seconds=round(time.monotonic() - began, 2), off_s=round((found - wanted) / 1000))


def moment(tab):
    """The time in the address, in ms."""
    return tab.run("return new Date(location.hash.split('@')[1].split('&')[0]).getTime()")


def typed(tab, ms):
    tab.keyboard.press("t")
    tab.keyboard.type(tab.run("return new Date(argument).toTimeString().slice(0, 8).replaceAll(':', '')", ms))
    tab.keyboard.press("Enter")


def expect_picture(tab, ms, start, slack=2):
    """The still picture is the one of that moment."""
    number = int((ms - start) % RECORDING_MS / 1000 * FRAMES_PER_SECOND)
    tab.wait(f"picture {number}", STILL.replace("return video", "return video?.paused && video") + f" && Math.abs(shown(video) - {number}) <= {slack}")


def type_it(tab, start):
    """Goes to the second, then to each picture in it by key."""
    tab.keyboard.press("k")
    tab.wait("that it stands", FRONT + "return video.paused")
    wanted = start + 65_000
    typed(tab, wanted)
    # It plays on or stays paused as before.
    expect_picture(tab, wanted, start)
    assert moment(tab) == wanted, (moment(tab), wanted)
    step("typed")


def scrub(tab, start):
    """The picture under the needle is shown, wherever the band is released."""
    for _ in range(9):
        tab.keyboard.press("+")
    box = tab.page.locator("#band").bounding_box()
    x, y = box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.7
    per_pixel = 300_000 / box["width"]
    at = start + 65_000
    tab.page.wait_for_timeout(500)  # the needle glides to the middle
    for ms in [8_000, -22_000, 40_000]:
        tab.page.mouse.move(x, y)
        tab.page.mouse.down()
        pixels = round(ms / per_pixel)
        tab.page.mouse.move(x - pixels / 2, y, steps=5)
        tab.page.mouse.move(x - pixels, y, steps=5)
        expect_picture(tab, at + pixels * per_pixel, start, slack=3)
        tab.page.mouse.up()
        at += pixels * per_pixel
        expect_picture(tab, at, start, slack=3)
        assert abs(moment(tab) - at) < 1100, (moment(tab), at)
    step("scrubbed")


def cuts(tab, start):
    """Ten changes of recording at four times the speed: none is left out, none comes twice."""
    typed(tab, start + 1000)
    tab.wait("the first recording", STILL + ' && video.currentSrc.includes("/001.mp4")')
    tab.run("""
      globalThis.files = [];
      setInterval(() => {
        const file = document.querySelector("#player video.front")?.currentSrc.match(/(\\d+)\\.mp4/)?.[1];
        if (file && file !== files[files.length - 1]) files.push(file);
      }, 20);
    """)
    tab.page.select_option("#speed", "4")
    tab.page.evaluate("document.activeElement.blur()")
    tab.keyboard.press(" ")
    files = tab.wait("ten cuts", "return files.length > 10 && files", patience=60)
    numbers = [int(file) for file in files]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers
    step("cuts", recordings=len(files))


def gap(tab, start):
    typed(tab, start + BLOCK_MS - 4000)
    tab.wait_for_text("#player-note", "Skipped 60 minutes")
    tab.wait("what comes after the gap", FRONT + "return !video.paused && video.currentTime > 0")
    tab.keyboard.press("k")
    tab.wait("where it stands", "return document.querySelector('#play').getAttribute('aria-label') === 'Play'")
    assert moment(tab) - (start + BLOCK_MS + GAP_MS) in range(-1000, 60_000), moment(tab)
    # In the middle of it: the same.
    typed(tab, start + BLOCK_MS + GAP_MS // 2)
    tab.wait("the beginning after it", FRONT + "return video?.readyState >= 2 && !video.seeking && video.currentTime < 1")
    step("gap")


def is_read(tab, start):
    """While the card is not read as far as a moment, the page waits there, and says how far it is; it claims no gap."""
    asked = []

    def answer(route):
        asked.append(route.request.url)
        if len(asked) > 2:
            return route.continue_()
        route.fulfill(json={"recordings": [], "next": None, "complete": False, "read_to": start + BLOCK_MS + GAP_MS, "label": "", "epoch": ""})

    wanted = start + 15_000
    there = tab.run("return new Date(argument - new Date(argument).getTimezoneOffset() * 60_000).toISOString().slice(0, 19)", wanted)
    tab.goto("about:blank")
    tab.route("**/api/recordings?camera=camera&from=*", answer)
    tab.goto(f"{tab.origin}/#camera@{there}")
    tab.wait_for_text("#player-note", "What was recorded at the time you look for is not known yet")
    assert asked and moment(tab) == wanted // 1000 * 1000, (asked, moment(tab), wanted)
    tab.wait("the picture of it", FRONT + "return video?.readyState >= 2 && video.currentTime >= 5 && !document.querySelector('#player').classList.contains('nothing')")
    assert len(asked) >= 3 and moment(tab) - wanted in range(-1000, 9000), (asked, moment(tab), wanted)
    assert "Skipped" not in tab.text(), tab.text()
    tab.unroute("**/api/recordings?camera=camera&from=*")
    step("read")


def is_said(tab, start):
    """The band describes itself to screen readers and under the mouse."""
    for _ in range(12):
        tab.keyboard.press("-")
    slider = tab.page.get_by_role("slider", name="Time")
    tab.wait("the time in words", "return /\\d\\d:\\d\\d:\\d\\d, /.test(document.querySelector('#band').getAttribute('aria-valuetext'))")
    words = tab.wait("the gap in words", "const text = document.querySelector('#band-words').textContent; return text.includes(' to ') && text")
    slider.focus()
    before = moment(tab)
    tab.keyboard.press("ArrowRight")
    tab.wait("ten seconds on", FRONT + "return !video.seeking && video.readyState >= 2 && Date.parse(location.hash.split('@')[1]) > argument", before)
    # From here to the other days: nothing but gap at the left of the block's first recording.
    typed(tab, start + 2000)
    tab.wait("the first recording", STILL + ' && video.currentSrc.includes("/001.mp4")')
    box = slider.bounding_box()
    tab.page.wait_for_timeout(500)
    tab.page.mouse.move(box["x"] + 40, box["y"] + box["height"] - 10)
    said = tab.wait("what is under the mouse", "const bubble = document.querySelector('#bubble'); return !bubble.hidden && bubble.textContent.includes(',') && bubble.textContent")
    step("said", words=words, bubble=said)


def marks(tab):
    """Bookmarks of this hour: set by key, drawn, named, visited one after the other."""
    lately = tab.run("return fetch('/api/recordings?camera=camera&limit=12').then((answer) => answer.json()).then(({ recordings }) => recordings[recordings.length - 1].start_ms)")
    places = []
    for ms in [lately + 20_000, lately + 50_000]:
        tab.run("const text = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19); return new Promise((done) => { addEventListener('hashchange', () => done(true), { once: true }); location.hash = `#camera@${text(argument)}`; })", ms)  # behind the page's own listener
        # It stood before: a key that comes before it plays would start it, not stop it.
        tab.wait("that it plays from there", FRONT + "return video?.readyState >= 2 && !video.seeking && !video.paused && Date.parse(location.hash.split('@')[1]) >= argument - 1000", ms)
        tab.keyboard.press("k")
        tab.wait("that it stands", FRONT + "return video.paused")
        places.append(moment(tab))
        tab.keyboard.press("b")
        tab.wait_for_text("#band-words", ": bookmark.")
    seen = []
    for key in ["Shift+P", "Shift+P", "Shift+N"]:
        before = moment(tab)
        tab.keyboard.press(key)
        tab.wait("another mark", "return Math.abs(Date.parse(location.hash.split('@')[1]) - argument) > 1000", before)
        seen.append(moment(tab))
        tab.wait("the mark by its name", "return document.querySelector('#band').getAttribute('aria-valuetext').includes('bookmark')")
    # Each starts a little before; the last one is where it was set.
    assert all(-5500 < seen[at] - places[of] < 1500 for at, of in [(0, 1), (1, 0), (2, 1)]), (seen, places)
    # What is said stays, also if the video is still on its way.
    tab.keyboard.press("Shift+N")
    tab.wait_for_text("#player-note", "Nothing is marked after this")
    step("marks", places=seen)


def keep_and_delete(tab, start):
    for _ in range(12):
        tab.keyboard.press("+")
    typed(tab, start + 11_000)
    tab.wait("the second recording", STILL + ' && video.currentSrc.includes("/002.mp4")')
    tab.keyboard.press("i")
    tab.wait_for_text("#chosen-text", "Mark End")
    typed(tab, start + 18_000)
    tab.wait("the end of the span", STILL + " && Date.parse(location.hash.split('@')[1]) === argument", start + 18_000)
    tab.keyboard.press("o")
    tab.wait("the span", "return /&to=/.test(location.hash)")
    tab.click("#keep")
    tab.wait_for_text("#keep", "Don’t Keep")
    assert tab.run("return document.querySelector('#chosen-delete').getAttribute('aria-disabled')") == "true"
    kept = timeline(tab, start)["kept"]
    assert kept and kept[0][0] <= start + 11_000 and kept[0][1] >= start + 18_000, kept
    tab.click("#keep")
    tab.wait("that it is kept no longer", "return document.querySelector('#keep').textContent === 'Keep'")
    tab.click("#chosen-delete")
    tab.wait_for_text("#question-text", "cannot be undone")
    tab.click("#question button[value=yes]")
    tab.wait("the span to go", "return document.querySelector('#chosen').hidden")
    spans = timeline(tab, start)["spans"]
    assert not any(begin <= start + 15_000 < end for begin, end, *_ in spans), spans
    step("deleted")


def by_keyboard(tab, start):
    """The row of days and the list are one stop each, however long: arrows lead on in them, and are the page's behind a click."""
    here = "const { activeElement: at } = document; "
    stops = "return [...document.querySelectorAll(`${argument} :is(button, a)`)].filter(({ tabIndex, offsetParent }) => tabIndex === 0 && offsetParent).length"
    tab.run("document.querySelector('#days [tabindex=\"0\"]').focus()")
    tab.keyboard.press("Home")
    tab.wait("the first day", here + "return at === document.querySelector('#days .day')")
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("End")
    tab.keyboard.press("ArrowLeft")
    tab.wait("yesterday", here + "return at.nextElementSibling === document.querySelector('#days').lastElementChild")
    assert tab.run(stops, "#days") == 1, tab.run(stops, "#days")
    day = tab.run("return new Date(argument).setHours(0, 0, 0, 0)", start)
    tab.run("document.querySelector(`#days [data-day='${argument}']`).focus()", day)
    tab.keyboard.press("Enter")
    tab.wait("that day", "return new Date(argument).getDate() === Number(location.hash.split('@')[1]?.slice(8, 10))", start)
    tab.files()
    assert tab.page.locator("#rows").bounding_box()["y"] < tab.page.viewport_size["height"]
    number = here + "return Number(at.closest('[data-number]')?.dataset.number ?? -1)"
    tab.wait("one row", "return document.querySelector('#rows [tabindex=\"0\"]')?.focus() ?? document.activeElement.closest('#rows')")
    first = tab.run(number)
    for back in range(1, 11):
        if back == 5:  # The row goes out of sight, as when the player comes to another recording.
            tab.run("const list = document.querySelector('#rows'); list.scrollTop = list.scrollHeight")
            tab.wait("rows there", "const { top, bottom } = document.querySelector('#rows').getBoundingClientRect(); return [...document.querySelectorAll('#rows [data-number]')].some((row) => { const at = row.getBoundingClientRect(); return at.top >= top && at.bottom <= bottom; })")
        tab.keyboard.press("ArrowDown")
        tab.wait("the row below", number + " === argument", first - back)
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowUp")
    tab.wait("the button above", number + " === argument && at.matches('.download')", first - 9)
    assert 1 < tab.run(stops, "#rows") <= 3, tab.run(stops, "#rows")
    tab.page.locator(f"[data-number='{first - 9}'] .entry").click()
    tab.wait("a recording that plays", FRONT + "return video?.readyState >= 2 && !video.paused")
    tab.keyboard.press("k")
    before = moment(tab)
    tab.keyboard.press("ArrowLeft")
    tab.wait("ten seconds back", FRONT + "return !video.seeking && Date.parse(location.hash.split('@')[1]) < argument", before)
    tab.click("#close-files")
    step("by_keyboard")


def hinders_nobody(tab, start, width, height, scheme):
    tab.page.set_viewport_size({"width": width, "height": height})
    tab.page.emulate_media(color_scheme=scheme)
    tab.run("location.hash = '#camera'")
    tab.wait("live, or why not", LIVE + "return !document.querySelector('#live .tile').hidden")
    states = [("live", lambda: None), ("calendar", lambda: tab.keyboard.press("d")), ("keys", lambda: tab.keyboard.press("?")),
              ("link", lambda: tab.keyboard.press("c")), ("menu", lambda: tab.click("#menu summary")),
              ("settings", lambda: tab.menu("#open-settings"))]
    for state, enter in states:
        enter()
        tab.page.wait_for_timeout(200)
        tab.hinders_nobody(f"{state} {width} {scheme}")
        tab.keyboard.press("Escape")
    tab.run("""
      const text = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
      location.hash = `#camera@${text(argument + 60_000)}&to=${text(argument + 90_000)}`;
    """, start)
    tab.wait("a span", FRONT + "return video?.readyState >= 2 && !document.querySelector('#chosen').hidden")
    tab.files()
    tab.click("#health-details summary")
    tab.page.wait_for_timeout(200)
    tab.hinders_nobody(f"a span, files, state {width} {scheme}")
    tab.click("#health-details summary")
    tab.click("#close-files")
    step("hinders_nobody", width=width, scheme=scheme)


def timeline(tab, start):
    return tab.run("""
      return fetch(`/api/timeline?camera=camera&from=${argument}&to=${argument + 600_000}`).then((answer) => answer.json())
    """, start)


if __name__ == "__main__":
    main()
