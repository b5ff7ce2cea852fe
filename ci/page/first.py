"""The first start ends with a picture: first names a host without a path, then takes a camera that was found.

usage: first.py PORT HOST

HOST is the camera's `rtsp://127.0.0.1:554` without a path. What the server finds nearby is not this test's matter
(tests/find.rs): the page is told of that camera. All else is real. The page needs no password.
"""
import json
import sys

from browser import NAME, Tab, chromium, step
from walk import watch_live


def main():
    port, host = sys.argv[1:]
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 360, "height": 740})
        asked = []

        def nearby(route):
            question = route.request.post_data_json
            asked.append(question)
            if question.get("address", "").startswith(host):
                return route.continue_()
            camera = {"address": "127.0.0.1", "name": "Porch", "onvif": None, "needs_password": False, "error": None}
            locked = {**camera, "address": "192.168.7.7", "name": "", "needs_password": True, "streams": []}
            streams = [{"url": f"{host}/stream={n}", "codec": "h264", "width": 0, "height": 0} for n in (0, 1)]
            cameras = [] if question else [{**camera, "streams": streams}, locked]
            route.fulfill(body=json.dumps({"cameras": cameras}), content_type="application/json")

        context.route("**/api/discover", nearby)
        tab = Tab(context, f"http://{NAME}:{port}")
        tab.wait("what was found", 'return document.querySelectorAll(".offers li").length === 2')
        assert asked == [{"address": "rtsp://127.0.0.1/stream=0"}, {}], asked
        tab.wait("its picture", 'return document.querySelector(".offers video")?.readyState >= 2')
        tab.hinders_nobody("cameras that were found")
        step("found")

        tab.click("[aria-label='Use 192.168.7.7']")
        tab.wait_for_text("#welcome-camera .result", "wants user and password")
        assert tab.run("return document.activeElement.labels[0].textContent").startswith("User")
        form = tab.locator("#welcome-form")
        form.get_by_label("Address", exact=True).fill(host)
        form.get_by_role("button", name="Test").click()
        tab.wait_for_text("#welcome-camera .result", "It works: 960×540, H.264")
        assert form.get_by_label("Address", exact=True).input_value() == f"{host}/stream=0"
        step("completed")

        tab.click("[aria-label='Use Porch']")
        watch_live(tab)
        tab.menu("#open-settings")
        tab.wait("the settings", 'return document.querySelector("#settings fieldset")')
        tab.click("#add-camera")
        tab.wait_for_text("#settings .offers", "192.168.7.7")
        tab.wait("that the camera is not offered again", 'return document.querySelectorAll("#settings .offers li").length === 1')
        tab.hinders_nobody("a camera is added")
        tab.check()
        step("added")


if __name__ == "__main__":
    main()
