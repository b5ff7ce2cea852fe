// Which recording follows.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Reel } from "../../src/web/page/reel.js";

globalThis.location = { origin: "http://nvr" };
const states = ["whole", "damaged", "damaged", "whole", "damaged"];
const all = states.map((state, number) => ({ camera: "yard", number, state, start_ms: number * 1000, duration_ms: 1000 }));
globalThis.fetch = async (url) => {
  const query = new URL(url).searchParams;
  const before = Number(query.get("before"));
  const recordings = all.filter(({ number }) => number < before).reverse().slice(0, Number(query.get("limit")));
  return { ok: true, json: async () => ({ recordings }) };
};

test("damaged recordings are passed over, both ways; none may follow", async () => {
  const reel = new Reel();
  assert.equal((await reel.next(all[0])).number, 3);
  assert.equal((await reel.previous(all[3])).number, 0);
  assert.equal(await reel.next(all[3]), null);
  assert.equal(await reel.previous(all[0]), null);
});
