"""The page in Russian and Chinese on a phone: by the browser's language, and by the choice in the settings.

usage: languages.py PORT SCREENSHOTS

The camera is `camera`. The page needs no password.
"""
import pathlib
import sys

from browser import NAME, Tab, chromium, step
from walk import FRONT, watch_live

# Text shown in English letters that is not the name of a thing, a key or a unit.
ENGLISH = r"""
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const left = [];
  while (walker.nextNode()) {
    const { data, parentElement } = walker.currentNode;
    if (!parentElement.closest("script, noscript, code, option, #changes, #cameras, #keys-list dt, legend, #about") && /[a-z]{3}/i.test(data)
      && !/[\u0400-\u04ff\u4e00-\u9fff]/.test(data) && !/^(smolnvr|camera|REC|PTS|Escape|Enter|TCP|UDP|[\d.:/ ]*)$/i.test(data.trim())) left.push(data.trim());
  }
  return left;
"""
# Elements wider than their place.
WIDE = """
  const wide = [...document.querySelectorAll("button, .button, label, dd, h2, h3, dialog[open]")]
    .filter((it) => it.offsetParent && !it.matches(".unseen") && it.scrollWidth > it.clientWidth + 1).map((it) => it.textContent);
  if (document.documentElement.scrollWidth > innerWidth) wide.push(...[...document.querySelectorAll("main *")]
    .filter((it) => it.getBoundingClientRect().right > innerWidth + 1).map((it) => `beyond the page: ${it.id || it.className || it.localName}`));
  return wide;
"""


def main():
    port, screenshots = sys.argv[1], pathlib.Path(sys.argv[2])
    screenshots.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for locale, settings, live in [("ru-RU", "Настройки", "Эфир"), ("zh-CN", "设置", "实时")]:
            language = locale[:2]
            context = browser.new_context(viewport={"width": 360, "height": 740}, locale=locale)
            asked = []
            context.on("request", lambda request: asked.append(request.url.split("/")[-1].split("?")[0]))
            tab = Tab(context, f"http://{NAME}:{port}")

            def look(state):
                tab.screenshot(path=screenshots / f"{language}-{state}.png")
                left, wide = tab.run(ENGLISH), tab.run(WIDE)
                assert not left, f"{language} {state}: {left}"
                assert not wide, f"{language} {state}: {wide}"
                tab.hinders_nobody(f"{language} {state}")

            watch_live(tab)
            assert tab.run("return document.documentElement.lang") == language
            assert asked.count(f"{language}.json") == 1 and "en.json" not in asked, asked
            tab.wait_for_text("#go-live", live)
            tab.wait("all is told", 'return document.querySelector("#verdict-dot").classList.contains("good")')
            tab.click("#health-details summary")
            look("live")
            tab.click("#health-details summary")
            tab.files()
            tab.wait("a recording", 'return document.querySelector("#rows .whole")')
            tab.click("#rows .whole .entry")
            tab.wait("the past", FRONT + "return video?.readyState >= 2")
            tab.keyboard.press("i")
            tab.wait("some of it", FRONT + "return video.currentTime > 0.5")
            tab.keyboard.press("o")
            look("past")
            tab.click("#chosen-delete")
            look("question")
            tab.click("#question button[value=no]")
            tab.keyboard.press("?")
            look("keys")
            tab.keyboard.press("Escape")
            tab.menu("#open-settings")
            tab.wait_for_text("#settings-title", settings)
            tab.wait("the settings", 'return document.querySelector("#settings fieldset")')
            tab.click("#settings fieldset summary")
            look("settings")
            tab.check()
            step(locale)
        # The last one, in English from now on.
        tab.select_option("#language", "en")
        tab.wait("English", 'return document.documentElement.lang === "en" && document.querySelector("#go-live")?.textContent === "Live"')
        tab.reload()
        tab.wait("that it stays", 'return document.querySelector("#open-files")?.textContent === "Files" && !document.querySelector("#main").hidden')
        tab.check()
        step("chosen")


if __name__ == "__main__":
    main()
