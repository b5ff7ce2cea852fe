// The list of a camera's recordings, newest first, by day.

import { $, ask, enable, h, onclick, say } from "./dom.js";
import { api } from "./api.js";
import { bytes, clock, day, file, length, span } from "./words.js";

export class Recordings {
  /** Whether the server makes pictures of recordings. */
  pictures = false;
  #camera = null;
  /** Newest first, without a hole between the first and the last. */
  #entries = [];
  /** `before` of the next page; null at the end. */
  #next = null;
  #complete = true;
  #loading = null;
  #refreshing = null;
  /** Numbers that events named, to be asked for together. */
  #changed = new Set();
  #timer = 0;
  #playing = null;
  #onPlay;
  #onDelete;
  #onChange;

  constructor({ onPlay, onDelete, onChange }) {
    this.#onPlay = onPlay;
    this.#onDelete = onDelete;
    this.#onChange = onChange;
    const note = $("list-note");
    onclick($("refresh"), note, () => this.refresh());
    onclick($("more"), note, () => this.#more());
    $("until").addEventListener("change", () => this.refresh().catch((error) => say(note, error.message)));
    new IntersectionObserver(([entry]) => {
      if (entry.isIntersecting && !$("more").hidden) this.#more().catch((error) => say(note, error.message));
    }, { rootMargin: "200px" }).observe($("more"));
  }

  /** Shows a camera's list. */
  async show(camera) {
    if (camera === this.#camera) return;
    this.#camera = camera;
    this.#entries = [];
    this.#refreshing = null; // of another camera
    $("until").value = "";
    this.#render();
    try {
      await this.refresh();
    } catch (error) {
      say($("list-note"), error.message);
    }
  }

  /** Asks again from the newest on, as far as was shown; once at a time. */
  refresh() {
    const mine = (this.#refreshing ??= this.#refresh());
    const done = () => {
      if (this.#refreshing === mine) this.#refreshing = null;
    };
    mine.then(done, done);
    return mine;
  }

  async #refresh() {
    const camera = this.#camera;
    if (!camera) return;
    const limit = Math.min(PAGE_MAX, Math.max(PAGE, this.#entries.length));
    const page = await this.#page({ limit });
    if (camera !== this.#camera) return;
    this.#entries = page.recordings;
    this.#take(page);
  }

  async #more() {
    if (this.#loading || this.#next === null) return;
    const camera = this.#camera;
    this.#loading = this.#page({ before: this.#next, limit: PAGE });
    try {
      const page = await this.#loading;
      if (camera !== this.#camera) return;
      this.#entries.push(...page.recordings);
      this.#take(page);
    } finally {
      this.#loading = null;
    }
  }

  #take({ next, complete }) {
    this.#next = next;
    this.#complete = complete;
    this.#render();
    this.#onChange();
  }

  #page(query, camera = this.#camera) {
    const until = $("until").value;
    const all = { camera, ...(until && query.limit > 1 ? { to: Date.parse(until) + 60_000 } : {}), ...query };
    return api("GET", `/api/recordings?${new URLSearchParams(all)}`);
  }

  /** An event of the server: a recording began, ended, was deleted. */
  event({ camera, number, state }) {
    if (camera !== this.#camera) return;
    if (state === "deleted") {
      const at = this.#entries.findIndex((entry) => entry.number === number);
      if (at >= 0) {
        this.#entries.splice(at, 1);
        this.#renderSoon();
      }
      return;
    }
    this.#changed.add(number);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fetchChanged().catch(() => {}), TOGETHER_MS);
  }

  async #fetchChanged() {
    const numbers = [...this.#changed];
    this.#changed.clear();
    if ($("until").value) return;
    if (numbers.length > 5) return this.refresh();
    for (const number of numbers) {
      const entry = await this.entry(this.#camera, number, true);
      if (!entry || entry.camera !== this.#camera) continue;
      const at = this.#entries.findIndex((other) => other.number <= number);
      if (at >= 0 && this.#entries[at].number === number) this.#entries[at] = entry;
      else if (at >= 0) this.#entries.splice(at, 0, entry);
      else if (this.#next === null) this.#entries.push(entry);
    }
    this.#render();
    this.#onChange();
  }

  /** The open recording grows. */
  growing(number, ms) {
    const entry = this.#entries.find((entry) => entry.number === number && entry.state === "recording");
    if (!entry || !(ms > 0)) return;
    entry.duration_ms = ms;
    const text = document.querySelector(`[data-number="${number}"] .length`);
    if (text) say(text, length(ms));
  }

  // What the player asks.

  async entry(camera, number, anew = false) {
    const known = camera === this.#camera && !anew && this.#entries.find((entry) => entry.number === number);
    if (known && known.state !== "recording") return known;
    const { recordings } = await this.#page({ before: number + 1, limit: 1 }, camera);
    return recordings.find((entry) => entry.number === number) ?? null;
  }

  next(entry) {
    return this.#neighbour(entry, 1);
  }

  previous(entry) {
    return this.#neighbour(entry, -1);
  }

  async #neighbour({ camera, number }, step) {
    if (camera === this.#camera) {
      const at = this.#entries.findIndex((entry) => entry.number === number);
      const found = this.#entries[at - step];
      if (at >= 0 && found) return found;
    }
    if (step < 0) {
      const { recordings } = await this.#page({ before: number, limit: 1 }, camera);
      return recordings[0] ?? null;
    }
    // The list is asked backwards: mostly it is the next number, else the last within a page above.
    for (const limit of [1, PAGE_MAX]) {
      const { recordings } = await this.#page({ before: number + 1 + limit, limit }, camera);
      const found = recordings.filter((entry) => entry.number > number).pop();
      if (found) return found;
    }
    return null;
  }

  /** Marks what the player shows. */
  mark(camera, number) {
    this.#playing = camera === this.#camera ? number : null;
    for (const row of $("days").querySelectorAll("[data-number]")) {
      const on = Number(row.dataset.number) === this.#playing;
      row.firstChild.setAttribute("aria-current", String(on));
      if (on) this.#reveal(row);
    }
  }

  /** Scrolls the list where it scrolls by itself, never the page. */
  #reveal(row) {
    const box = $("days");
    if (box.scrollHeight <= box.clientHeight) return;
    const top = row.offsetTop - box.offsetTop;
    if (top < box.scrollTop + HEADING_PX) box.scrollTop = top - HEADING_PX;
    const bottom = top + row.offsetHeight;
    if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  }

  askToDelete(entry) {
    const when = entry.start_ms ? `of ${day(entry.start_ms)}, ${clock(entry.start_ms)}` : "";
    const text = `${file(entry.number)} ${when}, ${length(entry.duration_ms)} long, is gone for good then.`;
    ask("Delete this recording?", text, "Delete", async () => {
      const next = await this.next(entry).catch(() => null);
      await api("DELETE", `/api/recordings/${entry.camera}/${entry.file}`);
      this.event({ ...entry, state: "deleted" });
      this.#onDelete(entry, next);
    });
  }

  #renderSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#render();
      this.#fetchChanged().catch(() => {});
    }, TOGETHER_MS);
  }

  #render() {
    const focus = this.#focus();
    const days = [];
    let heading = null;
    let list = null;
    for (const entry of this.#entries) {
      const name = day(entry.start_ms);
      if (name !== heading) {
        heading = name;
        list = h("ol");
        days.push(h("section", {}, h("h3", {}, name), list));
      }
      list.append(this.#row(entry));
      if (entry.gap_before_ms >= GAP_SHOWN_MS) {
        list.append(h("li", { className: "gap" }, `nothing for ${span(entry.gap_before_ms)}`));
      }
    }
    $("days").replaceChildren(...days);
    focus();
    $("more").hidden = this.#next === null;
    say($("list-note"), this.#entries.length ? (this.#complete ? "" : "The card is still being read: older recordings will follow.")
      : this.#complete ? "No recordings here yet." : "The card is being read…");
  }

  /** Where the focus is in the list; what is returned puts it there again, or on the row in its place. */
  #focus() {
    const parts = (row) => [...row.querySelectorAll("button, a")];
    const rows = () => [...$("days").querySelectorAll("[data-number]")];
    const row = document.activeElement.closest("#days [data-number]");
    if (!row) return () => {};
    const { number } = row.dataset;
    const part = parts(row).indexOf(document.activeElement);
    const place = rows().indexOf(row);
    return () => {
      const now = rows().find((other) => other.dataset.number === number) ?? rows()[Math.min(place, rows().length - 1)];
      if (now) parts(now)[part].focus();
      else $("refresh").focus();
    };
  }

  /** Puts the focus on a recording, where it is in the list. */
  focus(number) {
    ($("days").querySelector(`[data-number="${number}"] .entry`) ?? $("refresh")).focus();
  }

  #row(entry) {
    const { camera, number, start_ms, state } = entry;
    const when = state === "unread" || !start_ms ? file(number) : clock(start_ms);
    const row = h("li", { className: state, "data-number": number });
    const words = STATES[state] ?? state;
    const play = h("button", { type: "button", className: "entry", onclick: () => this.#onPlay(camera, number) },
      h("span", { className: "time" }, entry.clock_trusted || !start_ms ? when : `${when}?`),
      h("span", { className: "length" }, state === "unread" ? "" : length(entry.duration_ms)),
      h("span", { className: "size" }, bytes(entry.bytes)),
      h("span", { className: "mark" }, words));
    play.title = `Play ${file(number)}${entry.clock_trusted ? "" : ", recorded while the clock was not set"}`;
    play.setAttribute("aria-current", String(number === this.#playing));
    const name = `${file(number)}, ${when}`;
    const download = h("a", { className: "icon download", href: `/recordings/${camera}/${entry.file}?download`, download: "",
      title: "Download", "aria-label": `Download ${name}` });
    const remove = h("button", { type: "button", className: "icon delete", title: "Delete", "aria-label": `Delete ${name}` });
    onclick(remove, $("list-note"), () => this.askToDelete(entry));
    enable(remove, state !== "recording");
    row.append(play, download, remove);
    if (this.pictures && start_ms) {
      // The number alone may be that of another card's recording.
      const src = `/recordings/${camera}/${file(number)}.jpg?${start_ms}`;
      const image = h("img", { alt: "", "data-src": src, onclick: play.onclick });
      row.append(image);
      inView.observe(image);
    }
    return row;
  }
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

const STATES = { recording: "recording", whole: "whole", cut: "cut short", damaged: "damaged", unread: "not read yet" };
const PAGE = 50;
/** What the server gives at once, at most. */
const PAGE_MAX = 500;
/** Events that come so close together lead to one question. */
const TOGETHER_MS = 200;
/** A day's heading stays on top of what scrolls. */
const HEADING_PX = 32;
const GAP_SHOWN_MS = 2000;
