"""Sound in live: silent and not sent until requested; then audible, then silent again.

usage: sound.py PORT

The camera sends AAC, which is taken. The page needs no password.
"""
import sys
import time

from browser import NAME, Tab, chromium, step
from walk import LIVE, watch_live


def main():
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1024, "height": 768})
        sockets = []
        context.on("page", lambda page: page.on("websocket", lambda socket: sockets.append(socket.url.split("/live/")[1])))
        tab = Tab(context, f"http://{NAME}:{sys.argv[1]}")
        watch_live(tab)
        tab.wait("the button", 'return document.querySelector("#mute").getAttribute("aria-disabled") === "false"')
        assert sockets == ["camera"] and tab.run(LIVE + "return video.muted && !video.webkitAudioDecodedByteCount")
        tab.keyboard.press("m")
        heard = LIVE + "return !video.muted && !video.paused && video.webkitAudioDecodedByteCount > 2000 && video.currentTime > 1"
        tab.wait("sound", heard)
        assert sockets[-1] == "camera?sound=1", sockets
        # Sound and picture are buffered up to the same moment, and playback does not stall.
        seeks = tab.run(LIVE + """
          return new Promise((done) => {
            let seeks = 0;
            video.addEventListener("seeking", () => (seeks += 1));
            const until = video.currentTime + 3;
            const look = () => (video.currentTime > until ? done(seeks) : setTimeout(look, 50));
            look();
          });
        """)
        assert seeks <= 1, seeks
        tab.hinders_nobody("live with sound")
        tab.click("#mute")
        tab.wait("silence", LIVE + "return video.muted && video.currentTime > 0.2")
        until = time.monotonic() + 20
        while sockets[-1] != "camera":
            assert time.monotonic() < until, sockets
            tab.page.wait_for_timeout(50)
        tab.check()
        step("heard", sockets=len(sockets), seeks=seeks)


if __name__ == "__main__":
    main()
