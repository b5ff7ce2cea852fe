// Live fragments: what leaves a hole in the picture waits for what fills it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Fragments, timesOf } from "../../src/web/page/fragments.js";

const box = (kind, content) => {
  const out = new Uint8Array(8 + content.length);
  new DataView(out.buffer).setUint32(0, out.length);
  out.set([...kind].map((letter) => letter.charCodeAt(0)), 4);
  out.set(content, 8);
  return out;
};
const words = (...values) => {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, index) => view.setInt32(4 * index, value));
  return new Uint8Array(view.buffer);
};
const FRAME = 3600;

/** A frame that is decoded as number `decoded` and shown as number `shown`. */
function frame(decoded, shown) {
  const tfhd = box("tfhd", words(0x20008, 1, FRAME));
  const tfdt = box("tfdt", words(0x1000000, 0, decoded * FRAME));
  const trun = box("trun", words(0x1000a05, 1, 0, 0, 10, (shown - decoded) * FRAME));
  const moof = box("moof", [...box("mfhd", words(0, 1)), ...box("traf", [...tfhd, ...tfdt, ...trun])]);
  return new Uint8Array([...moof, ...box("mdat", [shown])]).buffer;
}

/** Which frames leave, by what they were shown as, after each one that came. */
function left(frames) {
  const fragments = new Fragments();
  return frames.map(([decoded, shown]) => {
    const piece = fragments.take(frame(decoded, shown));
    if (!piece) return "";
    const bytes = new Uint8Array(piece);
    return [...bytes].flatMap((_, at) => (String.fromCharCode(...bytes.slice(at, at + 4)) === "mdat" ? [bytes[at + 4]] : [])).join(" ");
  });
}

test("a frame says when it is decoded and shown", () => {
  assert.deepEqual(timesOf(new DataView(frame(5, 7))), { decoded: 5 * FRAME, start: 7 * FRAME, end: 8 * FRAME });
});

test("without B frames nothing waits", () => {
  assert.deepEqual(left([[0, 0], [1, 1], [2, 2]]), ["0", "1", "2"]);
  assert.deepEqual(left([[0, 2], [1, 3], [2, 4]]), ["2", "3", "4"]);
});

test("a P frame waits for the B frames before it", () => {
  assert.deepEqual(left([[0, 1], [1, 5], [2, 3], [3, 2], [4, 4], [5, 9], [6, 7], [7, 6], [8, 8]]),
    ["1", "", "", "", "5 3 2 4", "", "", "", "9 7 6 8"]);
});

test("frames shown before they are decoded, by their numbers", () => {
  // Offsets below zero: the first group teaches how far.
  assert.deepEqual(left([[0, 0], [1, 3], [2, 1], [3, 2], [4, 6], [5, 4], [6, 5]]).slice(-3), ["", "", "6 4 5"]);
});

test("what was lost is not waited for", () => {
  assert.deepEqual(left([[0, 0], [1, 1], [9, 9], [10, 10]]), ["0", "1", "9", "10"]);
  const withB = left([[0, 1], [1, 4], [2, 2], [3, 3], [40, 41], [41, 44], [42, 42], [43, 43]]);
  assert.equal(withB[4], "41");
  assert.equal(withB.join(" ").split(" ").filter(Boolean).length, 8, "all of them come");
});

test("nothing is held for ever", () => {
  const frames = Array.from({ length: 40 }, (_, index) => [index, index + 20]);
  frames[0] = [0, 0];
  assert.ok(left(frames).filter(Boolean).length >= 2);
});

test("no bytes do harm", () => {
  const whole = new Uint8Array(frame(5, 7));
  for (let length = 0; length < whole.length; length += 1) {
    assert.doesNotThrow(() => new Fragments().take(whole.slice(0, length).buffer));
  }
  for (let at = 0; at < whole.length; at += 1) {
    for (const value of [0, 1, 255]) {
      const other = whole.slice();
      other[at] = value;
      assert.doesNotThrow(() => new Fragments().take(other.buffer));
    }
  }
});

test("what is no fragment leaves at once, behind what waited", () => {
  const fragments = new Fragments();
  fragments.take(frame(0, 0));
  assert.equal(fragments.take(frame(1, 3)), null);
  const init = box("ftyp", words(0)).buffer;
  assert.equal(fragments.take(init).byteLength, frame(1, 3).byteLength + init.byteLength);
});
