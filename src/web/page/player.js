// The past: recordings one after the other, along the axis of time. Two <video> elements take turns: while one
// plays, the other loads what comes next, or looks for the picture under the finger; it comes to the front when
// it has one.

import { $, h, remembered, say } from "./dom.js";
import { Frames } from "./frames.js";
import { READING_MS, endOf } from "./reel.js";
import { clock, codec, readingTo, span } from "./words.js";
import { t } from "./lang.js";

export class Player {
  #videos = [...$("player").querySelectorAll("video")];
  /** What the element in front holds, and whether its address is that of an open recording. @type {Api.Recording | null} */
  #entry = null;
  /** What the other one holds ready, to follow. @type {any} */
  #after = null;
  #handing = false;
  /** Renewed with each place that is asked for: an answer to an older question is not taken. */
  #place = {};
  /** The moment that is asked for and not there yet. @type {number | null} */
  #asked = null;
  /** Where the finger is, while nothing has been looked for there. @type {{ camera: string, ms: number } | null} */
  #scrub = null;
  #isScrubbing = false;
  #isLooking = false;
  /** Where the connection went: it goes on from there. @type {{ camera: string, ms: number, isPlaying: boolean } | null} */
  #lost = null;
  #hasPicture = false;
  /** What the elements hold came over a connection that is gone. */
  #isStale = false;
  /** The recording that is asked for, if a certain one is. @type {Api.Recording | null} */
  #askedOf = null;
  /** @type {Map<any, Frames>} */
  #frames = new Map(this.#videos.map((video) => [video, new Frames(video)]));
  #wantsPlay = true;
  /** Places in a row that could not be decoded. */
  #damaged = 0;
  #speed = 1;
  /** Where it was a second ago, and for how long. */
  #stood = { time: 0, ticks: 0 };
  #isMuted = remembered("muted") === "yes";
  #reel;
  #now;
  #on;

  /**
   * `reel`: which recording holds a moment. `now()`: the recorder's time. `on.time()`: the moment changed;
   * `on.state()`: play, pause, speed, sound did; `on.settled()`: a place was reached; `on.end()`: there is nothing
   * more but the live picture. `on.reads()`: whether there is a card to be read.
   */
  constructor(reel, now, on) {
    this.#reel = reel;
    this.#now = now;
    this.#on = on;
    for (const video of this.#videos) {
      const front = (action) => () => video === this.video && this.#entry && action();
      video.addEventListener("ended", front(() => !this.#isScrubbing && this.#ended()));
      video.addEventListener("error", front(() => this.#failed(this.#entry)));
      for (const kind of ["timeupdate", "durationchange", "seeking", "progress"]) {
        video.addEventListener(kind, front(() => this.#show()));
      }
      video.addEventListener("play", front(() => this.#on.state()));
      video.addEventListener("pause", front(() => {
        if (!video.ended) this.#takeBack();
        this.#on.state();
      }));
      video.addEventListener("seeking", front(() => this.#takeBack()));
      video.addEventListener("waiting", front(() => performance.now() >= this.#noteUntil && say($("player-note"), t`Loading…`)));
      for (const kind of ["playing", "seeked", "canplay"]) video.addEventListener(kind, front(() => this.#clear()));
    }
    this.#carry();
  }

  get video() {
    return this.#videos[0];
  }

  /** Whether there was a picture since it was opened, or there will be none. */
  get hasPicture() {
    return this.#hasPicture;
  }

  get entry() {
    return (this.#asked !== null && this.#askedOf) || this.#entry;
  }

  /** The moment of the picture, or the one that is asked for; null where nothing plays. */
  get time() {
    return this.#asked ?? (this.#entry && this.#entry.start_ms + this.video.currentTime * 1000);
  }

  get isPlaying() {
    return this.#asked === null ? Boolean(this.#entry) && !this.video.paused : this.#wantsPlay;
  }

  get speed() {
    return this.#speed;
  }

  get isMuted() {
    return this.#isMuted;
  }

  /**
   * Plays from a moment, or stands there; where nothing was recorded, from what comes next. `of`: that recording.
   * @param {string} camera
   * @param {number} ms
   * @param {{ isPlaying?: boolean, of?: Api.Recording | null }} [how]
   */
  async show(camera, ms, { isPlaying = true, of = null } = {}) {
    const place = (this.#place = {});
    this.#scrub = this.#lost = null;
    this.#isScrubbing = false;
    this.#asked = ms;
    this.#askedOf = of;
    this.#noteUntil = 0;
    this.#wantsPlay = isPlaying;
    try {
      let entry = of ?? (await this.#find(camera, ms, place));
      let at = ms;
      if (!entry) {
        entry = await this.#reel.after(camera, ms, this.#now());
        at = entry?.start_ms;
      }
      if (place !== this.#place) return;
      if (!entry) {
        this.#asked = null;
        return this.#on.end();
      }
      await this.#cue(entry, (at - entry.start_ms) / 1000, place);
      if (place !== this.#place) return;
      $("player").classList.remove("nothing");
      this.#asked = null;
      if (this.#wantsPlay) this.#play();
      if (at - ms > SKIPPED_MS) this.#skipped(at - ms);
      this.#on.settled();
      this.#show();
    } catch (problem) {
      if (place !== this.#place) return;
      this.#asked = null;
      if (problem.name === "AbortError") return;
      if (problem.status === 0) this.#lose(camera, ms);
      throw problem;
    }
  }

  /** The entry that holds a moment, or null. Where the card is not read so far, it waits, and says how far it is. */
  async #find(camera, ms, place) {
    for (;;) {
      const entry = await this.#reel.at(camera, ms, this.#now());
      const readTo = entry || !this.#on.reads() ? null : await this.#reel.readTo(camera, ms);
      if (place !== this.#place) throw abort();
      if (readTo === null) {
        this.#noteUntil = 0;
        return entry;
      }
      // Neither live nor what was shown before stands there as if it were of that time.
      this.#hasPicture = true;
      $("player").classList.add("nothing");
      this.note(readingTo(readTo, ms));
      await new Promise((done) => setTimeout(done, READING_MS));
    }
  }

  #lose(camera, ms) {
    this.#lost = { camera, ms, isPlaying: this.#wantsPlay };
    this.#on.state();
  }

  /** The server answers again. What did not come, or stopped on its way, is asked for anew. */
  again() {
    const { video } = this;
    const entry = this.#entry;
    const isStuck = entry && this.#asked === null && !video.ended && !video.error && video.readyState < 3;
    const { camera, ms, isPlaying } = this.#lost ?? { camera: entry?.camera, ms: this.time, isPlaying: this.isPlaying };
    if (!this.#lost && !isStuck) return;
    this.#isStale = true;
    say($("picture-error"), "");
    this.show(camera ?? "", ms ?? 0, { isPlaying }).catch((problem) => this.#say(problem));
  }

  /** Follows the finger: shows the picture of that moment, one seek at a time; `show` ends it. */
  scrub(camera, ms) {
    this.video.pause();
    this.#isScrubbing = true;
    this.#scrub = { camera, ms };
    this.#asked = ms;
    if (!this.#isLooking) this.#look();
  }

  async #look() {
    this.#isLooking = true;
    const place = (this.#place = {});
    while (this.#scrub && place === this.#place) {
      const { camera, ms } = this.#scrub;
      this.#scrub = null;
      try {
        const entry = await this.#reel.at(camera, ms, this.#now());
        if (entry && place === this.#place) await this.#cue(entry, (ms - entry.start_ms) / 1000, place);
        $("player").classList.toggle("nothing", !entry);
      } catch {
        // Said when the finger is lifted.
      }
    }
    this.#isLooking = false;
  }

  close() {
    this.#place = {};
    for (const video of this.#videos) unload(video);
    this.#entry = this.#after = this.#asked = this.#scrub = this.#lost = null;
    this.#handing = this.#isScrubbing = this.#hasPicture = this.#isStale = false;
    this.#noteUntil = 0;
    this.#clear();
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  play() {
    this.#wantsPlay = true;
    if (this.#lost) return this.again();
    if (this.#asked === null) this.#play();
  }

  pause() {
    this.#wantsPlay = false;
    if (this.#lost) this.#lost.isPlaying = false;
    this.video.pause();
    this.#on.state();
  }

  /** One picture on or back, where it stays: to the middle of its time. `fps`: what the camera says. */
  frame(step, fps) {
    this.pause();
    if (!this.#entry || this.#asked !== null) return;
    const time = this.#frames.get(this.video)?.beside(step, fps, () => this.frame(step, fps)) ?? null;
    if (time === null) return;
    if (time >= 0 && time < this.video.duration) this.video.currentTime = time;
    else this.show(this.#entry.camera, this.#entry.start_ms + time * 1000, { isPlaying: false }).catch((problem) => this.#say(problem));
  }

  setSpeed(speed) {
    this.#speed = speed;
    this.#carry();
    this.#on.state();
  }

  mute(isMuted) {
    this.#isMuted = isMuted;
    remembered("muted", isMuted ? "yes" : "no");
    this.#carry();
    this.#on.state();
  }

  /** Once a second. WebKit stands still now and then, and says that it plays: a seek to where it is sets it going. */
  nudge() {
    const { video } = this;
    const stands = this.#entry && this.#asked === null && !video.paused && !video.seeking && video.readyState >= 2 && video.currentTime === this.#stood.time;
    this.#stood = { time: video.currentTime, ticks: stands ? this.#stood.ticks + 1 : 0 };
    if (this.#stood.ticks > STANDS_TICKS) {
      this.#stood.ticks = 0;
      video.currentTime += 0.001;
    }
  }

  /** The list changed: perhaps there is something to go on with now. */
  changed() {
    if (this.#after === NOTHING) this.#after = null;
  }

  /** Brings a recording's picture at a time (seconds) to the front, once it is there. @param {Api.Recording} entry */
  async #cue(entry, time, place) {
    this.#handing = false;
    // An open one may have grown since.
    const isOver = this.#entry?.state === "recording" && !(time < this.video.duration - 0.1);
    const isStale = this.#isStale;
    this.#isStale = false;
    if (same(this.#entry, entry) && this.video.readyState > 0 && !this.video.error && !isOver && !isStale) {
      this.video.currentTime = time;
      return this.#ready(this.video, place);
    }
    const fresh = entry.state === "recording" ? ((await this.#reel.entry(entry.camera, entry.number)) ?? entry) : entry;
    if (place !== this.#place) throw abort();
    const [front, other] = this.#videos;
    if (!same(this.#after, entry) || isStale) {
      this.#after = null;
      // In the address: WebKit stands still where currentTime is set before the file's head is there.
      other.src = addressOf(fresh) + (time > 0 ? `#t=${Math.min(time, Math.max(0, fresh.duration_ms / 1000 - 0.1))}` : "");
      other.load();
      this.#carry();
    } else if (time > 0.05) other.currentTime = time;
    const before = this.#entry;
    if (!before) {
      // Nothing to stand before it meanwhile.
      this.#bring(fresh);
      return this.#ready(this.video, place);
    }
    front.pause();
    await this.#ready(other, place, fresh);
    this.#bring(fresh);
  }

  /** The other element comes to the front, with that recording. */
  #bring(entry) {
    this.#videos.reverse();
    const [video, other] = this.#videos;
    video.className = "front";
    other.className = "";
    // Where it floats above other windows, what follows does too.
    if (document.pictureInPictureElement === other) video.requestPictureInPicture().catch(() => {});
    unload(other);
    this.#entry = entry;
    this.#after = null;
    this.#handing = false;
    $("player").classList.remove("nothing");
    this.#carry();
    say($("picture-error"), "");
  }

  /** Until a picture is there. @returns {Promise<void>} */
  #ready(video, place, entry = this.#entry) {
    return new Promise((done, failed) => {
      const kinds = ["loadeddata", "seeked", "canplay", "error", "emptied"];
      const end = (outcome) => {
        clearTimeout(timer);
        for (const kind of kinds) video.removeEventListener(kind, look);
        outcome === undefined ? done() : failed(outcome);
      };
      const look = (event) => {
        if (place !== this.#place) end(abort());
        else if (event?.type === "error" || video.error) {
          this.#failed(entry, video);
          end(abort());
        } else if (video.readyState >= 2 && !video.seeking) {
          this.#hasPicture = true;
          this.#damaged = 0;
          end();
        }
      };
      const timer = setTimeout(() => end(new Error(t`The recording does not come: try again`)), PICTURE_MS);
      for (const kind of kinds) video.addEventListener(kind, look);
      look();
    });
  }

  #play() {
    this.video.play().catch((error) => {
      if (error.name !== "NotAllowedError") return;
      if (this.#isMuted || this.video.muted) return this.#on.state();
      // Sound wants a click first; pictures mostly do not.
      this.video.muted = true;
      this.video.play().catch(() => this.#on.state());
      say($("player-note"), t`Silent, as the browser wants it. Press M for sound`);
      this.#isMuted = true;
      this.#on.state();
    });
  }

  #show() {
    this.#on.time();
    if (!this.#isScrubbing && this.#asked === null) this.#prepare();
  }

  /** Loads what comes next, when what plays is loaded or nearly over. */
  async #prepare() {
    const { video } = this;
    /** @type {any} */
    const entry = this.#entry;
    const { buffered, duration } = video;
    // What is still written may have grown when its end is reached.
    if (this.#after || !duration || video.seeking || entry.state === "recording") return;
    const loaded = buffered.length && buffered.end(buffered.length - 1) > duration - 0.5;
    if (!loaded && duration - video.currentTime > AHEAD_S) return;
    this.#after = NOTHING;
    const after = await this.#reel.next(entry).catch(() => null);
    // Looked for again when the end is reached.
    if (this.#entry !== entry || this.#after !== NOTHING || !after) return;
    this.#after = after;
    const [, other] = this.#videos;
    other.src = addressOf(after);
    other.load();
    this.#approach();
  }

  /** Near the end every frame counts: starting takes a moment, so it begins just before. */
  #approach() {
    const entry = this.#entry;
    const step = () => {
      const { video } = this;
      if (this.#entry !== entry || !this.#after || this.#handing) return;
      const rest = (video.duration - video.currentTime) / video.playbackRate;
      if (!video.paused && rest < LEAD_S) return this.#handOver();
      if (rest > 2 || video.paused) setTimeout(step, 500);
      else requestAnimationFrame(step);
    };
    step();
  }

  #handOver() {
    const [, other] = this.#videos;
    if (this.#after === NOTHING || other.readyState < 3) return;
    this.#handing = true;
    this.#carry();
    other.play().catch(() => {
      this.#handing = false;
    });
    // It lies below until the last picture has had its time.
    if (this.video.ended) this.#ended();
  }

  /** Somebody pauses or seeks away in the very moment of handing over. */
  #takeBack() {
    if (!this.#handing) return;
    const [, other] = this.#videos;
    this.#handing = false;
    other.pause();
    other.currentTime = 0;
    this.#approach();
  }

  async #ended() {
    /** @type {any} */
    const entry = this.#entry;
    if (this.#handing) {
      const after = this.#after;
      this.#bring(after);
      if (!this.#wantsPlay) this.pause();
      this.#gap(entry, after);
      return this.#on.settled();
    }
    const end = this.video.currentTime;
    const place = this.#place;
    try {
      // It grew, or was closed, since it was opened.
      if (entry.state === "recording") {
        const now = await this.#reel.entry(entry.camera, entry.number);
        if (this.#entry !== entry || place !== this.#place) return;
        if (now?.state === "recording" && this.#now() - entry.start_ms - end * 1000 < EDGE_MS) return this.#on.end();
        if (now && now.duration_ms / 1000 > end + GROWN_S) return await this.#follow(now, end);
      }
      const next = await this.#reel.next(entry);
      if (this.#entry !== entry || place !== this.#place || !this.video.ended) return;
      if (!next) return this.#on.end();
      await this.#follow(next, 0);
      this.#gap(entry, next);
    } catch (problem) {
      if (problem.status === 0 && this.#entry === entry) this.#lose(entry.camera, entry.start_ms + end * 1000);
      this.#say(problem);
    }
  }

  async #follow(entry, time) {
    const place = (this.#place = {});
    await this.#cue(entry, time, place);
    this.#play();
    this.#on.settled();
  }

  /** Says what was passed over between two recordings. @param {Api.Recording} entry @param {Api.Recording} next */
  #gap(entry, next) {
    const ms = next.start_ms - endOf(entry);
    if (ms > SKIPPED_MS && entry.clock_trusted === next.clock_trusted) this.#skipped(ms);
  }

  #skipped(ms) {
    this.note(t`Skipped ${span(ms)}: it goes on at ${clock(this.#entry?.start_ms ?? 0)}`);
  }

  /** Says something for some seconds, whatever the video does meanwhile. @param {string} text */
  note(text) {
    say($("player-note"), text);
    this.#noteUntil = performance.now() + NOTE_MS;
    setTimeout(() => this.#clear(), NOTE_MS + 50);
  }

  #noteUntil = 0;

  #clear() {
    if (performance.now() >= this.#noteUntil) say($("player-note"), "");
  }

  /** @param {Api.Recording | null} entry */
  #failed(entry, video = this.video) {
    if (!entry) return;
    const name = codec(entry.codec ?? "");
    const decodes = !entry.mime || video.canPlayType(entry.mime);
    if (decodes && video.error && this.#wantsPlay && !this.#isScrubbing && this.#damaged < DAMAGED_MAX) return this.#passOver(entry, video);
    const problem = video.error?.message || t`it did not come`;
    const why = !decodes ? t`This browser cannot play ${name}: download it and play it elsewhere`
      : entry.state === "damaged" ? t`This recording is damaged: it cannot be played`
        : t`This recording cannot be played: ${problem}`;
    // Live would stand there as if it were of that time.
    this.#hasPicture = true;
    say($("player-note"), "");
    say($("picture-error"), why);
    if (!decodes) {
      const link = h("a", { href: `${addressOf(entry)}?download`, download: "" }, t`Download`);
      $("picture-error").append(". ", link);
    }
  }

  /** Behind some seconds that cannot be decoded, the rest of the recording may be whole; else the next one is. */
  async #passOver({ camera, number, start_ms, duration_ms }, video) {
    this.#damaged += 1;
    const place = this.#place;
    const { code } = video.error;
    const isInside = code === MediaError.MEDIA_ERR_DECODE;
    const from = this.#asked === null ? video.currentTime * 1000 : Math.max(0, this.#asked - start_ms);
    try {
      // A network that is gone looks like a file that is damaged.
      const isThere = isInside || (await this.#reel.entry(camera, number));
      if (place !== this.#place) return;
      const to = code === MediaError.MEDIA_ERR_NETWORK && isThere ? from
        : isInside ? Math.max(from + 1000, Math.min(from + DAMAGED_MS, duration_ms)) : duration_ms;
      await this.show(camera, start_ms + to);
      if (this.#entry && to > from) this.#skipped(to - from);
    } catch (problem) {
      if (problem.status === 0 && place === this.#place) this.#lose(camera, start_ms + from);
      this.#say(problem);
    }
  }

  #say(problem) {
    if (problem.name !== "AbortError") say($("picture-error"), problem.message);
  }

  #carry() {
    for (const video of this.#videos) {
      video.defaultPlaybackRate = video.playbackRate = this.#speed;
      video.muted = this.#isMuted;
    }
  }
}

const abort = () => new DOMException("another place is asked for", "AbortError");

/** @type {(entry: Api.Recording) => string} */
export const addressOf = (entry) => `/recordings/${entry.camera}/${entry.file}`;

const same = (a, b) => a && b && a.camera === b.camera && a.file === b.file;

function unload(video) {
  video.pause();
  if (!video.getAttribute("src")) return;
  video.removeAttribute("src");
  video.load();
}

/** So near to now it is live. */
export const EDGE_MS = 2500;
const NOTHING = {};
/** What a recording must have grown by to be opened again. */
const GROWN_S = 0.3;
/** Before the end, the next recording is loaded at the latest. */
const AHEAD_S = 15;
/** What it takes from play() to the first moving picture. */
const LEAD_S = 0.03;
/** A gap that is worth a word. */
const SKIPPED_MS = 2000;
const NOTE_MS = 4000;
/** So much is passed over at a time where a recording cannot be decoded, so often without a picture: a minute. */
const DAMAGED_MS = 5000;
const DAMAGED_MAX = 12;
const PICTURE_MS = 20_000;
const STANDS_TICKS = 3;
