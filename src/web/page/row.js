// One line of the list of files: a recording, what was not recorded before it, or the day.

import { $, enable, h, onclick } from "./dom.js";
import { bytes, clock, file, length, span } from "./words.js";
import { t } from "./lang.js";

export const dayRow = (text) => h("li", { className: "heading", role: "listitem" }, h("h3", {}, text));

export const gapRow = (ms) => h("li", { className: "gap" }, t`nothing for ${span(ms)}`);

/** @type {(entry: Api.Recording) => boolean} */
export const isGap = (entry) => entry.gap_before_ms >= GAP_SHOWN_MS;

/** @param {Api.Recording} entry */
export function row(entry, { hasPicture, isDoubtful, isPlaying, isKept, onPlay, onDelete }) {
  const { camera, number, start_ms, state } = entry;
  const when = state === "unread" || !start_ms ? file(number) : clock(start_ms);
  const item = h("li", { className: `recording-row ${state}`, "data-number": number });
  const play = h("button", { type: "button", className: "entry", onclick: onPlay },
    h("span", { className: "time" }, isDoubtful && start_ms ? `${when}?` : when),
    h("span", { className: "length" }, state === "unread" ? "" : length(entry.duration_ms)),
    h("span", { className: "size" }, bytes(entry.bytes)),
    h("span", { className: "mark" }, state !== "whole" ? STATES[state] ?? state : isKept ? t`kept` : ""));
  play.title = t`Play ${entry.file}` + (isDoubtful ? t`, recorded while the clock was not set` : "");
  play.setAttribute("aria-current", String(isPlaying));
  const name = `${file(number)}, ${when}`;
  const download = h("a", { className: "icon download", href: `/recordings/${camera}/${entry.file}?download`, download: "",
    title: t`Download`, "aria-label": t`Download ${name}` });
  const remove = h("button", { type: "button", className: "icon delete", title: t`Delete`, "aria-label": t`Delete ${name}` });
  onclick(remove, $("list-note"), onDelete);
  enable(remove, state !== "recording");
  item.append(play, download, remove);
  if (hasPicture && start_ms) {
    // The number alone may be that of another card's recording.
    const image = h("img", { alt: "", "data-src": `/recordings/${camera}/${number}.jpg?${start_ms}`, onclick: onPlay });
    item.append(image);
    inView.observe(image);
  }
  return item;
}

/** Pictures are fetched when they are seen, one at a time: the server makes them, and has other work. */
const inView = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    inView.unobserve(target);
    lastPicture = lastPicture.then(() => target.isConnected && load(target));
  }
});
let lastPicture = Promise.resolve();

function load(image) {
  return new Promise((done) => {
    image.onload = done;
    image.onerror = () => done(image.remove());
    image.src = image.dataset.src;
  });
}

const STATES = { recording: t`recording`, cut: t`cut short`, damaged: t`damaged`, unread: t`not read yet` };
const GAP_SHOWN_MS = 2000;
