"""The first start without a camera: one is tested and saved, another is added and removed.

usage: settings.py PORT ADDRESS

ADDRESS has the user and password that the camera wants. The page needs no password.
"""
import re
import sys

from browser import NAME, Tab, chromium, step
from walk import FRONT, watch_live


def main():
    port, address = sys.argv[1:]
    with chromium() as browser:
        tab = Tab(browser.new_context(viewport={"width": 1024, "height": 768}), f"http://{NAME}:{port}")
        test_and_save(tab, address)
        watch_live(tab)
        change(tab, address)
        set_clock(tab)
        tab.check()


def test_and_save(tab, address):
    tab.wait_for_text("#welcome h2", "Where is your camera?")
    form = tab.locator("#welcome-form")
    form.get_by_label("Address", exact=True).fill(re.sub("//.*@", "//", address))
    form.get_by_role("button", name="Test").click()
    tab.wait_for_text("#welcome-camera .error", "401")
    # An address as people copy it, with user and password in it.
    form.get_by_label("Address", exact=True).fill(address)
    form.get_by_label("Name shown").fill("Yärd 1")
    form.get_by_text("More").click()
    assert form.get_by_label("In addresses").input_value() == "yard-1"
    form.get_by_label("In addresses").fill("yard")
    form.get_by_role("button", name="Test").click()
    assert form.get_by_label("Password").input_value() == "s/e@c:ret"
    assert "@" not in form.get_by_label("Address", exact=True).input_value()
    tab.wait_for_text("#welcome-camera .result", "It works: 960×540, H.264, 25 frames/s")
    tab.wait("its picture", """
      const picture = document.querySelector("#welcome-camera :is(img, video)");
      return picture?.naturalWidth > 0 || picture?.readyState >= 2;
    """)
    step("tested")
    form.get_by_role("button", name="Save").click()
    tab.wait("the page", 'return !document.querySelector("#main").hidden')


def change(tab, address):
    tab.menu("#open-settings")
    form = tab.locator("#settings-form")
    tab.wait("the settings", 'return document.querySelector("#settings fieldset")')
    assert form.get_by_label("Password").get_attribute("placeholder") == "unchanged"
    assert form.get_by_label("Address", exact=True).input_value() == re.sub("//.*@", "//", address)
    form.get_by_label("Length of a recording").fill("3")
    form.get_by_role("button", name="Add Camera").click()
    new = form.locator("fieldset").nth(1)
    new.get_by_label("Address", exact=True).fill(address)
    new.get_by_label("Name shown").fill("Front door")
    new.get_by_text("More").click()
    new.get_by_label("In addresses").fill("yard")
    form.get_by_role("button", name="Save").click()
    tab.wait("what is wrong with two of one name", 'return /yard/.test(document.querySelector("#settings-form > .error").textContent)')
    new.get_by_label("In addresses").fill("door")
    form.get_by_role("button", name="Save").click()
    tab.wait_for_text("#saved", "Saved")
    tab.wait("two cameras", 'return document.querySelectorAll("#cameras button").length === 3')
    assert "Yärd 1" in tab.run('return document.querySelector("#cameras").textContent')
    step("changed")
    tab.click("#close-settings")
    tab.click("#cameras [data-name=door]")
    tab.wait("its recording", 'return document.querySelector("#dot").classList.contains("on")')
    tab.files()
    tab.wait_for_text("#list-title", "Recordings of Front door")
    tab.wait("a recording of it", 'return document.querySelector("#rows .whole")')
    tab.menu("#open-settings")
    tab.wait("the settings again", 'return document.querySelectorAll("#settings fieldset").length === 2')
    form.locator("fieldset").nth(1).get_by_role("button", name="Remove").click()
    tab.click("#question button[value=yes]")
    form.get_by_role("button", name="Save").click()
    tab.wait_for_text("#saved", "Saved")
    tab.click("#close-settings")
    tab.wait_for_text("#cameras", "Former camera:door")
    step("removed")
    former(tab)


def former(tab):
    """Recordings of a removed camera are listed, played, downloaded and deleted; then the camera is forgotten."""
    tab.click("#cameras [data-name=door]")
    tab.wait_for_text("#former", "no longer in the settings")
    tab.wait("no live picture, no buttons", 'return document.querySelector("#record").hidden && location.hash.startsWith("#door@")')
    tab.wait("its recordings", 'return document.querySelector("#rows .whole") && !document.querySelector("#rows .recording")')
    tab.click("#rows .whole .entry")
    tab.wait("one that plays", FRONT + "return video?.readyState >= 2 && video.currentTime > 0")
    with tab.expect_download():
        tab.click("#rows .whole .download")
    # With its last recording the camera goes too, and the list is that of another, with numbers of its own.
    gone = 'document.querySelectorAll("#cameras button").length === 0'
    first = f'return {gone} ? null : document.querySelector("#rows [data-number]")?.dataset.number'
    while row := tab.run(first):
        tab.click(f'#rows [data-number="{row}"] .delete')
        tab.wait_for_text("#question-text", "This cannot be undone")
        tab.click("#question button[value=yes]")
        tab.wait("it to go", f"return {gone} || !document.querySelector(`#rows [data-number='${{argument}}']`)", row)
    tab.wait("no former camera", 'return document.querySelectorAll("#cameras button").length === 0')
    watch_live(tab)
    step("forgotten")


def set_clock(tab):
    """One button sets the clock if nothing else keeps it."""
    tab.click("#health-details summary")
    if tab.run("return fetch('/api/status').then((answer) => answer.json()).then(({ clock }) => clock.kept_by)") == "nobody":
        tab.click("#set-clock")
    tab.wait("the button to go", "return document.querySelector('#clock').hidden")
    step("clock")


if __name__ == "__main__":
    main()
