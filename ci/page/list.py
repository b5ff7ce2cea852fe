"""A list of many recordings: it goes on by itself, keeps its rows, and says what it does not know.

usage: list.py PORT COUNT

There are at least COUNT recordings, and others come. The page needs no password.
"""
import sys
from datetime import datetime

from browser import NAME, Tab, chromium, step
from walk import watch_live

ROWS = 'const days = document.querySelector("#days"); const rows = [...days.querySelectorAll("[data-number]")];'
NOTE = 'return document.querySelector("#list-note").textContent'


def main():
    port, count = sys.argv[1], int(sys.argv[2])
    origin = f"http://{NAME}:{port}"
    with chromium() as browser:
        for width, height in [(1280, 800), (390, 800)]:
            tab = Tab(browser.new_context(viewport={"width": width, "height": height}), origin)
            goes_on(tab, count)
            stays(tab)
            tab.check()
            tab.close()
        # The driver, which fetches for the page there, does not know the name.
        tab = Tab(browser.new_context(), f"http://127.0.0.1:{port}")
        reads(tab)
        is_released(tab)
        tab.check()
        is_old(browser, origin)


def goes_on(tab, count):
    # It asks again by itself until every head is read.
    tab.wait("a list that is read", 'return document.querySelector("#days li") && !document.querySelector("#days li.unread")')
    # Its own clock is nobody's trouble while it agrees with the browser's.
    assert "Clock" not in tab.run('return document.querySelector("#verdict").textContent')
    tab.wait("all of them, by scrolling alone", ROWS + """
      days.scrollTop = days.scrollHeight;
      scrollTo(0, document.body.scrollHeight);
      return rows.length >= argument;
    """, count)
    tab.wait("all of it read", 'return !document.querySelector("#days li.unread")')
    step("went_on", rows=tab.run(ROWS + "return rows.length"))


def stays(tab):
    """A new recording makes one row, and as many leave at the end; nothing else is made anew, or moves."""
    tab.run(ROWS + """
      const row = rows[150];
      row.mine = true;
      globalThis.count = rows.length;
      globalThis.newest = Number(rows[0].dataset.number);
      row.scrollIntoView({ block: "start" });
    """)
    tab.wait("two new recordings", ROWS + "return Number(rows[0].dataset.number) >= newest + 2")
    count, before, kept = tab.run(ROWS + "return [rows.length, count, rows.findIndex((row) => row.mine)]")
    assert count == before, (count, before)
    assert kept >= 152, kept
    where = ROWS + "return Math.round(rows.find((row) => row.mine)?.getBoundingClientRect().top ?? -1)"
    top = tab.run(where)
    # Another row is the newest, and the one that is looked at stays where it is.
    tab.run('document.querySelector("#refresh").click()')
    tab.wait("the refreshed list", 'return !document.querySelector("#refresh").classList.contains("busy")')
    assert abs(tab.run(where) - top) < 120, (top, tab.run(where))
    assert tab.run(ROWS + "return rows.length") >= before
    step("stayed", rows=count)


def reads(tab):
    """While the card is read, a search by time says how far that is, and asks again by itself."""
    now = tab.run("return Date.now()")
    asked = []

    def answer(route):
        body = route.fetch().json()
        asked.append(route.request.url)
        if len(asked) <= 2:
            body.update(complete=False, read_to=now - 60_000, next=None)
        route.fulfill(json=body)

    tab.wait("the list", 'return document.querySelector("#days li")')
    tab.route("**/api/recordings?**to=**", answer)
    tab.fill("#until", datetime.fromtimestamp(now / 1000 - 3600).strftime("%Y-%m-%dT%H:%M"))
    tab.wait("how far it is", NOTE + '.includes("Reading the card: back to Today")')
    assert tab.run(ROWS + "return rows.length") == 0
    tab.wait("the end of the reading", NOTE + ' === "Nothing was recorded until then."')
    assert len(asked) >= 3, asked
    tab.fill("#until", "")
    tab.wait("the list again", ROWS + "return rows.length > 0")
    step("read")


def is_released(tab):
    tab.run('return fetch("/api/storage/release", { method: "POST" })')
    tab.wait("the card's absence in the list", NOTE + '.includes("Use Card Again")')
    tab.run('return fetch("/api/storage/resume", { method: "POST" })')
    tab.wait("the list by itself", ROWS + f"return rows.length > 0 && !(() => {{ {NOTE} }})()")
    step("released")


def is_old(browser, origin):
    """A browser without dialogs and timeouts is helped; one that can not read the page is told."""
    context = browser.new_context()
    context.add_init_script("delete AbortSignal.timeout; delete globalThis.HTMLDialogElement;")
    tab = Tab(context, origin)
    watch_live(tab)
    tab.click("#open-settings")
    tab.wait("the settings", 'return document.querySelector("#settings.made-up fieldset")')
    tab.click("#close-settings")
    tab.wait("no settings", 'return document.querySelector("#settings").offsetHeight === 0')
    tab.check()
    tab = Tab.__new__(Tab)
    tab.page = browser.new_context().new_page()
    tab.page.route("**/app.js", lambda route: route.fulfill(content_type="text/javascript", body="class A { # }"))
    tab.page.goto(origin)
    tab.wait_for_text("#banner", "update this browser")
    step("old")


if __name__ == "__main__":
    main()
