"""The recorder goes away while somebody looks, and while somebody plays a recording, and comes back.

usage: gone.py PORT [all]

The page needs no password. Whoever reads the lines ends the recorder after `looking`, and starts it again after
`said`.
"""
import sys

from browser import NAME, Tab, chromium, step
from walk import FRONT, LIVE, watch_live


def main():
    with chromium() as browser:
        tab = Tab(browser.new_context(), f"http://{NAME}:{sys.argv[1]}")
        if sys.argv[2:] == ["all"]:
            return wall_comes_back(tab)
        watch_live(tab)
        tab.files()
        before = tab.run(LIVE + "return video.src")
        step("looking")
        tab.wait_for_text("#banner", "smolnvr does not answer")
        step("said")
        tab.wait("the banner to go", 'return document.querySelector("#banner").hidden')
        tab.wait("a new live picture", LIVE + f'return video && video.src !== "{before}" && video.currentTime > 0')
        tab.wait("the new recording in the list", """
          const [open] = document.querySelectorAll("#rows .recording");
          return open && Number(open.dataset.number) > 0;
        """)
        step("back")
        goes_on(tab)
        tab.check()


def goes_on(tab):
    """Playing stops where the next recording does not come, and continues there."""
    tab.keyboard.press("Escape")
    start = tab.run("return fetch('/api/recordings?camera=camera&number=0').then((answer) => answer.json()).then(({ recordings }) => recordings[0].start_ms)")
    tab.run("location.hash = `#camera@${new Date(argument + 500).toISOString()}`", start)
    number = "Number(video?.currentSrc.match(/([0-9]+).mp4/)?.[1])"
    tab.wait("a recording that plays", FRONT + f"return {number} >= 0 && !video.paused && video.currentTime > 0")
    step("looking")
    tab.wait_for_text("#banner", "smolnvr does not answer")
    tab.wait("it to stop", FRONT + "return video.paused")
    before = tab.run(FRONT + f"return {number}")
    step("said")
    tab.wait("the banner to go", 'return document.querySelector("#banner").hidden')
    tab.wait("it to continue", FRONT + f"return {number} > argument && !video.paused && video.currentTime > 0", before)
    assert tab.run('return document.querySelector("#picture-error").hidden')
    step("back")


def wall_comes_back(tab):
    """What was asked for of all cameras while the recorder was gone is shown afterwards."""
    tab.wait("some recordings", """
      return fetch("/api/recordings?camera=camera&limit=8").then((answer) => answer.json()).then(({ recordings }) => recordings.length === 8);
    """)
    start = tab.run("return fetch('/api/recordings?camera=camera&limit=2').then((answer) => answer.json()).then(({ recordings }) => recordings[1].start_ms)")
    tab.run("location.hash = `#all@${new Date(argument).toISOString()}`", start)
    tab.wait("all cameras", "return document.querySelector('#wall video')?.readyState > 1")
    tab.keyboard.press(" ")
    tab.wait("it to stand", "return document.querySelector('#wall video').paused")
    before = tab.run("return document.querySelector('#wall video').currentSrc")
    step("looking")
    tab.wait_for_text("#banner", "smolnvr does not answer")
    tab.keyboard.press("ArrowLeft")
    tab.wait("another recording that does not come", "const video = document.querySelector('#wall video'); return video.error && video.currentSrc !== argument", before)
    step("said")
    tab.wait("it to come", "const video = document.querySelector('#wall video'); return video.readyState > 1 && !video.error")
    step("back")
    tab.check()


if __name__ == "__main__":
    main()
