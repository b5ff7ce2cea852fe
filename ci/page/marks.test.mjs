// From one mark to the next, and what lies where somebody points.

import assert from "node:assert/strict";
import { test } from "node:test";
import { markAt, markFrom, nameOf } from "../../src/web/page/marks.js";

const DAY = 86_400_000;
const NOW = 400 * DAY;
globalThis.location = { origin: "http://nvr" };

/** A server with marks that begin then; how often it was asked. */
function server(begins, kind = () => "door") {
  const seen = { questions: 0 };
  globalThis.fetch = async (url) => {
    seen.questions += 1;
    const query = new URL(url).searchParams;
    const [from, to, limit] = ["from", "to", "limit"].map((name) => Number(query.get(name)));
    assert(to - from <= 32 * DAY && limit <= 500, String(url));
    const marks = begins.filter((ms) => ms >= from && ms <= to).sort((a, b) => b - a).slice(0, limit);
    return { ok: true, json: async () => ({ marks: marks.map((begin_ms) => ({ begin_ms, kind: kind(begin_ms) })) }) };
  };
  return seen;
}

/** Where the keys lead to, one after the other. */
async function walk(from, ways) {
  const places = [];
  for (const way of ways) {
    const found = await markFrom("yard", places.findLast((place) => place !== null) ?? from, way, NOW);
    places.push(found);
  }
  return places;
}

test("each mark is come to once, a little before it, both ways", async () => {
  server([NOW - 90_000, NOW - 60_000, NOW - 20_000]);
  assert.deepEqual(await walk(NOW - 100_000, [1, 1, 1, 1, -1, -1, -1]),
    [NOW - 93_000, NOW - 63_000, NOW - 23_000, null, NOW - 63_000, NOW - 93_000, null]);
});

test("from behind a mark, back means this one", async () => {
  server([NOW - 90_000, NOW - 60_000]);
  assert.deepEqual(await walk(NOW - 55_000, [-1, -1]), [NOW - 63_000, NOW - 93_000]);
});

test("the next one may be months away, or behind more than one answer holds", async () => {
  const seen = server([NOW - 300 * DAY, NOW - DAY]);
  assert.deepEqual(await walk(NOW - 290 * DAY, [1]), [NOW - DAY - 3000]);
  assert(seen.questions <= 12, seen.questions);
  server(Array.from({ length: 1700 }, (_, n) => NOW - 20_000 * (n + 1)));
  assert.deepEqual(await walk(NOW - 1600 * 20_000 - 10_000, [1]), [NOW - 1600 * 20_000 - 3000]);
});

test("that somebody watched is no mark to go to", async () => {
  server([NOW - 90_000, NOW - 60_000], (ms) => (ms === NOW - 60_000 ? "watched" : "motion"));
  assert.deepEqual(await walk(NOW - 100_000, [1, 1]), [NOW - 93_000, null]);
});

test("the mark that is meant lies nearest, and is named", () => {
  const marks = [[1000, 2000, "door"], [1900, 9000, "motion"], [20_000, 30_000, "several", 7]];
  assert.equal(nameOf(markAt(marks, 1950, 0)), "motion");
  assert.equal(nameOf(markAt(marks, 700, 400)), "door");
  assert.equal(markAt(marks, 500, 400), null);
  assert.equal(nameOf(markAt(marks, 25_000, 0)), "7 marks");
  assert.equal(nameOf([0, 1, "door", 3]), "door, 3 times");
});
