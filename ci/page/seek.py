"""Opens a recording in the page's player, seeks to three quarters of it, and counts the requests for it.

usage: seek.py PORT NUMBER

Prints a line of JSON: requests, duration, time and width of the picture there, and its number of colours.
"""
import sys

from browser import NAME, Tab, chromium, step
from walk import FRONT, set_password


def main():
    port, number = sys.argv[1:]
    file = f"{int(number):03}.mp4"
    with chromium() as browser:
        context = browser.new_context()
        ranges = []
        context.on("request", lambda request: file in request.url and ranges.append(request.headers.get("range")))
        tab = Tab(context, f"http://{NAME}:{port}")
        set_password(tab)
        tab.wait("the list", 'return document.querySelector("#days li.whole")')
        tab.click(f'#days li[data-number="{number}"] .entry')
        tab.wait("the recording", FRONT + "return video?.readyState >= 1")
        # As somebody who clicks into the bar.
        tab.fill("#seek", str(tab.run(FRONT + "return video.duration * 0.75")))
        tab.wait("the picture", FRONT + "return !video.seeking && video.readyState >= 2 && video.currentTime >= argument",
                 tab.run(FRONT + "video.pause(); return video.duration * 0.75"))
        seen = tab.run(FRONT + """
          const context = new OffscreenCanvas(video.videoWidth, video.videoHeight).getContext("2d");
          context.drawImage(video, 0, 0);
          const { data } = context.getImageData(0, 0, video.videoWidth, video.videoHeight);
          return { duration: video.duration, time: video.currentTime, width: video.videoWidth,
            colours: new Set(new Uint32Array(data.buffer)).size };
        """)
        assert seen["colours"] > 1000, seen
        tab.check()
        step("sought", requests=len(ranges), ranges=ranges, **seen)


if __name__ == "__main__":
    main()
