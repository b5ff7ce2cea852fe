"""A camera that refreshes gradually and never sends an IDR: Media Source Extensions cannot show its pictures.

usage: refresh.py PORT

The page needs no password.
"""
import sys

from browser import NAME, Tab, chromium, step
from walk import LIVE


def main():
    with chromium() as browser:
        tab = Tab(browser.new_context(), f"http://{NAME}:{sys.argv[1]}")
        tab.wait("a live picture", LIVE + "return video?.currentTime > 1 && video.videoWidth > 0")
        assert tab.run(LIVE + "return video.src").endswith("/live/camera.mp4")
        step("live")
        # Another camera, or a hidden page: the connection is closed.
        tab.run("Object.defineProperty(document, 'hidden', { value: true }); document.dispatchEvent(new Event('visibilitychange'))")
        tab.wait("no viewers", """
          return fetch("/api/status").then((answer) => answer.json()).then(({ cameras }) => cameras[0].viewers === 0)
        """)
        tab.check()
        step("left")


if __name__ == "__main__":
    main()
