"""Plays a playlist of HLS in Chromium itself, which knows it without a script: by seeks, and to its end.

usage: playlist.py PORT PATH [SECONDS]

It plays the last SECONDS, 5 if none are given. Prints a line of JSON: the duration, and what the pictures of the clip `numbered` say at some times.
"""
import sys

from browser import PATIENCE, Tab, chromium, step

TIMES = [0.5, 8.5, 12.02, 3.3]


def main():
    port, path, *last = sys.argv[1:]
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
        last = float(last[0]) if last else 5
        tab.run("film.currentTime = film.duration - argument; film.playbackRate = 2; film.play()", last)
        tab.wait("its end", "return film.ended", patience=PATIENCE + last)
        step("played", duration=tab.run("return film.duration"), seen=seen)


if __name__ == "__main__":
    main()
