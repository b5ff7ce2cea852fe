// The player: one recording after the other, without a gap. Two <video> elements take turns: while
// one plays, the other loads what comes next, and shows its first picture when the first ends.

import { $, enable, onclick, say } from "./dom.js";
import { clock, codec, day, file, length } from "./words.js";

export class Player {
  #videos = [...$("player").querySelectorAll("video")];
  #entry = null;
  /** What the other element holds. */
  #after = null;
  #handing = false;
  #recordings;
  #onEnd;
  #onShow;

  /** `recordings.entry(camera, number)`, `.next(entry)`, `.previous(entry)`: an entry of the list, or null; `.isDoubtful(entry)`: its time. */
  constructor(recordings, { onShow, onEnd, onDelete }) {
    this.#recordings = recordings;
    this.#onShow = onShow;
    this.#onEnd = onEnd;
    const error = $("picture-error");
    for (const video of this.#videos) {
      video.addEventListener("ended", () => video === this.video && this.#ended());
      video.addEventListener("error", () => video === this.video && this.#failed());
      for (const kind of ["timeupdate", "durationchange", "play", "pause", "seeking", "progress"]) {
        video.addEventListener(kind, () => video === this.video && this.#show());
      }
      video.addEventListener("seeking", () => video === this.video && this.#takeBack());
      video.addEventListener("waiting", () => video === this.video && this.#entry && say($("player-note"), "Loading…"));
      for (const kind of ["playing", "seeked", "canplay"]) {
        video.addEventListener(kind, () => video === this.video && say($("player-note"), ""));
      }
      video.addEventListener("click", () => this.toggle());
    }
    onclick($("play"), error, () => this.toggle());
    onclick($("previous"), error, () => this.step("previous"));
    onclick($("next"), error, () => this.step("next"));
    onclick($("speed"), error, () => this.#changeSpeed());
    onclick($("player-delete"), error, () => onDelete(this.#entry));
    $("seek").addEventListener("input", () => this.seek(Number($("seek").value)));
  }

  get video() {
    return this.#videos[0];
  }

  get entry() {
    return this.#entry;
  }

  /** Plays a recording from its beginning, or from a time. */
  async open(camera, number, time = 0) {
    if (this.#entry?.camera === camera && this.#entry.number === number) return;
    this.#load(await this.#recordings.entry(camera, number), time);
  }

  close() {
    for (const video of this.#videos) unload(video);
    this.#entry = this.#after = null;
    this.#handing = false;
    say($("player-note"), "");
  }

  toggle() {
    if (this.video.paused) this.#play();
    else this.video.pause();
  }

  seek(time) {
    const { video } = this;
    if (Number.isFinite(video.duration)) video.currentTime = Math.min(Math.max(0, time), video.duration);
  }

  async step(direction) {
    const entry = this.#entry && (await this.#recordings[direction](this.#entry));
    if (entry) this.#load(entry, 0);
    else if (direction === "next") this.#onEnd();
  }

  /** The list changed: perhaps there is something to go on with now. */
  changed() {
    if (this.#after === NOTHING) this.#after = null;
  }

  /** A key that the page did not use otherwise; false where it is none of the player's. */
  key(key) {
    const { video } = this;
    const actions = {
      " ": () => this.toggle(),
      ArrowLeft: () => this.seek(video.currentTime - SEEK_S),
      ArrowRight: () => this.seek(video.currentTime + SEEK_S),
      Home: () => this.seek(0),
      End: () => this.seek(video.duration - 1),
      n: () => this.step("next"),
      p: () => this.step("previous"),
    };
    actions[key]?.();
    return key in actions;
  }

  #load(entry, time) {
    if (!entry) throw new Error("This recording is not there any more");
    this.#handing = false;
    if (time === 0 && same(this.#after, entry)) {
      this.#swap();
      this.#play();
      return;
    }
    unload(this.#videos[1]);
    this.#after = null;
    this.#entry = entry;
    this.video.className = "front";
    // In the address: WebKit stands still where currentTime is set before the file's head is there.
    this.video.src = address(entry) + (time > 0 ? `#t=${time}` : "");
    this.#carrySpeed();
    this.#begin();
    this.#play();
  }

  /** What is shown of the recording, once it is the one that plays. */
  #begin() {
    const { camera, number, start_ms } = this.#entry;
    const when = start_ms ? `${day(start_ms)}, ${clock(start_ms)}` : `Recording ${file(number)}`;
    say($("player-title"), this.#recordings.isDoubtful(this.#entry) ? `${when} (clock not set)` : when);
    $("player-download").href = `${address(this.#entry)}?download`;
    enable($("player-delete"), this.#entry.state !== "recording");
    say($("picture-error"), "");
    this.#show();
    this.#onShow(camera, number);
  }

  #play() {
    this.video.play().catch((error) => {
      if (error.name === "NotAllowedError") this.#show();
    });
  }

  #show() {
    const { video } = this;
    if (!this.#entry) return;
    const seconds = video.duration || this.#entry.duration_ms / 1000;
    const seek = $("seek");
    seek.max = seconds;
    if (!video.seeking) seek.value = video.currentTime;
    const text = `${length(video.currentTime * 1000)} of ${length(seconds * 1000)}`;
    seek.setAttribute("aria-valuetext", text);
    seek.style.setProperty("--done", `${(100 * video.currentTime) / seconds || 0}%`);
    say($("player-time"), text);
    say($("play"), video.paused ? "Play" : "Pause");
    this.#prepare();
  }

  /** Loads what comes next, when what plays is loaded or nearly over. */
  async #prepare() {
    const { video } = this;
    const entry = this.#entry;
    const { buffered, duration } = video;
    // What is still written may have grown when its end is reached.
    if (this.#after || !duration || video.seeking || entry.state === "recording") return;
    const loaded = buffered.length && buffered.end(buffered.length - 1) > duration - 0.5;
    if (!loaded && duration - video.currentTime > AHEAD_S) return;
    this.#after = NOTHING;
    const after = await this.#recordings.next(entry).catch(() => null);
    if (this.#entry !== entry || this.#after !== NOTHING) return;
    if (!after || after.state === "damaged") {
      // Looked for again when the end is reached.
      return;
    }
    this.#after = after;
    const [, other] = this.#videos;
    other.src = address(after);
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
    this.#carrySpeed();
    other.play().catch(() => {
      this.#handing = false;
    });
    // It lies below until the last picture has had its time.
    if (this.video.ended) this.#ended();
  }

  /** Somebody seeks away in the very moment of handing over. */
  #takeBack() {
    if (!this.#handing) return;
    const [, other] = this.#videos;
    this.#handing = false;
    other.pause();
    other.currentTime = 0;
    this.#approach();
  }

  #swap() {
    this.#videos.reverse();
    const [video, other] = this.#videos;
    video.className = "front";
    other.className = "";
    unload(other);
    this.#entry = this.#after;
    this.#after = null;
    this.#handing = false;
    this.#carrySpeed();
    this.#begin();
  }

  async #ended() {
    if (this.#handing) return this.#swap();
    const entry = this.#entry;
    const end = this.video.currentTime;
    try {
      // It grew, or was closed, since it was opened.
      if (entry.state === "recording") {
        const now = await this.#recordings.entry(entry.camera, entry.number, true);
        if (this.#entry !== entry) return;
        if (now && now.duration_ms / 1000 > end + GROWN_S) {
          this.#entry = null;
          return this.#load(now, end);
        }
      }
      const next = await this.#recordings.next(entry);
      if (this.#entry === entry && this.video.ended) {
        if (next) this.#load(next, 0);
        else this.#onEnd();
      }
    } catch (problem) {
      say($("picture-error"), problem.message);
    }
  }

  #failed() {
    const entry = this.#entry;
    if (!entry) return;
    const name = codec(entry.codec ?? "");
    const decodes = !entry.mime || this.video.canPlayType(entry.mime);
    const why = !decodes ? `This browser can not play ${name}: download it and play it elsewhere`
      : entry.state === "damaged" ? "This recording is damaged: it can not be played"
        : `This recording can not be played: ${this.video.error?.message || "it did not come"}`;
    say($("player-note"), "");
    say($("picture-error"), why);
  }

  #changeSpeed() {
    this.#speed = SPEEDS[(SPEEDS.indexOf(this.#speed) + 1) % SPEEDS.length];
    say($("speed"), `${this.#speed}×`);
    $("speed").setAttribute("aria-label", `Speed ${this.#speed}×`);
    this.#carrySpeed();
  }

  #speed = 1;

  #carrySpeed() {
    for (const video of this.#videos) video.defaultPlaybackRate = video.playbackRate = this.#speed;
  }
}

const address = (entry) => `/recordings/${entry.camera}/${entry.file}`;

const same = (a, b) => a && b && a.camera === b.camera && a.file === b.file;

function unload(video) {
  video.pause();
  if (!video.getAttribute("src")) return;
  video.removeAttribute("src");
  video.load();
}

const NOTHING = {};
/** What a recording must have grown by to be opened again. */
const GROWN_S = 0.3;
const SEEK_S = 5;
const SPEEDS = [1, 2, 4, 8, 0.5];
/** Before the end, the next recording is loaded at the latest. */
const AHEAD_S = 15;
/** What it takes from play() to the first moving picture. */
const LEAD_S = 0.03;
