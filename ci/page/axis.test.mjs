// The arithmetic of the axis, in a zone with daylight saving time.

import assert from "node:assert/strict";
import { test } from "node:test";

process.env.TZ = "Europe/Berlin";
const { covers, daysOn, joined, midnight, momentAt, pixelOf, sameTime, spanAfter, spanAt, ticks, viewOf, within, zone, zoomed,
  WIDTH_MAX_MS, WIDTH_MIN_MS } = await import("../../src/web/page/axis.js");

const at = (text) => new Date(text).getTime();
const HOUR = 3_600_000;

test("a moment and its pixel are each other's", () => {
  const view = viewOf(at("2026-11-24T14:30"), HOUR, 0.5);
  assert.equal(pixelOf(view, 600, at("2026-11-24T14:30")), 300);
  assert.equal(pixelOf(view, 600, at("2026-11-24T14:00")), 0);
  for (const x of [0, 1, 299.5, 600]) assert.equal(Math.round(pixelOf(view, 600, momentAt(view, 600, x)) * 1000), x * 1000);
});

test("the band shows five minutes to a day", () => {
  assert.equal(zoomed(HOUR, 1e-9), WIDTH_MIN_MS);
  assert.equal(zoomed(HOUR, 1e9), WIDTH_MAX_MS);
  assert.equal(zoomed(HOUR, 2), 2 * HOUR);
});

test("labels are apart, whatever is seen", () => {
  for (let width = WIDTH_MIN_MS; width <= WIDTH_MAX_MS; width *= 1.3) {
    for (const pixels of [300, 800, 1900]) {
      const view = viewOf(at("2026-11-24T14:32:40"), width, 0.5);
      const labels = ticks(view, pixels, 64).filter(({ isLabelled }) => isLabelled).map(({ ms }) => pixelOf(view, pixels, ms));
      assert.ok(labels.length >= 1, `${width} ${pixels}`);
      assert.ok(labels.slice(1).every((x, index) => x - labels[index] >= 63.9), `${width} ${pixels}: ${labels}`);
    }
  }
});

test("ticks stand at round times of the day, over midnight too", () => {
  const view = { from: at("2026-11-23T22:00"), to: at("2026-11-24T02:00") };
  const labels = ticks(view, 200, 64).filter(({ isLabelled }) => isLabelled).map(({ ms }) => new Date(ms).toTimeString().slice(0, 5));
  assert.deepEqual(labels, ["22:00", "00:00"]);
});

test("ticks go on where clocks are put forward and back", () => {
  for (const [day, hours] of [["2026-03-29", 23], ["2026-10-25", 25]]) {
    const from = at(`${day}T00:00`);
    const found = ticks({ from, to: daysOn(from, 1) }, 24 * 64, 64);
    const apart = found.slice(1).map(({ ms }, index) => ms - found[index].ms);
    assert.equal(daysOn(from, 1) - from, hours * HOUR);
    assert.ok(apart.every((ms) => ms > 0), `${day}: in order`);
    // Of the hour that comes twice, the second time bears none.
    assert.ok(Math.max(...apart) <= HOUR + 1_800_000, `${day}: ${Math.max(...apart)}`);
  }
});

test("a day of another length begins at midnight", () => {
  assert.equal(midnight(at("2026-10-25T12:00")), at("2026-10-25T00:00"));
  assert.equal(daysOn(at("2026-10-25T00:00"), 1), at("2026-10-26T00:00"));
  assert.equal(daysOn(at("2026-03-01T00:00"), -1), at("2026-02-28T00:00"));
  assert.equal(sameTime(at("2026-03-29T00:00"), at("2026-11-24T14:32:40.5")), at("2026-03-29T14:32:40"));
});

test("spans that touch are one, and what is doubtful stays apart", () => {
  const spans = joined([[2000, 3000, 2, 2], [0, 1000, 0, 0], [1500, 1900, 1, 1], [9000, 9500, 5, 5, "doubtful"], [5000, 9000, 3, 4]]);
  assert.deepEqual(spans, [[0, 3000, 0, 2], [5000, 9000, 3, 4], [9000, 9500, 5, 5, "doubtful"]]);
});

test("one that is told twice is there once", () => {
  assert.deepEqual(joined([[0, 5000, 0, 4], [3000, 5000, 3, 4], [0, 5000, 0, 4]]), [[0, 5000, 0, 4]]);
});

test("what holds a moment begins with it and ends before its end", () => {
  const spans = [[0, 10], [20, 30]];
  assert.deepEqual([0, 9, 10, 20, 30].map((ms) => spanAt(spans, ms)?.[0]), [0, 0, undefined, 20, undefined]);
  assert.equal(spanAfter(spans, 0)[0], 20);
  assert.equal(spanAfter(spans, 20), undefined);
});

test("parts of spans", () => {
  assert.deepEqual(within([0, 10], 5, 20), [5, 10]);
  assert.equal(within([0, 10], 10, 20), null);
  assert.ok(covers([[0, 100_000]], 500, 99_000));
  assert.ok(!covers([[0, 50_000], [60_000, 100_000]], 0, 100_000));
});

test("a zone is told with its changes, to the millisecond", () => {
  assert.equal(zone(at("2026-11-01T00:00"), at("2026-12-01T00:00")), "60");
  assert.equal(zone(at("2026-10-01T00:00"), at("2026-11-01T00:00")), `120,${Date.UTC(2026, 9, 25, 1)}:60`);
  assert.equal(zone(at("2026-01-01T00:00"), at("2027-01-01T00:00")), `60,${Date.UTC(2026, 2, 29, 1)}:120,${Date.UTC(2026, 9, 25, 1)}:60`);
});
