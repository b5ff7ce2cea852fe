// The keyboard: what each key does, and the list of them.

import { $, h } from "./dom.js";
import { t } from "./lang.js";

/** `[keys, as they are called, what they do]`. */
const KEYS = [
  [" |k", t`Space, K`, t`play or pause`, (to) => to.toggle()],
  ["ArrowLeft", "←", t`10 seconds back, with Shift a minute`, (to, event) => to.step(event.shiftKey ? -60_000 : -10_000)],
  ["ArrowRight", "→", t`10 seconds on, with Shift a minute`, (to, event) => to.step(event.shiftKey ? 60_000 : 10_000)],
  ["j", "J", t`10 seconds back`, (to) => to.step(-10_000)],
  ["l", "L", t`10 seconds on`, (to) => to.step(10_000)],
  [",", ",", t`one picture back`, (to) => to.frame(-1)],
  [".", ".", t`one picture on`, (to) => to.frame(1)],
  ["p", "P", t`to the beginning of this recording, or of the one before; with Shift to the mark before`, (to, event) => to.recording(-1, event)],
  ["n", "N", t`to the next recording; with Shift to the next mark`, (to, event) => to.recording(1, event)],
  ["[", "[", t`slower`, (to) => to.faster(-1)],
  ["]", "]", t`faster`, (to) => to.faster(1)],
  ["-", "−", t`see more of the band`, (to) => to.zoom(1.5)],
  ["+|=", "+", t`see less of the band`, (to) => to.zoom(1 / 1.5)],
  ["Escape", "Escape", t`back to live`, (to) => to.live()],
  ["t", t`T, or just type 1432`, t`go to a time; behind T also Tue 1432, yesterday 9:05, 2026-11-24 14:32`, (to) => to.time("")],
  ["d", "D", t`choose a day`, (to) => to.days()],
  ["i", "I", t`mark the beginning of a span`, (to) => to.mark("from")],
  ["o", "O", t`mark its end`, (to) => to.mark("to")],
  ["e", "E", t`save the span as one file`, (to) => to.save()],
  ["c", "C", t`copy the link to this moment`, (to) => to.link()],
  ["b", "B", t`bookmark this moment`, (to) => to.bookmark()],
  ["s", "S", t`save the picture`, (to) => to.picture()],
  ["f", "F", t`full screen`, (to) => to.full()],
  ["m", "M", t`sound on or off`, (to) => to.mute()],
  ["1", t`1 to 9, 0`, t`a camera, all cameras`, null],
  ["?", "?", t`this list`, () => $("keys").showModal()],
];

/** Calls `to`'s actions; `to.camera(n)` and `to.time(digits)` for what is typed. */
export function keyboard(to) {
  $("keys-list").replaceChildren(...KEYS.flatMap(([, name, what]) => [h("dt", {}, name), h("dd", {}, what)]));
  $("open-keys").onclick = () => $("keys").showModal();
  $("close-keys").onclick = () => $("keys").close();
  let digit = "";
  let timer = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
    /** @type {any} */
    const { target } = event;
    const key = latin(event);
    if (target.matches("input, select, textarea") || !to.isOn()) return;
    if ((key === " " || key === "Enter") && target.matches("button, a, summary")) return;
    if (key === "Escape" && (document.fullscreenElement || to.closes())) return;
    if (/^\d$/.test(key)) {
      event.preventDefault();
      clearTimeout(timer);
      if (digit) {
        to.time(digit + key);
        digit = "";
        return;
      }
      digit = key;
      timer = setTimeout(() => {
        to.camera(Number(digit));
        digit = "";
      }, SECOND_DIGIT_MS);
      return;
    }
    const found = KEYS.find(([keys]) => keys.split("|").includes(key.length > 1 ? key : key.toLowerCase()));
    if (!found?.[3]) return;
    event.preventDefault();
    found[3](to, event);
  });
}

/** What a key means: where the letters are others (Russian, Greek), by its place. */
const latin = ({ key, code }) => (/^[\x00-\x7f]/.test(key) ? key : OTHERS[code] ?? code.replace(/^Key(.)$/, (_, letter) => letter.toLowerCase()));
const OTHERS = { BracketLeft: "[", BracketRight: "]", Comma: ",", Period: "." };

/** A digit alone is a camera; a second one, so soon, makes a time of it. */
const SECOND_DIGIT_MS = 500;
