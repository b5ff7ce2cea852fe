"""Known stumbling blocks of players: a Russian keyboard, a phone's digits, a full buffer, a lost spot on the card,
keys pressed faster than answers come, the colours of the system, other digits and years, a page that is scrolled.

usage: others.py PORT RECORDINGS

The camera `camera` plays the clip `numbered`; its segments have 2 s. The page needs no password.
"""
import pathlib
import sys

from browser import NAME, Tab, chromium, step
from walk import FRONT, LIVE, watch_live

# A phone may buffer only this few seconds of a camera with a high bit rate.
FULL = """
  globalThis.refused = 0;
  const { appendBuffer } = SourceBuffer.prototype;
  SourceBuffer.prototype.appendBuffer = function (data) {
    const { buffered } = this;
    if (buffered.length && buffered.end(buffered.length - 1) - buffered.start(0) > 3) {
      refused += 1;
      throw new DOMException("The SourceBuffer is full", "QuotaExceededError");
    }
    return appendBuffer.call(this, data);
  };
"""


PHONE = {"viewport": {"width": 360, "height": 480}, "has_touch": True, "is_mobile": True}


def main():
    port, recordings = sys.argv[1], pathlib.Path(sys.argv[2])
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 360, "height": 740})
        context.add_init_script(FULL)
        tab = Tab(context, f"http://{NAME}:{port}")
        keeps_what_fits(tab)
        passes_over(tab, recordings)
        types_russian(tab)
        has_no_enter(tab)
        presses_quickly(tab)
        tab.check()
        for options, look in [({"forced_colors": "active"}, shows_icons), ({"locale": "fa-IR"}, counts_as_addresses_do), (PHONE, scrolls)]:
            tab = Tab(browser.new_context(**options), f"http://{NAME}:{port}")
            watch_live(tab)
            look(tab)
            tab.check()


def keeps_what_fits(tab):
    """Live continues over the same connection, without a jump."""
    watch_live(tab)
    tab.run(LIVE + "globalThis.first = video.src")
    tab.wait("ten seconds of it", LIVE + "return video.currentTime > 10", patience=60)
    refused = tab.run(LIVE + "return video.src === first && !video.hidden && refused")
    assert refused, refused
    step("kept", refused=refused)


def types_russian(tab):
    """Keys work by their position, whatever their letter."""
    for key, code, what in [("л", "KeyK", "location.hash.includes('@')"), ("ъ", "BracketRight", "document.querySelector('#speed').value === '2'"),
                            ("х", "BracketLeft", "document.querySelector('#speed').value === '1'"), ("в", "KeyD", "document.querySelector('#calendar').open")]:
        tab.run("document.body.dispatchEvent(new KeyboardEvent('keydown', { key: argument[0], code: argument[1], bubbles: true }))", [key, code])
        tab.wait(f"what {key} does", f"return {what}")
    tab.keyboard.press("Escape")
    tab.keyboard.press("Escape")
    tab.wait("live", "return location.hash === '#camera'")
    step("typed")


def has_no_enter(tab):
    """An iPhone's digits end with Done, which leaves the field."""
    start = tab.run("return fetch('/api/recordings?camera=camera&number=1').then((answer) => answer.json()).then(({ recordings }) => recordings[0].start_ms)")
    tab.run("""
      globalThis.loaded = [];
      for (const video of document.querySelectorAll("#player video")) video.addEventListener("loadeddata", () => loaded.push(video.currentSrc));
    """)
    tab.click("#time")
    tab.keyboard.type(tab.run("return new Date(argument + 1000).toTimeString().slice(0, 8).replaceAll(':', '')", start))
    tab.run("document.activeElement.blur()")
    tab.wait("that time", "return loaded[0]?.includes('/001.mp4')")
    # Escape leaves it too, and goes nowhere.
    before = tab.run("return history.length")
    tab.click("#time")
    tab.keyboard.type("0001")
    tab.keyboard.press("Escape")
    assert tab.run("return history.length") == before and tab.run("return document.activeElement === document.body")
    step("left")


def presses_quickly(tab):
    """Three presses lead to the third mark, and to the third recording, before the first answer is there."""
    tab.keyboard.press("Escape")
    watch_live(tab)
    there = "return fetch('/api/recordings?camera=camera&number=12').then((answer) => answer.json()).then(({ recordings }) => recordings.length)"
    tab.wait("more recordings than are gone through", there, patience=60)
    begins = tab.run("""
      return fetch("/api/recordings?camera=camera&number=0").then((answer) => answer.json()).then(async ({ recordings }) => {
        const begins = [10_000, 11_000, 12_000].map((ms) => recordings[0].start_ms + ms);
        for (const begin_ms of begins) {
          const answer = await fetch("/api/marks", { method: "POST", headers: { "Content-Type": "application/json" },
            body: JSON.stringify({ camera: "camera", source: "test", kind: "door", begin_ms }) });
          if (!answer.ok) throw new Error(await answer.text());
        }
        location.hash = `#camera@${new Date(recordings[0].start_ms).toISOString()}`;
        return begins;
      });
    """)
    tab.wait("the first recording", FRONT + "return video?.currentSrc.includes('/000.mp4') && video.currentTime > 0 && !video.paused")
    tab.keyboard.press("k")
    tab.wait("that it stands", FRONT + "return video.paused")
    for _ in begins:
        tab.keyboard.press("Shift+N")
    third = "return Math.abs(new Date(location.hash.split('@')[1]) - argument) < 1000"
    tab.wait("the third mark", third, begins[2] - 3000)
    before = tab.wait("its recording", FRONT + "return video && !video.seeking && video.currentSrc.match(/([0-9]+).mp4/)[1]")
    for _ in begins:
        tab.keyboard.press("n")
    tab.wait("the third recording after it", FRONT + "return Number(video?.currentSrc.match(/([0-9]+).mp4/)?.[1]) === Number(argument) + 3", before)
    step("pressed")


def shows_icons(tab):
    unseen = tab.run("""
      return [...document.querySelectorAll(".icon, .dot")].filter((it) => it.offsetParent).filter((it) => {
        const [own, icon] = [getComputedStyle(it), getComputedStyle(it, it.matches(".icon") ? "::before" : null)];
        const back = it.matches(".icon") ? own.backgroundColor : getComputedStyle(document.body).backgroundColor;
        return icon.backgroundColor === back;
      }).map((it) => it.id || it.className);
    """)
    assert not unseen, unseen
    step("icons")


def scrolls(tab):
    """A finger that scrolls the page from the strip of the day leaves the picture as it was: live."""
    tab.run("location.hash = '#camera'; document.querySelector('#strip').scrollIntoView({ block: 'center' })")
    tab.run("document.querySelector('#strip').addEventListener('pointercancel', () => (globalThis.isCancelled = true))")
    box = tab.page.locator("#strip").bounding_box()
    devtools = tab.page.context.new_cdp_session(tab.page)

    def touch(kind, *points):
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    x, y = box["x"] + box["width"] / 3, box["y"] + box["height"] / 2
    touch("touchStart", {"x": x, "y": y})
    for up in range(1, 9):
        touch("touchMove", {"x": x, "y": y - 10 * up})
    touch("touchEnd")
    assert tab.wait("that the page was scrolled", "return globalThis.isCancelled")
    tab.wait("live", LIVE + "return document.querySelector('#player').hidden && location.hash === '#camera' && video.currentTime > 0")
    step("scrolled")


def counts_as_addresses_do(tab):
    shown = tab.run("return [document.querySelector('#time').value, document.querySelector('#open-days').textContent]")
    day = tab.run("return String(new Date().getDate())")
    assert shown[0].isascii() and day in shown[1], shown
    step("counted")


def passes_over(tab, recordings):
    """Erased flash in a recording, as a worn card returns it: playback continues after it."""
    # No part of it has been loaded before.
    entry = tab.run("return fetch('/api/recordings?camera=camera&limit=3').then((answer) => answer.json()).then(({ recordings }) => recordings[2])")
    path = recordings / entry["file"]
    damaged = bytearray(path.read_bytes())
    # The second half of each fragment.
    at = 0
    while (at := damaged.find(b"mdat", at)) >= 0:
        half = (int.from_bytes(damaged[at - 4 : at], "big") - 8) // 2
        at += 4 + 2 * half
        damaged[at - half : at] = b"\xff" * half
    path.write_bytes(damaged)
    tab.run("""
      globalThis.failed = [];
      for (const video of document.querySelectorAll("#player video")) video.addEventListener("error", () => failed.push(video.currentSrc));
      const from = argument + 1000;
      location.hash = `#camera@${new Date(from - new Date(from).getTimezoneOffset() * 60_000).toISOString().slice(0, 19)}`;
    """, entry["start_ms"])
    tab.wait("a recording after it", FRONT + "return video?.currentSrc.match(/(\\d+).mp4/)?.[1] > argument && !video.paused && video.currentTime > 0", entry["number"])
    failed = tab.run("return failed")
    assert failed and all(entry["file"] in file for file in failed), (failed, entry["file"])
    assert tab.run("return document.querySelector('#picture-error').hidden")
    tab.keyboard.press("Escape")
    watch_live(tab)
    step("passed_over", failed=len(failed))


if __name__ == "__main__":
    main()
