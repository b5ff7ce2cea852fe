// What the page says of the state.

import assert from "node:assert/strict";
import { test } from "node:test";
import { copies } from "../../src/web/page/health.js";

const archive = { state: "idle", reason: null, backlog: 0, backlog_bytes: 0, sent: 9, sent_bytes: 9, failures: 0, skipped: 0 };

test("copies are told where there is a store, with why it waits and what is left", () => {
  assert.equal(copies({}), null);
  assert.equal(copies({ archive: { ...archive, state: "" } }), null);
  assert.deepEqual(copies({ archive }), ["Copies", "good", "The store has all recordings."]);
  const behind = { ...archive, state: "sending", backlog: 3, backlog_bytes: 3_000_000 };
  assert.deepEqual(copies({ archive: behind }), ["Copies", "good", "3 recordings to send, 3.0 MB."]);
  const full = { ...behind, state: "waiting", reason: "the store answers PUT with 507: it is full" };
  const text = "The store answers PUT with 507: it is full. 3 recordings to send, 3.0 MB.";
  assert.deepEqual(copies({ archive: full }), ["Copies", "warn", text]);
});
