// The list of a camera's recordings, newest first, by day.

import { $, ask, onclick, say } from "./dom.js";
import { api } from "./api.js";
import { cardHelp, clockDiffers } from "./health.js";
import { row } from "./row.js";
import { Rows } from "./rows.js";
import { TWIN_STEP, clock, day, file, length } from "./words.js";

export class Recordings {
  /** Whether the server makes pictures of recordings. */
  #pictures = false;
  #camera = null;
  /** Renewed with the camera and the time that is shown: an answer to another question is not taken. */
  #view = {};
  /** Newest first, without a hole between the first and the last. */
  #entries = [];
  /** So many the reader asked for. */
  #asked = PAGE;
  /** `before` of the next page; null at the end. */
  #next = null;
  /** Whether the whole card was read; if not, how far back it was. */
  #complete = true;
  #readTo = null;
  #reading = 0;
  #pause = READING_MS;
  /** What is wrong with the card and what to do, or null. */
  #trouble = null;
  #isThere = true;
  /** What was recorded since then has the right time, whoever set the clock. */
  #agreesSince = Infinity;
  #loading = null;
  #refreshing = null;
  #nearEnd = null;
  #rows = new Rows($("days"), $("more"), (entry) => this.#row(entry));
  /** Numbers that events named, to be asked for together. */
  #changed = new Set();
  #timer = 0;
  #playing = null;
  #labelOf;
  #onPlay;
  #onDelete;
  #onChange;

  /** `labelOf(camera)`: what people call it. */
  constructor({ labelOf, onPlay, onDelete, onChange }) {
    this.#labelOf = labelOf;
    this.#onPlay = onPlay;
    this.#onDelete = onDelete;
    this.#onChange = onChange;
    const note = $("list-note");
    onclick($("refresh"), note, () => this.refresh());
    onclick($("more"), note, () => this.#more());
    $("until").addEventListener("change", () => {
      this.#begin();
      this.refresh().catch((error) => say(note, error.message));
    });
    WIDE.addEventListener("change", () => this.#watchEnd());
  }

  /** Shows a camera's list. */
  async show(camera) {
    if (camera === this.#camera) return;
    this.#camera = camera;
    $("until").value = "";
    this.#begin();
    try {
      await this.refresh();
    } catch (error) {
      say($("list-note"), error.message);
    }
  }

  /** What the status says of card and clock. */
  status(status, age) {
    const { clock: time, storage } = status;
    this.#pictures = status.pictures;
    const wasThere = this.#isThere;
    const before = this.#trouble;
    this.#isThere = storage.state !== "absent" && storage.state !== "released";
    this.#trouble = cardHelp(status);
    const agreesSince = clockDiffers(time, age) ? Infinity : Math.floor(time.now_ms / 60_000 - status.uptime_s / 60) * 60_000;
    const isOther = agreesSince !== this.#agreesSince;
    this.#agreesSince = agreesSince;
    if (isOther) this.#render();
    else if (this.#trouble !== before) this.#note();
    if (!wasThere && this.#isThere) this.refresh().catch(() => {});
  }

  /** Whether a recording's time may be wrong. */
  isDoubtful({ clock_trusted, start_ms }) {
    return !clock_trusted && start_ms < this.#agreesSince;
  }

  /** Another camera, or another time. */
  #begin() {
    this.#view = {};
    this.#entries = [];
    this.#asked = PAGE;
    this.#next = null;
    this.#complete = true;
    this.#pause = READING_MS;
    this.#loading = this.#refreshing = null;
    this.#nearEnd?.disconnect();
    this.#nearEnd = null;
    $("days").scrollTop = 0;
    this.#render();
    say($("list-note"), "");
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
    const view = this.#view;
    if (!this.#camera) return;
    const wanted = Math.min(ROWS_MAX, Math.max(PAGE, this.#entries.length));
    const entries = [];
    let page = { next: null };
    do {
      const limit = Math.min(PAGE_MAX, wanted - entries.length);
      page = await this.#page(page.next === null ? { limit } : { limit, before: page.next });
      if (view !== this.#view) return;
      entries.push(...page.recordings);
    } while (page.next !== null && entries.length < wanted);
    // What the reader scrolled to meanwhile stays.
    const last = entries[entries.length - 1];
    const older = last && page.next !== null ? this.#entries.filter((entry) => order(last, entry) < 0) : [];
    this.#entries = [...entries, ...older];
    this.#take(older.length ? { ...page, next: this.#next } : page);
  }

  async #more() {
    if (this.#loading || this.#next === null) return;
    const view = this.#view;
    const mine = (this.#loading = this.#page({ before: this.#next, limit: 2 * PAGE }));
    try {
      const page = await mine;
      if (view !== this.#view) return;
      const last = this.#entries[this.#entries.length - 1];
      this.#entries.push(...page.recordings.filter((entry) => !last || order(last, entry) < 0));
      this.#asked = Math.min(ROWS_MAX, this.#entries.length);
      this.#take(page);
    } finally {
      if (this.#loading === mine) this.#loading = null;
    }
    this.#watchEnd();
  }

  #take({ next, complete, read_to }) {
    this.#next = next;
    this.#complete = complete;
    this.#readTo = read_to;
    // What was asked for by its time may still have holes before that.
    const known = complete || !$("until").value ? this.#entries : this.#entries.filter((entry) => entry.start_ms >= read_to);
    if (known.length < this.#entries.length) this.#next = null;
    this.#entries = known;
    this.#trim();
    this.#render();
    if (this.#nearEnd === null) this.#watchEnd();
    this.#onChange();
    // Rows that came before the reading ended are asked for once more.
    const isOver = complete && this.#entries.every(({ state }) => state !== "unread");
    if (isOver || !this.#isThere || this.#reading) return;
    this.#reading = setTimeout(() => {
      this.#reading = 0;
      this.refresh().catch(() => {});
    }, this.#pause);
    this.#pause = Math.min(READING_MAX_MS, this.#pause * 1.5);
  }

  /** Loads on where the end of the list comes near: of the list that scrolls by itself, or of the page. */
  #watchEnd() {
    this.#nearEnd?.disconnect();
    this.#nearEnd = new IntersectionObserver((seen) => {
      // Several where the page was busy: the last one says how it is.
      if (seen[seen.length - 1].isIntersecting && !$("more").hidden) this.#more().catch((error) => say($("list-note"), error.message));
    }, { root: WIDE.matches ? $("days") : null, rootMargin: "600px 0px" });
    this.#nearEnd.observe($("more"));
  }

  /** The end of the time that was searched for, or infinity. */
  #end() {
    const until = $("until").value;
    return until ? Date.parse(until) + 60_000 : Infinity;
  }

  #page(query) {
    const end = this.#end();
    return this.#ask({ camera: this.#camera, ...(end < Infinity ? { to: end } : {}), ...query });
  }

  #ask(query) {
    return api("GET", `/api/recordings?${new URLSearchParams(query)}`);
  }

  /** An event of the server: a recording began, ended, was deleted. */
  event({ camera, number, state }) {
    if (camera !== this.#camera) return;
    if (state === "deleted") {
      const at = this.#entries.findIndex((entry) => entry.number === number);
      if (at < 0) return;
      this.#entries.splice(at, 1);
      // Nothing is before it now.
      if (at > 0) this.#changed.add(this.#entries[at - 1].number);
      this.#renderSoon();
      return;
    }
    this.#changed.add(number);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fetchChanged().catch(() => {}), TOGETHER_MS);
  }

  async #fetchChanged() {
    const numbers = [...this.#changed];
    this.#changed.clear();
    if (numbers.length > 5) return this.refresh();
    const view = this.#view;
    for (const number of numbers) {
      const entry = await this.#one(this.#camera, number);
      if (view !== this.#view) return;
      if (entry) this.#put(entry);
    }
    this.#render();
    this.#onChange();
  }

  /** Puts an entry in its place. */
  #put(entry) {
    const at = this.#entries.findIndex((other) => order(other, entry) >= 0);
    if (at >= 0 && this.#entries[at].number === entry.number) this.#entries[at] = entry;
    else if (entry.start_ms >= this.#end()) return;
    else if (at >= 0) this.#entries.splice(at, 0, entry);
    else if (this.#next === null) this.#entries.push(entry);
    this.#trim();
  }

  /** As the list grows at its top, what nobody asked for leaves it at its end. */
  #trim() {
    // A page that is on its way follows the last one.
    if (this.#entries.length <= this.#asked || this.#loading) return;
    this.#entries.length = this.#asked;
    this.#next = this.#entries[this.#asked - 1].number;
  }

  /** The open recording grows. */
  growing(number, ms) {
    const entry = this.#entries.find((entry) => entry.number === number && entry.state === "recording");
    if (!entry || !(ms > 0)) return;
    entry.duration_ms = ms;
    const row = this.#rows.get(number);
    if (row) say(row.querySelector(".length"), length(ms));
  }

  // What the player asks.

  /** An entry, or null where there is none. */
  async entry(camera, number, anew = false) {
    const known = camera === this.#camera && !anew && this.#entries.find((entry) => entry.number === number);
    if (known && known.state !== "recording") return known;
    return this.#one(camera, number);
  }

  async #one(camera, number) {
    const { recordings, complete } = await this.#ask({ camera, number });
    if (recordings.length === 0 && !complete && this.#isThere) {
      throw new Error("The card is still being read: this recording is not known yet");
    }
    return recordings[0] ?? null;
  }

  next(entry) {
    return this.#neighbour(entry, 1);
  }

  previous(entry) {
    return this.#neighbour(entry, -1);
  }

  async #neighbour(entry, step) {
    const { camera, number } = entry;
    if (camera === this.#camera) {
      const at = this.#entries.findIndex((other) => other.number === number);
      const found = this.#entries[at - step];
      if (at >= 0 && found) return found;
    }
    if (step < 0) {
      const { recordings } = await this.#ask({ camera, before: number, limit: 1 });
      return recordings[0] ?? null;
    }
    // The list is asked backwards: mostly it is the next number, else the last within a page above.
    for (const [ahead, limit] of [[5, 20], [PAGE_MAX, PAGE_MAX]]) {
      const { recordings } = await this.#ask({ camera, before: (number % TWIN_STEP) + ahead, limit });
      const found = recordings.filter((other) => order(other, entry) < 0).pop();
      if (found) return found;
    }
    return null;
  }

  /** Marks what the player shows. */
  mark(camera, number) {
    this.#playing = camera === this.#camera ? number : null;
    const row = this.#rows.get(this.#playing);
    for (const other of $("days").querySelectorAll('.entry[aria-current="true"]')) {
      if (other !== row?.firstChild) other.setAttribute("aria-current", "false");
    }
    if (!row) return;
    row.firstChild.setAttribute("aria-current", "true");
    this.#reveal(row);
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
    const when = entry.start_ms ? `${day(entry.start_ms)}, ${clock(entry.start_ms)}` : `recording ${file(entry.number)}`;
    const text = `${this.#labelOf(entry.camera)}, ${when}, ${length(entry.duration_ms)} long. This cannot be undone.`;
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
    this.#rows.show(this.#entries, (entry) => `${this.#pictures} ${this.isDoubtful(entry)}`);
    focus();
    $("more").hidden = this.#next === null;
    this.#note();
  }

  #note() {
    const none = $("until").value ? "Nothing was recorded until then." : "No recordings here yet.";
    const isUnasked = this.#refreshing && this.#complete && !this.#entries.length;
    say($("list-note"), this.#trouble ?? (this.#complete ? (this.#entries.length || isUnasked ? "" : none) : this.#progress()));
  }

  /** How far the card has been read. */
  #progress() {
    const so = Math.min(this.#readTo ?? Date.now(), Date.now());
    if (Date.now() - so < 5000) return "Reading the card…";
    const where = `Reading the card: back to ${day(so)}, ${clock(so)} so far.`;
    return so > this.#end() ? `${where} What was recorded at the time you look for is not known yet.` : where;
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
    return row(entry, {
      hasPicture: this.#pictures,
      isDoubtful: this.isDoubtful(entry),
      isPlaying: entry.number === this.#playing,
      onPlay: () => this.#onPlay(entry.camera, entry.number),
      onDelete: () => this.askToDelete(entry),
    });
  }
}

/** Below zero where `a` is the newer: by falling numbers, those of one number by their rank. */
const order = (a, b) => (b.number % TWIN_STEP) - (a.number % TWIN_STEP) || a.number - b.number;

/** The list scrolls by itself, beside the picture (style.css). */
const WIDE = matchMedia("(min-width: 60rem)");
const PAGE = 50;
/** What the server gives at once, at most. */
const PAGE_MAX = 500;
/** A list of this many is not asked for anew, nor kept as it grows: a week, at two minutes each. */
const ROWS_MAX = 5000;
/** While the card is read, the list is asked for again after this time, then more and more seldom. */
const READING_MS = 2000;
const READING_MAX_MS = 10_000;
/** Events that come so close together lead to one question. */
const TOGETHER_MS = 200;
/** A day's heading stays on top of what scrolls. */
const HEADING_PX = 32;
