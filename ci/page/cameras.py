"""Several cameras on one page, one of which no browser without H.265 can decode.

usage: cameras.py PORT

`yard` sends H.264; `door` and `roof` send H.265, and only `door` has snapshots. The page needs no password.
"""
import sys

from browser import FRAMES_OF_CLIP, NAME, Tab, chromium, step

TILE = """
    const tile = [...document.querySelectorAll(".tile")].find((tile) => tile.querySelector("figcaption").textContent === argument);
    const note = tile?.querySelector(".note").textContent;
"""


def main():
    port = sys.argv[1]
    with chromium() as browser:
        tab = Tab(browser.new_context(viewport={"width": 1280, "height": 800}), f"http://{NAME}:{port}")
        assert not tab.run("""return MediaSource.isTypeSupported('video/mp4; codecs="hvc1.1.6.L93.B0"')"""), "H.265 is known"
        tab.wait("the H.264 camera live", TILE + 'return tile?.querySelector("video").currentTime > 0', "yard")
        tab.wait("snapshots of the H.265 camera", TILE + """
          return note === "This browser cannot show H.265 live: snapshots instead" && tile.querySelector("img").naturalWidth > 0
        """, "door")
        first = tab.run(TILE + 'return tile.querySelector("img").src', "door")
        tab.wait("another snapshot", TILE + f'return tile.querySelector("img").src !== "{first}"', "door")
        reason = tab.wait("why the other has none", TILE + 'return note?.includes("there are no snapshots: ") && note', "roof")
        step("all", reason=reason)

        tab.click("#cameras [data-name=door]")
        tab.wait_for_text("#codec-note", "H.265, which this browser cannot play")
        tab.files()
        tab.wait_for_text("#list-title", "Recordings of door")
        tab.wait("one picture", 'return document.querySelectorAll(".tile:not([hidden])").length === 1')
        tab.wait("others let go of", """
          return fetch("/api/status").then((answer) => answer.json()).then(({ cameras }) => cameras.every(({ viewers }) => viewers === 0))
        """)
        tab.menu("#stop")
        tab.wait("the dot to go out", 'return !document.querySelector("#dot").classList.contains("on")')
        recording = tab.run("""
          return fetch("/api/status").then((answer) => answer.json()).then(({ cameras }) => cameras.map(({ recording }) => recording))
        """)
        assert recording == [True, False, True], recording
        step("one")

        tab.click("#rows .whole .entry")
        tab.wait_for_text("#picture-error", "This browser cannot play H.265: download it")
        tab.wait("no live picture in its place", "return [...document.querySelectorAll('#live .tile')].every((tile) => tile.hidden)")
        tab.keyboard.press("Escape")
        tab.click("#close-files")
        tab.click("#cameras [data-name='']")
        tab.wait("the H.264 camera live again", TILE + 'return tile?.querySelector("video").currentTime > 0 && !tile.hidden', "yard")
        step("all_again")

        start = tab.run("return fetch('/api/recordings?camera=yard&limit=9').then((answer) => answer.json()).then(({ recordings }) => recordings.pop().start_ms)")
        tab.run("location.hash = `#all@${new Date(argument).toISOString()}`", start)
        tab.wait("the past of all cameras", "const video = document.querySelector('#wall video'); return video?.readyState > 1 && !video.paused && video.currentTime > 0")
        tab.wait("why one does not play", "return [...document.querySelectorAll('#wall .note')].some(({ textContent }) => textContent.includes('cannot play H.265'))")
        assert tab.run("return location.hash").startswith("#all@2"), tab.run("return location.hash")
        tab.keyboard.press("k")
        still = "const video = document.querySelector('#wall video'); return video.paused && !video.seeking && video.readyState > 1 && shown(video)"
        tab.wait("that it stands", still + " >= 0")
        # Standing, it seeks once more, to the very moment.
        tab.wait("that moment", "const [video] = document.querySelectorAll('#wall video'), { currentTime } = video; if (globalThis.stood === currentTime) globalThis.stands += 1; else globalThis.stands = 0; globalThis.stood = currentTime; return globalThis.stands > 20")
        number = tab.run(still)
        for way, key in [(1, "."), (2, "."), (1, ",")]:
            tab.keyboard.press(key)
            tab.wait(f"{way} on from picture {number}", still + f" === {(number + way) % FRAMES_OF_CLIP}")
        tab.keyboard.press("Escape")
        tab.wait("live again", TILE + "return location.hash === '#all' && tile?.querySelector('video').currentTime > 0 && !tile.hidden", "yard")
        tab.check()
        step("all_past")


if __name__ == "__main__":
    main()
