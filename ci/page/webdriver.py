"""Firefox and WebKitGTK by WebDriver, without further packages: a page, and the pictures of its videos.

Firefox takes WebDriver's commands by Marionette, its own socket; WebKitGTK has a server of them in HTTP. Both end
with the `with` that started them, and whatever they started in turn.
"""
import base64
import contextlib
import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from browser import NAME, PATIENCE, SHOWN

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
START_S = 60


class Failure(Exception):
    """A command that was refused, in the words of the browser."""


class Marionette:
    """Firefox: `length:[0, number, command, parameters]` there, `length:[1, number, error, result]` back."""

    def __init__(self, folder):
        (folder / "user.js").write_text("".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in {
            "marionette.port": 0,
            "network.dns.localDomains": NAME,
            "media.autoplay.default": 0,
            "browser.shell.checkDefaultBrowser": False,
            "datareporting.policy.dataSubmissionEnabled": False,
            "browser.download.folderList": 2,
            "browser.download.dir": str(folder / "downloads"),
            "browser.download.alwaysOpenPanel": False,
            "app.update.enabled": False,
            "toolkit.cosmeticAnimations.enabled": False,
        }.items()))
        self.downloads = folder / "downloads"
        self.downloads.mkdir()
        start(["firefox-esr", "-headless", "-marionette", "-remote-allow-system-access", "-no-remote", "-profile", folder])
        port = until("Firefox", lambda: (folder / "MarionetteActivePort").read_text() or None)
        self.socket = until("its socket", lambda: socket.create_connection(("127.0.0.1", int(port))))
        self.socket.settimeout(120)
        self.rest = b""
        self.number = 0
        self.read()  # its greeting
        self.do("WebDriver:NewSession", {})

    def read(self):
        while b":" not in self.rest:
            self.more()
        length, self.rest = self.rest.split(b":", 1)
        while len(self.rest) < int(length):
            self.more()
        message, self.rest = self.rest[: int(length)], self.rest[int(length):]
        return json.loads(message)

    def more(self):
        piece = self.socket.recv(65536)
        assert piece, "Firefox has gone"
        self.rest += piece

    def do(self, command, parameters):
        self.number += 1
        message = json.dumps([0, self.number, command, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(message), message))
        _, number, error, result = self.read()
        assert number == self.number, (number, self.number)
        if error:
            raise Failure(f"{command}: {error['error']}: {error['message']}")
        return result["value"] if isinstance(result, dict) and "value" in result else result

    def go(self, url):
        self.do("WebDriver:Navigate", {"url": url})

    def script(self, text, *arguments):
        return self.do("WebDriver:ExecuteAsyncScript", {"script": text, "args": arguments})

    def find(self, selector):
        return self.do("WebDriver:FindElement", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, element):
        self.do("WebDriver:ElementClick", {"id": element})

    def act(self, actions):
        self.do("WebDriver:PerformActions", {"actions": actions})

    def picture(self):
        return base64.b64decode(self.do("WebDriver:TakeScreenshot", {"full": False}))

    def size(self, width, height):
        """Sizes the page alone: the window cannot become as narrow as a phone."""
        self.do("Marionette:SetContext", {"value": "chrome"})
        self.do("WebDriver:SetWindowRect", {"width": max(width, 500), "height": height + 200})
        self.do("WebDriver:ExecuteScript", {"args": [width, height], "script": """
            const { style } = gBrowser.selectedBrowser;
            for (const [name, value] of [["width", arguments[0]], ["height", arguments[1]]]) {
              for (const bound of ["min-", "max-", ""]) style.setProperty(bound + name, value + "px");
            }
        """})
        self.do("Marionette:SetContext", {"value": "content"})


class WebKit:
    """MiniBrowser, behind WebKitWebDriver."""

    def __init__(self, folder):
        read, write = os.pipe()
        start(["Xvfb", "-displayfd", str(write), "-screen", "0", "1920x1200x24", "-nolisten", "tcp"], pass_fds=[write])
        os.close(write)
        with os.fdopen(read) as number:
            display = f":{number.readline().strip()}"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {**os.environ, "DISPLAY": display, "GDK_BACKEND": "x11", "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder),
                       "NO_AT_BRIDGE": "1", "LIBGL_ALWAYS_SOFTWARE": "1", "WEBKIT_DISABLE_COMPOSITING_MODE": "1"}
        start(["WebKitWebDriver", f"--port={port}", "--host=127.0.0.1"], env=environment)
        self.base = f"http://127.0.0.1:{port}"
        until("WebKitWebDriver", lambda: self.do("GET", "/status")["ready"] or None)
        mini = next(pathlib.Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"))
        options = {"binary": str(mini), "args": ["--automation", "--autoplay-policy=allow"]}
        session = self.do("POST", "/session", {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}})
        self.base += f"/session/{session['sessionId']}"

    def do(self, method, path, body=None):
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise Failure(f"{path}: {value['error']}: {value['message']}") from None

    def go(self, url):
        self.do("POST", "/url", {"url": url})

    def script(self, text, *arguments):
        return self.do("POST", "/execute/async", {"script": text, "args": arguments})

    def find(self, selector):
        return self.do("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, element):
        self.do("POST", f"/element/{element}/click")

    def act(self, actions):
        self.do("POST", "/actions", {"actions": actions})

    def picture(self):
        return base64.b64decode(self.do("GET", "/screenshot"))

    def size(self, width, height):
        """Allows for the bar above the page; the window is at least as wide as the bar."""
        bar = 0
        for _ in range(2):
            self.do("POST", "/window/rect", {"width": width, "height": height + bar})
            bar += height - self.script("arguments[0](innerHeight)")


class Tab:
    """One page of the recorder, in either."""

    def __init__(self, driver, name):
        self.driver = driver
        self.name = name

    def go(self, url):
        self.driver.go(url)

    def run(self, script, argument=None):
        """A function's body, with `shown` at hand; what it returns, when that is there."""
        answer = self.driver.script(f"""
            const done = arguments[arguments.length - 1];
            (async (argument) => {{ {SHOWN} {script} }})(arguments[0]).then((value) => done({{ value }}), (error) => done({{ error: String(error) }}));
        """, argument)
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def wait(self, what, script, argument=None, patience=PATIENCE):
        deadline = time.monotonic() + patience
        while True:
            try:
                found = self.run(script, argument)
            except Failure as failure:  # between two pages
                found = None
                if not any(word in str(failure) for word in ["unload", "navigat", "context", "no such"]):
                    raise
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name}: waited {patience} s for: {what}\n{self.run('return document.body.innerText')[:2000]}")
            time.sleep(0.02)

    def wait_for_text(self, selector, text):
        self.wait(f"{text!r} in {selector}", "return document.querySelector(argument[0])?.textContent.includes(argument[1])", [selector, text])

    def click(self, selector):
        self.driver.click(self.driver.find(selector))

    def keys(self, *keys):
        """One after the other; `Shift+` before one holds it."""
        actions = []
        for key in keys:
            shift, key = key.startswith("Shift+"), key.removeprefix("Shift+")
            value = KEYS.get(key, key)
            down = [{"type": kind, "value": value} for kind in ["keyDown", "keyUp"]]
            held = [{"type": kind, "value": KEYS["Shift"]} for kind in ["keyDown", "keyUp"]]
            actions += [held[0], *down, held[1]] if shift else down
        self.driver.act([{"type": "key", "id": "keys", "actions": actions}])

    def type(self, text):
        self.keys(*text)

    def drag(self, points, then=lambda: None):
        """Presses the mouse at the first point, moves to each other, releases after `then`."""
        def mouse(*actions):
            self.driver.act([{"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": list(actions)}])

        def move(x, y):
            return {"type": "pointerMove", "duration": 30, "x": round(x), "y": round(y)}

        mouse(move(*points[0]), {"type": "pointerDown", "button": 0}, *[move(*point) for point in points[1:]])
        then()
        mouse({"type": "pointerUp", "button": 0})

    def box(self, selector):
        return self.run("const { left, top, width, height } = document.querySelector(argument).getBoundingClientRect(); return [left, top, width, height]", selector)

    def size(self, width, height):
        self.driver.size(width, height)
        self.wait(f"a page of {width} by {height}", "return innerWidth >= argument[0] && innerHeight === argument[1]", [width, height])

    def photograph(self, path):
        path.write_bytes(self.driver.picture())


KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Tab": "\ue004", "Shift": "\ue008", "ArrowLeft": "\ue012", "ArrowRight": "\ue014", "Home": "\ue011", "End": "\ue010"}


STARTED = []
LIBC = ctypes.CDLL(None)


def start(command, **options):
    """Starts a process in a group of its own, which ends with this one, however that ends."""
    quiet = {name: subprocess.DEVNULL for name in ["stdin", "stdout", "stderr"]}
    dies_with_parent = lambda: LIBC.prctl(1, signal.SIGTERM)  # noqa: E731
    STARTED.append(subprocess.Popen(command, start_new_session=True, preexec_fn=dies_with_parent, **quiet, **options))


def end(child):
    for way in [signal.SIGTERM, signal.SIGKILL]:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, way)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(10)
            return


def until(what, look):
    deadline = time.monotonic() + START_S
    while True:
        try:
            found = look()
            if found is not None:
                return found
        except OSError:
            pass
        assert time.monotonic() < deadline, f"{what} did not start in {START_S} s"
        time.sleep(0.05)


@contextlib.contextmanager
def browser(name):
    """`firefox` or `webkit`."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            yield Tab({"firefox": Marionette, "webkit": WebKit}[name](pathlib.Path(folder)), name)
        finally:
            while STARTED:
                end(STARTED.pop())
