"""A page that is open for a week does not grow: after seven days it holds what it held after one.

usage: week.py PORT

The camera is `camera`, and it records. The page needs no password. Its clock, the list of recordings and the events are
made up: a recording a minute, the status every ten.
"""
import sys

from browser import NAME, Tab, chromium, step
from walk import watch_live

MADE_UP = """
  // A clock that jumps, and recordings that follow it.
  const clock = { now: Date.now(), ahead: 0 };
  const real = Date.now.bind(Date);
  Date.now = () => real() + clock.ahead;
  const sources = [];
  const { addEventListener } = EventSource.prototype;
  EventSource.prototype.addEventListener = function (kind, action) {
    (this.actions ??= {})[kind] = action;
    sources.push(this);
    return addEventListener.call(this, kind, (event) => kind !== "recording" && kind !== "status" && action(event));
  };
  const ask = fetch;
  const first = Math.floor(real() / 60_000) * 60_000 - 600 * 60_000;
  const one = (number) => ({ camera: "camera", number, file: `${number}.mp4`, start_ms: first + number * 60_000, clock_trusted: true,
    duration_ms: 60_000, bytes: 1e6, etag: `"${number}"`, codec: "h264", mime: "video/mp4", state: "whole", kept: false, thinned: false, gap_before_ms: 0 });
  const last = () => Math.floor((Date.now() - first) / 60_000);
  globalThis.week = { asked: 0 };
  globalThis.fetch = async (url, how) => {
    const { pathname, searchParams } = new URL(url, location);
    const given = (name) => Number(searchParams.get(name) ?? NaN);
    const json = (value) => new Response(JSON.stringify(value), { headers: { "Content-Type": "application/json" } });
    week.asked += 1;
    if (pathname === "/api/recordings") {
      if (searchParams.has("number")) return json({ recordings: [one(given("number"))], complete: true, next: null });
      const end = Math.min(last(), (given("before") || Infinity) - 1, searchParams.has("to") ? Math.floor((given("to") - first) / 60_000) : Infinity);
      const begin = Math.max(0, end - given("limit"), searchParams.has("from") ? Math.floor((given("from") - first) / 60_000) : 0);
      const recordings = [];
      for (let number = end; number > begin; number -= 1) recordings.push(one(number));
      return json({ recordings, complete: true, read_to: null, next: begin > 0 ? begin + 1 : null });
    }
    if (pathname === "/api/timeline") return json({ spans: [[Math.max(first, given("from")), Math.min(Date.now(), given("to")), 0, last()]], gaps: [], kept: [], marks: [], complete: true });
    return ask(url, how);
  };
  week.pass = async (minutes) => {
    for (let minute = 0; minute < minutes; minute += 1) {
      clock.ahead += 60_000;
      const { actions } = sources[sources.length - 1];
      const tell = (kind, data) => sources.filter((it) => it.readyState < 2 && it.actions[kind]).slice(-1)[0]?.actions[kind]({ data: JSON.stringify(data) });
      tell("recording", one(last()));
      tell("recording", { ...one(last() + 1), state: "recording" });
      if (minute % 10) continue;
      const status = await (await ask("/api/status")).json();
      status.clock.now_ms += clock.ahead;
      tell("status", status);
      tell("mark", { camera: "camera", begin_ms: Date.now(), end_ms: Date.now(), kind: "door" });
      tell("change", { at_ms: Date.now(), camera: "camera", kind: "camera", text: "live" });
      await new Promise((done) => setTimeout(done, 5));
    }
  };
"""


def main():
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        context.add_init_script(MADE_UP)
        tab = Tab(context, f"http://{NAME}:{sys.argv[1]}")
        watch_live(tab)
        tab.files()
        devtools = context.new_cdp_session(tab.page)
        devtools.send("Performance.enable")
        held = []
        for _ in range(7):
            tab.run("return week.pass(24 * 60)")
            # Lets requests be answered and shown.
            tab.wait_for_timeout(1500)
            held.append(count(tab, devtools))
        step("week", days=held)
        first, last = held[1], held[-1]
        for what, slack in [("Nodes", 200), ("JSEventListeners", 20), ("rows", 4), ("buffered", 8)]:
            assert last[what] <= first[what] + slack, (what, held)
        assert last["JSHeapUsedSize"] <= first["JSHeapUsedSize"] * 1.5, held
        tab.check()


def count(tab, devtools):
    for _ in range(2):
        devtools.send("HeapProfiler.collectGarbage")
    metrics = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
    found = {name: int(metrics[name]) for name in ["Nodes", "JSEventListeners", "JSHeapUsedSize"]}
    found |= tab.run("""
      const { buffered } = document.querySelector("#live video");
      return { rows: document.querySelectorAll("#rows li").length, asked: week.asked,
        buffered: buffered.length ? Math.round(buffered.end(buffered.length - 1) - buffered.start(0)) : 0 };
    """)
    return found


if __name__ == "__main__":
    main()
