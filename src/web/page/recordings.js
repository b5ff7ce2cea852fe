// The files of a camera, newest first: in a drawer, which follows the day that is looked at.

import { $, ask, onclick, say } from "./dom.js";
import { api, query } from "./api.js";
import { midnight } from "./axis.js";
import { agreesSince, cardHelp } from "./health.js";
import { READING_MS, order } from "./reel.js";
import { dayRow, gapRow, isGap, row } from "./row.js";
import { Rows } from "./rows.js";
import { clock, day, file, length, readingTo } from "./words.js";
import { t } from "./lang.js";

export class Recordings {
  /** Whether the server makes pictures of recordings. */
  #pictures = false;
  #camera = null;
  /** What began later is not listed. */
  #end = Infinity;
  /** Renewed with the camera and the time that is shown: an answer to another question is not taken. */
  #view = {};
  /** Newest first, without a hole between the first and the last. @type {Api.Recording[]} */
  #entries = [];
  /** So many the reader asked for. */
  #asked = PAGE;
  /** `before` of the next page; null at the end. @type {number | null} */
  #next = null;
  /** Whether the whole card was read; if not, how far back it was. */
  #complete = true;
  /** @type {number | null} */
  #readTo = null;
  #reading = 0;
  #pause = READING_MS;
  /** What is wrong with the card and what to do, or null. */
  #trouble = null;
  #isThere = true;
  /** What was recorded since then has the right time, whoever set the clock. */
  #agreesSince = Infinity;
  /** @type {Promise<any> | null} */
  #loading = null;
  /** @type {Promise<any> | null} */
  #refreshing = null;
  #rows = new Rows($("rows"), (item) => this.#row(item), (item) => this.#mark(item), () => this.#more().catch((error) => say($("list-note"), error.message)));
  /** Numbers that events named, to be asked for together. */
  #changed = new Set();
  #timer = 0;
  #playing = null;
  #on;

  /** `on.label(camera)`: what people call it. `on.play(entry)`, `on.deleted(entry)`. */
  constructor(on) {
    this.#on = on;
    onclick($("refresh"), $("list-note"), () => this.refresh());
  }

  /** Shows a camera's list, from `end` backwards. Nothing is asked for while the drawer is closed. */
  show(camera, end = Infinity) {
    if (camera === this.#camera && end === this.#end) return;
    this.#camera = camera;
    this.#end = end;
    this.#view = {};
    this.#entries = [];
    this.#asked = PAGE;
    this.#next = null;
    this.#complete = true;
    this.#pause = READING_MS;
    this.#loading = this.#refreshing = null;
    this.#rows.toTop();
    say($("list-note"), "");
    this.refresh().catch((error) => say($("list-note"), error.message));
    this.#render();
  }

  get #isOpen() {
    return !$("files").hidden;
  }

  /** What the status says of card and clock. @param {Api.Status} status */
  status(status, age) {
    const { storage } = status;
    this.#pictures = status.pictures;
    const wasThere = this.#isThere;
    const before = this.#trouble;
    this.#isThere = storage.state !== "absent" && storage.state !== "released";
    this.#trouble = cardHelp(status);
    const since = agreesSince(status, age);
    const isOther = since !== this.#agreesSince;
    this.#agreesSince = since;
    if (isOther) this.#render();
    else if (this.#trouble !== before) this.#note();
    // One that ended as its camera went: nobody tells of that.
    const isOpen = status.cameras.some((one) => one.name === this.#camera && one.recording);
    const isStale = !isOpen && this.#entries.some(({ state }) => state === "recording");
    if (isStale || (!wasThere && this.#isThere)) this.refresh().catch(() => {});
  }

  /** Whether a recording's time may be wrong. */
  #isDoubtful({ clock_trusted, start_ms }) {
    return !clock_trusted && start_ms < this.#agreesSince;
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
    if (!this.#camera || !this.#isOpen) return;
    const wanted = Math.min(ROWS_MAX, Math.max(PAGE, this.#entries.length));
    const entries = [];
    /** @type {any} */
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
    let page;
    try {
      page = await mine;
    } finally {
      if (this.#loading === mine) this.#loading = null;
    }
    if (view !== this.#view) return;
    const last = this.#entries[this.#entries.length - 1];
    this.#entries.push(...page.recordings.filter((entry) => !last || order(last, entry) < 0));
    this.#asked = Math.min(ROWS_MAX, this.#entries.length);
    this.#take(page);
  }

  /** @param {Api.Recordings} page */
  #take({ next, complete, read_to }) {
    this.#next = next;
    this.#complete = complete;
    this.#readTo = read_to;
    // What was asked for by its time may still have holes before that.
    const known = complete || this.#end === Infinity ? this.#entries : this.#entries.filter((entry) => entry.start_ms >= (read_to ?? 0));
    if (known.length < this.#entries.length) this.#next = null;
    this.#entries = known;
    this.#trim();
    this.#render();
    // Rows that came before the reading ended are asked for once more.
    const isOver = complete && this.#entries.every(({ state }) => state !== "unread");
    if (isOver || !this.#isThere || this.#reading) return;
    this.#reading = setTimeout(() => {
      this.#reading = 0;
      this.refresh().catch(() => {});
    }, this.#pause);
    this.#pause = Math.min(READING_MAX_MS, this.#pause * 1.5);
  }

  #page(asked) {
    return this.#ask({ camera: this.#camera, ...(this.#end < Infinity ? { to: this.#end } : {}), ...asked });
  }

  #ask(asked) {
    return api("GET", `/api/recordings?${query(asked)}`);
  }

  /** An event of the server: a recording began, ended, was deleted. */
  event({ camera, number, state }) {
    if (camera !== this.#camera || !this.#isOpen) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fetchChanged().catch(() => {}).then(() => this.#render()), TOGETHER_MS);
    if (state !== "deleted") return void this.#changed.add(number);
    const at = this.#entries.findIndex((entry) => entry.number === number);
    if (at < 0) return;
    this.#entries.splice(at, 1);
    // Nothing is before it now.
    if (at > 0) this.#changed.add(this.#entries[at - 1].number);
  }

  async #fetchChanged() {
    const numbers = [...this.#changed];
    this.#changed.clear();
    if (numbers.length > 5) return this.refresh();
    const view = this.#view;
    for (const number of numbers) {
      const { recordings } = await this.#ask({ camera: this.#camera, number });
      if (view !== this.#view) return;
      if (recordings[0]) this.#put(recordings[0]);
    }
  }

  /** Puts an entry in its place. @param {Api.Recording} entry */
  #put(entry) {
    const at = this.#entries.findIndex((other) => order(other, entry) >= 0);
    if (at >= 0 && this.#entries[at].number === entry.number) this.#entries[at] = entry;
    else if (entry.start_ms >= this.#end) return;
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
    const element = this.#rows.get(number);
    if (element) say(element.querySelector(".length"), length(ms));
  }

  /** Marks what the player shows. */
  mark(camera, number) {
    const playing = camera === this.#camera ? number : null;
    if (playing === this.#playing) return;
    this.#playing = playing;
    this.#render();
    if (this.#isOpen) this.#rows.reveal(playing);
  }

  /** @param {Api.Recording} entry */
  askToDelete(entry) {
    const when = entry.start_ms ? `${day(entry.start_ms)}, ${clock(entry.start_ms)}` : t`recording ${file(entry.number)}`;
    const text = t`${this.#on.label(entry.camera)}, ${when}, ${length(entry.duration_ms)} long. This cannot be undone.`;
    ask(t`Delete this recording?`, text, t`Delete`, async () => {
      const at = this.#entries.findIndex(({ number }) => number === entry.number);
      const neighbour = this.#entries[at + 1] ?? this.#entries[at - 1];
      await api("DELETE", `/api/recordings/${entry.camera}/${entry.file}`);
      this.event({ ...entry, state: "deleted" });
      this.#on.deleted(entry);
      // The dialog gives the focus back when it closes, to a row that goes.
      setTimeout(() => (neighbour ? this.#rows.reveal(neighbour.number)?.querySelector(".delete") : $("refresh"))?.focus(), 0);
    });
  }

  #render() {
    if (!this.#isOpen) return;
    const items = [];
    let start = NaN;
    let heading = "";
    for (const entry of this.#entries) {
      if (midnight(entry.start_ms) !== start) {
        start = midnight(entry.start_ms);
        const text = day(start);
        if (text !== heading) items.push({ key: `day ${items.length ? text : ""}`, text });
        heading = text;
      }
      items.push({ key: entry.number, entry });
      if (isGap(entry)) items.push({ key: `gap ${entry.number}`, gap: entry.gap_before_ms });
    }
    this.#rows.show(items);
    this.#note();
  }

  #note() {
    const none = this.#end < Infinity ? t`Nothing was recorded until then.` : t`No recordings here yet.`;
    const isUnasked = this.#refreshing && this.#complete && !this.#entries.length;
    say($("list-note"), this.#trouble ?? (this.#complete ? (this.#entries.length || isUnasked ? "" : none) : readingTo(this.#readTo ?? Infinity, this.#end)));
  }

  #mark({ entry, text, gap }) {
    if (!entry) return text ?? gap;
    const duration_ms = entry.state === "recording" ? 0 : entry.duration_ms;
    return [this.#pictures, this.#isDoubtful(entry), entry.number === this.#playing, JSON.stringify({ ...entry, duration_ms })].join();
  }

  #row({ entry, text, gap }) {
    if (text) return dayRow(text);
    if (gap) return gapRow(gap);
    return row(entry, {
      hasPicture: this.#pictures,
      isDoubtful: this.#isDoubtful(entry),
      isPlaying: entry.number === this.#playing,
      isKept: entry.kept,
      onPlay: () => this.#on.play(entry),
      onDelete: () => this.askToDelete(entry),
    });
  }
}

const PAGE = 50;
/** What the server gives at once, at most. */
const PAGE_MAX = 500;
/** A list of this many is not asked for anew, nor kept as it grows: a week, at two minutes each. */
const ROWS_MAX = 5000;
/** While the card is read, the list is asked for again more and more seldom. */
const READING_MAX_MS = 10_000;
/** Events that come so close together lead to one question. */
const TOGETHER_MS = 200;
