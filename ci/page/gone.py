"""The recorder goes away while somebody looks, and comes back.

usage: gone.py PORT

The page needs no password. Whoever reads the lines ends the recorder after `looking`, and starts it again after
`said`.
"""
import sys

from browser import NAME, Tab, chromium, step
from walk import LIVE, watch_live


def main():
    with chromium() as browser:
        tab = Tab(browser.new_context(), f"http://{NAME}:{sys.argv[1]}")
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


if __name__ == "__main__":
    main()
