"""A list of many recordings: it continues by itself, keeps its rows, and says what it does not know yet.

usage: list.py PORT COUNT

There are at least COUNT recordings, and others come. The page needs no password.
"""
import sys

from browser import NAME, Tab, chromium, step
from walk import watch_live

ROWS = 'const box = document.querySelector("#rows"); const rows = [...box.querySelectorAll("[data-number]")];'
# However long the list is.
ELEMENTS_MAX = 1500
NOTE = 'return document.querySelector("#list-note").textContent'
# Things that are slow on a phone: elements, formats of dates and numbers, long dates in words.
COUNTED = """
  const counted = (globalThis.counted = { elements: 0, formats: 0, dates: 0 });
  const { createElement } = document;
  document.createElement = function (...tag) {
    counted.elements += 1;
    return createElement.apply(this, tag);
  };
  for (const kind of ["DateTimeFormat", "NumberFormat"]) {
    Intl[kind] = class extends Intl[kind] {
      constructor(language, options) {
        super(language, options);
        counted.formats += 1;
        const { format } = this;
        const isDate = options.weekday === "long" && options.year;
        Object.defineProperty(this, "format", { value: (value) => {
          if (isDate) counted.dates += 1;
          return format(value);
        } });
      }
    };
  }
"""


def main():
    port, count = sys.argv[1], int(sys.argv[2])
    origin = f"http://{NAME}:{port}"
    with chromium() as browser:
        for width, height in [(1280, 800), (390, 800)]:
            context = browser.new_context(viewport={"width": width, "height": height})
            context.add_init_script(COUNTED)
            tab = Tab(context, origin)
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
    tab.files()
    # The page asks again by itself until every head is read.
    tab.wait("a list that is read", 'return document.querySelector("#rows li") && !document.querySelector("#rows .unread")')
    # A clock that nothing keeps is no problem while it agrees with the browser's.
    assert "Clock" not in tab.run('return document.querySelector("#verdict").textContent')
    length = tab.wait("all of them, by scrolling alone", ROWS + """
      box.scrollTop = box.scrollHeight;
      const length = Number(rows[0]?.getAttribute("aria-setsize"));
      return length >= argument && length;
    """, count)
    tab.wait("all of it read", 'return !document.querySelector("#rows .unread")')
    elements = tab.run('return document.querySelectorAll("*").length')
    assert elements <= ELEMENTS_MAX, elements
    step("went_on", rows=length, elements=elements)


def stays(tab):
    """Two more recordings: the visible row stays the same, and stays in place."""
    tab.run(ROWS + "box.scrollTop = box.scrollHeight / 2")
    number = 'return document.querySelector("#recording-state").textContent.match(/\\d{3,}/)?.[0]'
    newest = int(tab.wait("a recording", ROWS + """
      const { top, bottom } = box.getBoundingClientRect();
      const row = rows.find((row) => row.getBoundingClientRect().top >= top && row.getBoundingClientRect().bottom < bottom);
      if (row) row.mine = true;
    """ + number.replace("return ", "return row && ")))
    where = ROWS + "return rows.find((row) => row.mine)?.getBoundingClientRect().top - box.getBoundingClientRect().top"
    top = tab.run(where)
    tab.run("for (const name in counted) counted[name] = 0")
    tab.wait("two new recordings", number.replace("return ", "return Number(") + ") >= argument", newest + 2)
    counted = tab.run("return counted")
    # However long the list is. Twice or thrice in half a minute the row of days is made, with 42 elements and 14 dates;
    # some units are new: it runs for "2 minutes" now.
    assert counted["elements"] <= 200 and counted["formats"] <= 6 and counted["dates"] <= 100, counted
    tab.run('document.querySelector("#refresh").click()')
    tab.wait("the refreshed list", 'return !document.querySelector("#refresh").classList.contains("busy")')
    assert abs(tab.run(where) - top) <= 1, (top, tab.run(where))
    step("stayed", newest=newest, **counted)


def reads(tab):
    """While the card is read, the list says how far that is, and asks again by itself."""
    now = tab.run("return Date.now()")
    asked = []

    def answer(route):
        body = route.fetch().json()
        asked.append(route.request.url)
        if len(asked) <= 2:
            body.update(recordings=[], complete=False, read_to=now - 60_000, next=None)
        route.fulfill(json=body)

    tab.route("**/api/recordings?camera=camera&limit=50", answer)
    watch_live(tab)
    tab.click("#open-files")
    tab.wait("how far it is", NOTE + '.includes("Reading the card: back to Today")')
    tab.wait("the end of the reading", NOTE + ' === ""')
    assert len(asked) >= 3, asked
    tab.wait("the list", ROWS + "return rows.length > 0")
    step("read")


def is_released(tab):
    tab.run('return fetch("/api/storage/release", { method: "POST" })')
    tab.wait("the card's absence in the list", NOTE + '.includes("Use Card Again")')
    tab.run('return fetch("/api/storage/resume", { method: "POST" })')
    tab.wait("the list by itself", ROWS + f"return rows.length > 0 && !(() => {{ {NOTE} }})()")
    step("released")


def is_old(browser, origin):
    """A browser without dialogs and timeouts works; one that cannot read the page says so."""
    context = browser.new_context()
    context.add_init_script("delete AbortSignal.timeout; delete globalThis.HTMLDialogElement;")
    tab = Tab(context, origin)
    watch_live(tab)
    tab.menu("#open-settings")
    tab.wait("the settings", 'return document.querySelector("#settings.made-up fieldset")')
    tab.click("#close-settings")
    tab.wait("no settings", 'return document.querySelector("#settings").offsetHeight === 0')
    tab.check()
    tab = Tab.__new__(Tab)
    tab.page = browser.new_context().new_page()
    tab.page.route("**/app.js*", lambda route: route.fulfill(content_type="text/javascript", body="class A { # }"))
    tab.page.goto(origin)
    tab.wait_for_text("#banner", "update this browser")
    step("old")


if __name__ == "__main__":
    main()
