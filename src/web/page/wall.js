// The past of all cameras at once: a video each, and one clock that they follow. To the page it is like a player.

import { $, h, say } from "./dom.js";
import { CAUSES } from "./paint.js";
import { EDGE_MS, addressOf } from "./player.js";
import { holds } from "./reel.js";
import { codec, readingTo } from "./words.js";
import { t } from "./lang.js";

export class Wall {
  /** By camera. @type {Map<string, any>} */
  #tiles = new Map();
  /** Where the clock was, and when that was so. @type {number | null} */
  #ms = null;
  #since = 0;
  #isPlaying = false;
  #speed = 1;
  #timer = 0;
  #reel;
  #now;
  #on;

  /** `on.cameras()`: which; `on.open(name)`: one is chosen; others as a player's. */
  constructor(reel, now, on) {
    this.#reel = reel;
    this.#now = now;
    this.#on = on;
  }

  get time() {
    const passed = this.#isPlaying ? (performance.now() - this.#since) * this.#speed : 0;
    return this.#ms === null ? null : this.#ms + passed;
  }

  get isPlaying() {
    return this.#isPlaying;
  }

  get speed() {
    return this.#speed;
  }

  isMuted = true;
  hasPicture = true;
  entry = null;
  video = null;

  /** From a moment on, or standing there. @param {string} _ @param {number} ms */
  async show(_, ms, { isPlaying = true } = {}) {
    this.#set(ms, isPlaying);
    this.#on.settled();
  }

  scrub(_, ms) {
    this.#set(ms, false);
  }

  close() {
    clearInterval(this.#timer);
    this.#ms = null;
    this.#isPlaying = false;
    for (const { video } of this.#tiles.values()) {
      video.removeAttribute("src");
      video.load(); // lets go of the connection
    }
    this.#tiles.clear();
    $("wall").replaceChildren();
  }

  toggle() {
    if (this.#isPlaying) this.pause();
    else this.#set(this.time, true);
  }

  pause() {
    this.#set(this.time, false);
  }

  setSpeed(speed) {
    const { time } = this;
    this.#speed = speed;
    this.#set(time, this.#isPlaying);
  }

  frame(step, fps) {
    this.#set((this.time ?? 0) + (step * 1000) / (Math.round(fps) || 25), false);
  }

  mute() {}
  nudge() {}
  changed() {}

  /** The server answers again. */
  again() {
    for (const tile of this.#tiles.values()) if (tile.video.readyState < 3) tile.file = tile.entry = null;
  }

  #set(ms, isPlaying) {
    if (ms === null) return;
    if (this.#ms === null) this.#build();
    this.#ms = Math.min(ms, this.#now());
    this.#since = performance.now();
    this.#isPlaying = isPlaying;
    this.#on.state();
    this.#tick();
  }

  #build() {
    for (const [index, { name, label }] of this.#on.cameras().entries()) {
      const video = h("video", { muted: true, playsInline: true, tabIndex: -1, disableRemotePlayback: true });
      const note = h("p", { className: "note", role: "status", hidden: true });
      const element = h("figure", { className: "tile", onclick: () => this.#on.open(name) }, video, note, h("figcaption", {}, h("span", {}, label)));
      const tile = { name, video, note, element, entry: null, readTo: null, file: "", sought: NaN, isAsking: false };
      video.addEventListener("error", () => {
        if (!tile.entry) return;
        const { mime, codec: kind } = tile.entry;
        say(note, mime && !video.canPlayType(mime) ? t`This browser cannot play ${codec(kind ?? "")}: download it and play it elsewhere` : t`it did not come`);
      });
      $("wall").append(element);
      if (index < VIDEOS_MAX) this.#tiles.set(name, tile);
      else say(note, t`Four play at a time: choose this one above`);
    }
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  #tick() {
    const { time } = this;
    if (time === null || document.hidden) return;
    if (this.#isPlaying && time >= this.#now() - EDGE_MS) return this.#on.end();
    // Until the card is read as far as that, the clock stands.
    if ([...this.#tiles.values()].every(({ readTo }) => readTo)) this.#since = performance.now();
    this.#on.time();
    for (const tile of this.#tiles.values()) this.#follow(tile);
  }

  async #follow(tile) {
    if (tile.isAsking) return;
    if (!tile.entry || !holds(tile.entry, this.time ?? 0, this.#now())) {
      tile.isAsking = true;
      const at = this.time ?? 0;
      // A server that does not answer is not asked at every tick.
      tile.entry = await this.#reel.at(tile.name, at, this.#now()).catch(() => new Promise((later) => setTimeout(later, RETRY_MS, null)));
      tile.readTo = this.#on.reads() && (await this.#reel.readTo(tile.name, at).catch(() => null));
      tile.isAsking = false;
    }
    if (this.time === null) return;
    const { entry, video } = tile;
    tile.element.classList.toggle("stopped", !entry);
    if (!entry) {
      video.pause();
      return say(tile.note, tile.readTo ? readingTo(tile.readTo, Infinity) : CAUSES.unknown[0]);
    }
    const wanted = (this.time - entry.start_ms) / 1000;
    const hasGrown = entry.state === "recording" && wanted > video.duration + REOPENED_S;
    if (tile.file !== entry.file || hasGrown) {
      tile.file = entry.file;
      say(tile.note, "");
      video.src = `${addressOf(entry)}#t=${wanted}`;
    } else if (video.readyState > 0 && !video.seeking) this.#near(tile, wanted);
    if (!this.#isPlaying) video.pause();
    else if (video.paused && !video.ended) video.play().catch(() => {});
  }

  /** A little faster or slower where it is a little off; elsewhere by a jump. Where it stands, the picture is that of the moment. */
  #near(tile, wanted) {
    const { video } = tile;
    const behind = wanted - video.currentTime;
    const isOff = this.#isPlaying ? Math.abs(behind) > OFF_S * this.#speed : tile.sought !== wanted;
    if (isOff && wanted < video.duration) video.currentTime = tile.sought = wanted;
    video.playbackRate = this.#speed * (1 + Math.sign(behind) * (Math.abs(behind) > STILL_S ? 0.1 : 0));
  }
}

/** Browsers hold six connections to a server, and one is the events'. */
const VIDEOS_MAX = 4;
const TICK_MS = 250;
const RETRY_MS = 2000;
/** So far off is made up for by a jump. */
const OFF_S = 0.7;
/** So far off nobody sees. */
const STILL_S = 0.06;
/** An open recording that has grown by so much is opened again. */
const REOPENED_S = 1;
