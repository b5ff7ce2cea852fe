// Moments in addresses, and as they are typed.

import assert from "node:assert/strict";
import { test } from "node:test";

process.env.TZ = "Europe/Berlin";
const { address, readAddress, typed } = await import("../../src/web/page/moment.js");

const at = (text) => new Date(text).getTime();
const NOON = at("2026-11-24T12:00");

test("an address says the camera, the moment, and the span", () => {
  assert.deepEqual(readAddress("#yard"), { camera: "yard", at: null, to: null, number: null });
  assert.deepEqual(readAddress("#yard@2026-11-24T14:32:40"), { camera: "yard", at: at("2026-11-24T14:32:40"), to: null, number: null });
  assert.equal(readAddress("#yard@2026-11-24T14:32:40&to=14:42:00").to, at("2026-11-24T14:42:00"));
  assert.equal(readAddress("#yard@2026-11-24").at, at("2026-11-24T00:00"));
});

test("addresses of recordings, as they were before, are still known", () => {
  assert.deepEqual(readAddress("#yard/1237"), { camera: "yard", at: null, to: null, number: 1237 });
});

test("a span goes on over midnight", () => {
  assert.equal(readAddress("#yard@2026-11-24T23:50:00&to=00:10:00").to, at("2026-11-25T00:10:00"));
  const over = address({ camera: "yard", at: at("2026-11-24T23:50:00"), to: at("2026-11-25T00:10:00") });
  assert.equal(over, "#yard@2026-11-24T23:50:00&to=2026-11-25T00:10:00");
  assert.equal(readAddress(over).to, at("2026-11-25T00:10:00"));
});

test("what is written is read, encoded by a mail program or not", () => {
  const state = { camera: "front_door-2", at: at("2026-03-29T03:00:01"), to: at("2026-03-29T14:42:00") };
  for (const text of [address(state), encodeURI(address(state)), `#${encodeURIComponent(address(state).slice(1))}`]) {
    assert.deepEqual(readAddress(text), { ...state, number: null });
  }
});

test("an address that makes no sense is live", () => {
  for (const text of ["", "#", "#yard@", "#yard@yesterday", "#yard@2026-99-99T99:99", "#%", "#@2026", "#yard&to=3", "#a@b@c"]) {
    assert.equal(readAddress(text).at, null, text);
  }
  assert.equal(readAddress("#yard@2026-11-24T14:32:40&to=2026-11-24T14:00:00").to, null);
});

test("a time is typed as one likes", () => {
  for (const [text, time] of [["1432", "14:32"], ["14:32:40", "14:32:40"], ["143240", "14:32:40"], ["932", "09:32"], ["9", "09:00"],
    ["14.32", "14:32"], ["2:32 pm", "14:32"], ["12 am", "00:00"], [" 14:32 ", "14:32"]]) {
    assert.equal(typed(text, NOON), at(`2026-11-24T${time}`), text);
  }
  assert.equal(typed("2026-11-20 1432", NOON), at("2026-11-20T14:32"));
  assert.equal(typed("2026-11-20T14:32:40", NOON), at("2026-11-20T14:32:40"));
});

test("a time is read as other programs and keyboards write it", () => {
  for (const [text, time] of [["2026-11-20T13:32:40Z", "2026-11-20T14:32:40"], ["2026-11-20T13:32:40.000Z", "2026-11-20T14:32:40"],
    ["2026-11-20 15:32:40+02:00", "2026-11-20T14:32:40"], ["20.11.2026, 14:32:40", "2026-11-20T14:32:40"], ["20.11.2026 1432", "2026-11-20T14:32"],
    ["2026/11/20 14:32", "2026-11-20T14:32"], ["2026-11-20", "2026-11-20T00:00"], ["20.11.2026", "2026-11-20T00:00"],
    ["１４：３２", "2026-11-24T14:32"], ["١٤:٣٢", "2026-11-24T14:32"], ["۱۴۳۲", "2026-11-24T14:32"], ["2:32:40\u202fPM", "2026-11-24T14:32:40"]]) {
    assert.equal(typed(text, NOON), at(time), text);
  }
  // Where it differs, the order is that of the viewer's language; there is no 20th month.
  assert.equal([typed("11/20/2026 14:32", NOON), typed("20/11/2026 14:32", NOON)].filter((ms) => ms === at("2026-11-20T14:32")).length, 1);
  for (const text of ["31.11.2026", "2026.13.01 10", "20.11-2026"]) assert.equal(typed(text, NOON), null, text);
});

test("a program's link in UTC leads to its moment", () => {
  for (const text of ["2026-11-24T13:32:40Z", "2026-11-24T13:32:40.000Z"]) assert.equal(readAddress(`#yard@${text}`).at, at("2026-11-24T14:32:40"), text);
  assert.equal(readAddress("#yard@2026-11-24T13:32:40Z&to=2026-11-24T13:42:40Z").to, at("2026-11-24T14:42:40"));
});

test("what is no time is none", () => {
  for (const text of ["", "noon", "25", "2460", "14:60", "14::2", "1:2:3:4", "12345678", "2026-13-40 10", ":"]) assert.equal(typed(text, NOON), null, text);
});

test("a day may be named", () => {
  const now = at("2026-11-24T12:00"); // a Tuesday
  for (const [text, time] of [["tue 1432", "2026-11-24T14:32"], ["Tuesday, 14:32:40", "2026-11-24T14:32:40"], ["mon 9", "2026-11-23T09:00"],
    ["wed. 2:32 pm", "2026-11-18T14:32"], ["yesterday 1432", "2026-11-23T14:32"], ["today 0:05", "2026-11-24T00:05"], ["Sat", "2026-11-21T00:00"]]) {
    assert.equal(typed(text, NOON - 20 * 86_400_000, now), at(time), text);
  }
  for (const text of ["someday 1432", "tueday 1432", "pm"]) assert.equal(typed(text, NOON, now), null, text);
});

test("in the hour that comes twice a link leads to the time that was meant, not to an hour before", () => {
  const [first, second] = [at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z")];
  assert.equal(address({ camera: "yard", at: first }), "#yard@2026-10-25T02:30:00");
  assert.equal(address({ camera: "yard", at: second }), "#yard@2026-10-25T02:30:00+01:00");
  for (const from of [first - 600_000, first, second, second + 1_200_000, second + 1_800_000]) {
    const to = from + 1_800_000;
    assert.deepEqual(readAddress(address({ camera: "yard", at: from, to })), { camera: "yard", at: from, to, number: null });
  }
  assert.equal(readAddress("#yard@2026-10-25T02:30:00+99:00").at, null);
});
