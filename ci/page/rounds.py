"""The first picture waits for only two answers in sequence after the page's own.

usage: rounds.py PORT

The camera is `camera`. The page needs no password. Whatever is not on the way to the picture gets no answer until it
is there; what must be asked for beside the script gets none, nor does the script, before both were asked for.
"""
import sys

from browser import NAME, Tab, chromium, step
from walk import watch_live


def main():
    with chromium() as browser:
        for locale, table in [("en-US", None), ("ru-RU", "ru.json"), ("zh-CN", "zh.json")]:
            beside = {"app.js", "style.css", "status"} | ({table} if table else set())
            context = browser.new_context(locale=locale)
            asked, waiting, others = [], [], []

            def take(route, request):
                name = request.url.split("/")[-1].split("?")[0]
                asked.append(name)
                if name in {"", "old.js", "icon.svg"}:
                    route.continue_()
                else:
                    (waiting if name in beside else others).append(route)
                if beside <= set(asked):
                    while waiting:
                        waiting.pop().continue_()

            context.route("**/*", take)
            tab = Tab(context, f"http://{NAME}:{sys.argv[1]}", until="commit")
            watch_live(tab)
            assert asked.count("status") == 1, asked
            tab.check()
            step(locale, asked=asked)
            for route in others:
                route.abort()
            context.close()


if __name__ == "__main__":
    main()
