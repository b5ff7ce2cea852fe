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
        # As a link opens it.
        tab.wait("the page", 'return document.querySelector("#live .tile")')
        start = tab.run("""
          return fetch(`/api/recordings?camera=camera&number=${argument}`).then((answer) => answer.json()).then(({ recordings }) => recordings[0].start_ms)
        """, int(number))
        tab.run("""
          const date = new Date(argument);
          const iso = new Date(argument - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
          location.hash = `#camera@${iso}`;
        """, start + 45_000)
        tab.wait("the picture", FRONT + "return video && !video.seeking && video.readyState >= 2 && video.currentTime > 40")
        tab.run(FRONT + "video.pause()")
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
