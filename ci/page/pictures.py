"""The list of recordings with their pictures, in builds that make them.

usage: pictures.py PORT

The page needs no password, and a recording is there.
"""
import sys

from browser import NAME, Tab, chromium, step


def main():
    with chromium() as browser:
        tab = Tab(browser.new_context(), f"http://{NAME}:{sys.argv[1]}")
        tab.files()
        tab.wait("a picture of a recording", """
          const image = document.querySelector("#rows [data-number] img");
          return image?.naturalWidth === 480 && image.naturalHeight === 272;
        """)
        tab.page.click("#rows [data-number] img")
        tab.wait("the player", 'return !document.querySelector("#player").hidden')
        step("played")
        tab.check()


if __name__ == "__main__":
    main()
