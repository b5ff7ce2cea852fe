"""Debian's Chromium, driven by Playwright: a page, its errors, and the pictures of its videos.

The pictures of the clip `numbered` (ci/clips.sh) say which of the 250 they are; `SHOWN` reads that.
"""
import contextlib
import importlib.resources
import json
import time

from playwright.sync_api import Error, sync_playwright

CHROMIUM = "/usr/bin/chromium"
PATIENCE = 20
# A local name, as people type it; browsers trust it less than 127.0.0.1.
NAME = "nvr.lan"

# The number that the picture of `video` shows.
SHOWN = """
    const shown = (video) => {
      const canvas = globalThis.shownOn ??= new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
      const { videoWidth: width, videoHeight: height } = video;
      if (!width) return -1; // one that gives way to the next
      Object.assign(canvas.canvas, { width, height: 1 });
      canvas.drawImage(video, 0, Math.floor(height / 27), width, 1, 0, 0, width, 1);
      const { data } = canvas.getImageData(0, 0, width, 1);
      let number = 0;
      for (let bit = 0; bit < 8; bit += 1) {
        if (data[4 * Math.floor((width * (bit + 0.5)) / 8)] > 127) number += 1 << bit;
      }
      return number;
    };
"""
FRAMES_OF_CLIP = 250


class Complaints(list):
    """Collects errors of the browser's console."""

    def note(self, message):
        # Refusals show there too, but the page reports them itself.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.append(message.text)


class Tab:
    """One page of the recorder."""

    def __init__(self, context, origin, until="load"):
        self.origin = origin
        self.page = context.new_page()
        self.complaints = Complaints()
        self.page.on("console", self.complaints.note)
        self.page.on("pageerror", lambda error: self.complaints.append(error.stack or str(error)))
        self.page.goto(f"{origin}/", wait_until=until)

    def __getattr__(self, name):
        return getattr(self.page, name)

    def run(self, script, argument=None):
        """A function's body, with `shown` at hand; what it returns."""
        return self.page.evaluate(f"(argument) => {{ {SHOWN} {script} }}", argument)

    def wait(self, what, script, argument=None, patience=PATIENCE):
        """Waits until a function's body returns something true, and returns that."""
        deadline = time.monotonic() + patience
        while True:
            try:
                found = self.run(script, argument)
            except Error as error:  # between two pages
                found = None
                if "context was destroyed" not in str(error):
                    raise
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {patience} s for: {what}\n{self.text()}")
            self.page.wait_for_timeout(15)

    def wait_for_text(self, selector, text):
        self.wait(
            f"{text!r} in {selector}",
            "return document.querySelector(argument[0])?.textContent.includes(argument[1])",
            [selector, text],
        )

    def menu(self, item):
        """Clicks an entry of the menu in the corner."""
        self.page.click("#menu summary")
        self.page.click(item)

    def files(self):
        """Opens the drawer of files."""
        self.page.click("#open-files")
        self.wait("the list of files", 'return document.querySelector("#rows [data-number]")')

    def text(self):
        return self.page.evaluate("document.body.innerText")[:2000]

    def hinders_nobody(self, state):
        """Checks that axe-core finds nothing by WCAG 2.2 A and AA and its best practices."""
        self.page.evaluate(importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text())
        found = self.page.evaluate("""axe.run(document, { resultTypes: ["violations"], runOnly:
          ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })""")
        findings = [(rule["id"], rule["help"], [node["target"] for node in rule["nodes"]]) for rule in found["violations"]]
        assert not findings, f"{state}: {findings}"

    def check(self):
        assert not self.complaints, self.complaints


@contextlib.contextmanager
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                f"--host-resolver-rules=MAP {NAME} 127.0.0.1",
                "--autoplay-policy=no-user-gesture-required",
                "--disable-dev-shm-usage",
            ],
        )
        yield browser
        browser.close()


def step(name, **figures):
    """Tells the test what was seen."""
    print(json.dumps({"step": name, **figures}), flush=True)
