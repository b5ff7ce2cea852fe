"""Plays a playlist of HLS in Chromium itself, which knows it without a script: by seeks, and to its end.

usage: playlist.py PORT PATH

Prints a line of JSON: the duration, and what the pictures of the clip `numbered` say at some times.
"""
import sys

from browser import Tab, chromium, step

TIMES = [0.5, 8.5, 12.02, 3.3]


def main():
    port, path = sys.argv[1:]
    with chromium() as browser:
        tab = Tab(browser.new_context(), f"http://127.0.0.1:{port}")
        tab.run("""
          globalThis.film = document.createElement("video");
          film.muted = true;
          film.src = argument;
        """, path)
        tab.wait("its length", "return film.readyState >= 1")
        seen = []
        for time in TIMES:
            tab.run("film.currentTime = argument", time)
            tab.wait("the picture", "return !film.seeking && film.readyState >= 2")
            seen.append([time, tab.run("return shown(film)")])
        tab.run("film.currentTime = film.duration - 5; film.playbackRate = 2; film.play()")
        tab.wait("its end", "return film.ended")
        step("played", duration=tab.run("return film.duration"), seen=seen)


if __name__ == "__main__":
    main()
