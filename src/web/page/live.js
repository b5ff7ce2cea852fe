// One camera's live picture: fragments from a WebSocket into Media Source Extensions; where these wait for
// an IDR that never comes, as a file without an end; where the browser cannot decode them, snapshots.

import { h, say } from "./dom.js";
import { absolute } from "./api.js";
import { Fragments } from "./fragments.js";
import { clock, codec } from "./words.js";
import { t } from "./lang.js";

const Source = window.ManagedMediaSource ?? window.MediaSource;

export class Live {
  /** Shown or not, by whoever owns this; a picture is fetched only while it is. */
  #shown = false;
  #inView = false;
  #now = 0;
  /** It was said that the picture stands. */
  #stands = false;
  /** @type {Api.Camera | null} */
  #camera = null;
  /** @type {WebSocket | null} */
  #socket = null;
  /** The server said something on this connection. */
  #told = false;
  /** @type {MediaSource | null} */
  #source = null;
  /** @type {SourceBuffer | null} */
  #buffer = null;
  #queue = [];
  #fragments = new Fragments();
  #timer = 0;
  #delay = 0;
  #failures = 0;
  /** Behind the newest frame, in seconds; grows where the network stutters. */
  #distance = DISTANCE_MIN;
  #fresh = true;
  /** When the picture last moved; later than now while it is known why it does not. */
  #moved = 0;
  #time = 0;
  /** Fragments of this stream that were handed over while none of them was taken for a picture. */
  #unseen = 0;
  /** Media Source Extensions begin at an IDR alone, and this camera sends none. */
  #lacksIdr = false;
  /** The video is a file without an end. */
  #isFile = false;
  /** Why this browser cannot show the video, or never gets it. */
  #undecodable = "";
  #gaveUp = Infinity;
  /** Its sound is fetched and heard. */
  #isHeard = false;
  /** Times in a row that no WebSocket came about, though the server was there. */
  #barred = 0;

  constructor(name) {
    this.name = name;
    this.video = h("video", { muted: true, playsInline: true, disableRemotePlayback: true, tabIndex: -1 });
    this.image = h("img", { alt: "", hidden: true });
    this.note = h("p", { className: "note", role: "status", hidden: true });
    this.label = h("span");
    this.dot = h("span", { className: "dot" });
    this.element = h("figure", { className: "tile" }, this.video, this.image, this.note,
      h("figcaption", {}, this.dot, this.label));
    this.video.addEventListener("waiting", () => {
      this.#distance = Math.min(DISTANCE_MAX, this.#distance + 0.1);
    });
    this.video.addEventListener("playing", () => {
      this.#failures = 0;
      say(this.note, "");
    });
    this.video.addEventListener("error", () => this.#failed());
    this.video.addEventListener("timeupdate", () => this.#isFile && this.#followFile());
    this.video.addEventListener("ended", () => this.#isFile && this.#retry());
    // Where starting by itself is forbidden, as in a phone's low power mode.
    this.element.addEventListener("click", () => {
      this.video.muted = !this.#isHeard;
      this.#play();
    });
    new IntersectionObserver((seen) => {
      this.#inView = seen[seen.length - 1].isIntersecting;
      this.update();
    }).observe(this.element);
  }

  /** `camera`: its entry of the status. `now`: the recorder's time. @param {Api.Camera | null} camera */
  set(camera, shown, now) {
    if (camera && camera.label !== this.#camera?.label) {
      this.image.alt = t`Snapshot of ${camera.label}`;
      this.video.setAttribute("aria-label", t`Live picture of ${camera.label}`);
    }
    if (camera?.mime && camera.mime !== this.#camera?.mime) this.#hope();
    this.#camera = camera;
    this.#shown = shown;
    this.#now = now;
    this.update();
  }

  /** What was given up may succeed now: the camera sends something else, or some minutes have passed. */
  #hope() {
    this.#undecodable = "";
    this.#lacksIdr = false;
    this.#failures = this.#barred = 0;
    this.#gaveUp = Infinity;
  }

  /** Lets its sound be heard, and fetches it only then. */
  hear(isHeard) {
    if (isHeard === this.#isHeard) return;
    this.#isHeard = isHeard;
    this.video.muted = !isHeard;
    if (this.#socket || this.#isFile) this.#connect();
  }

  get #query() {
    return this.#isHeard ? "?sound=1" : "";
  }

  /** Connects or lets go, as it must be now. */
  update() {
    const isLive = this.#camera?.state === "live" || Boolean(this.#camera?.no_live);
    const looked = this.#shown && this.#inView && !document.hidden;
    const isConnected = this.#socket !== null || this.#isFile;
    this.#tell(isLive, looked, isConnected);
    const wanted = isLive && looked;
    if (isConnected && performance.now() - this.#moved > STALL_MS) return this.#retry();
    if (wanted === (isConnected || this.#timer !== 0)) return;
    if (wanted) this.#connect();
    else this.#close();
  }

  /** A picture that stands is dimmed, and says since when. */
  #tell(isLive, looked, isConnected) {
    const stood = isLive && looked && isConnected ? performance.now() - this.#moved : 0;
    const hasPicture = this.video.readyState >= 2 && !this.video.hidden;
    const isStopped = hasPicture && (stood > STANDS_MS || (!isLive && this.#camera !== null));
    this.element.classList.toggle("stopped", isStopped);
    if (!this.#camera) return;
    const { state, last_error: error, last_frame_ms: last } = this.#camera;
    if (!isLive) {
      const why = state === "off" ? t`the camera is off` : error || t`connecting to the camera…`;
      say(this.note, isStopped ? t`Stopped at ${clock(last)}: ${why}` : state === "off" ? t`The camera is off` : error ? t`No picture: ${error}` : t`Connecting to the camera…`);
    } else if (isStopped) say(this.note, t`Stopped at ${clock(this.#now - stood)}: nothing comes from the camera`);
    this.#stands = isStopped && isLive;
  }

  /** Why there are snapshots in place of video. */
  get #instead() {
    return this.#camera?.no_live ?? this.#undecodable;
  }

  #connect() {
    this.#close();
    this.#told = false;
    if (performance.now() - this.#gaveUp > HOPE_MS) this.#hope();
    if (this.#instead) return this.#snapshot();
    if (this.#lacksIdr) return this.#openFile();
    if (this.video.readyState < 2) say(this.note, t`Waiting for the picture…`);
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}/live/${this.name}${this.#query}`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      this.#told = true;
      this.#barred = 0;
      if (typeof data === "string") this.#text(data);
      else this.#append(data);
    };
    socket.onclose = () => this.#retry();
    this.#socket = socket;
    this.#moved = performance.now();
  }

  #close() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (this.#socket) {
      this.#socket.onclose = this.#socket.onmessage = null;
      this.#socket.close();
    }
    this.#socket = this.#source = this.#buffer = null;
    this.#queue = [];
    if (!this.#isFile) return;
    this.#isFile = false;
    this.video.removeAttribute("src");
    this.video.load(); // lets go of the connection
  }

  #retry() {
    this.#close();
    this.#delay = Math.min(DELAY_MAX_MS, this.#delay * 2 || 500);
    const told = this.#told;
    say(this.note, told ? t`The live picture stopped. Trying again…` : t`There is no live picture now. Trying again…`);
    const mine = (this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.update();
    }, this.#delay));
    if (!told) this.#ask(mine);
  }

  /** Why no WebSocket comes about is not told to pages; the same address says it to those who just ask. */
  async #ask(timer) {
    let status = 0;
    let error = "";
    try {
      const response = await fetch(absolute(`/live/${this.name}`), { cache: "no-store", signal: AbortSignal.timeout(5000) });
      status = response.status;
      ({ error } = await response.json());
    } catch {
      // The events say that the server is gone.
    }
    if (status === 426) {
      this.#barred += 1;
      // It would have one: something in between does not let it through.
      if (this.#barred >= BARRED_MAX && !this.#undecodable) {
        this.#giveUp(t`A proxy in between lets no live picture through (WebSocket): snapshots instead`);
      }
    } else if (error && this.#timer === timer) {
      say(this.note, t`There is no live picture now: ${error}. Trying again…`);
      // As many as may be are watched already: a still one now and then is better than none.
      await this.#still(timer).catch(() => {});
    }
  }

  /** A MIME type, or words for the user. */
  #text(text) {
    if (!text.startsWith("video/")) {
      this.#moved = Infinity;
      say(this.note, text.replace(/^\w+: */, ""));
    } else if (Source?.isTypeSupported(text)) {
      this.#open(text);
    } else {
      this.#giveUp();
    }
  }

  /** A new stream, or one whose parameters changed. */
  #open(mime) {
    const source = new Source();
    this.#source = source;
    this.#buffer = null;
    this.#queue = [];
    this.#fresh = true;
    this.#unseen = 0;
    this.#fragments = new Fragments();
    URL.revokeObjectURL(this.video.src);
    this.video.src = URL.createObjectURL(source);
    source.addEventListener("sourceopen", () => {
      if (source !== this.#source) return;
      const buffer = source.addSourceBuffer(mime);
      buffer.addEventListener("updateend", () => {
        if (source !== this.#source) return;
        if (!buffer.buffered.length && ++this.#unseen > UNSEEN_MAX) {
          this.#lacksIdr = true;
          return this.#connect();
        }
        this.#follow(buffer);
        this.#feed();
      });
      this.#buffer = buffer;
      this.#feed();
    }, { once: true });
    this.image.hidden = true;
    this.video.hidden = false;
    this.#play();
  }

  /** Players of files begin at a recovery point as well. */
  #openFile() {
    this.#isFile = this.#told = true;
    this.#moved = performance.now();
    this.video.src = absolute(`/live/${this.name}.mp4${this.#query}`);
    this.image.hidden = true;
    this.video.hidden = false;
    this.#play();
  }

  #followFile() {
    const { video } = this;
    if (video.currentTime === this.#time) return;
    this.#time = video.currentTime;
    this.#goes();
    this.#delay = 0;
    const { buffered } = video;
    const behind = buffered.length ? buffered.end(buffered.length - 1) - video.currentTime : 0;
    video.playbackRate = behind > JUMP_S ? 1.1 : 1;
  }

  #goes() {
    this.#moved = performance.now();
    if (!this.#stands) return;
    this.#stands = false;
    this.element.classList.remove("stopped");
    say(this.note, "");
  }

  #append(data) {
    if (!this.#source) return;
    this.#delay = 0;
    const piece = this.#fragments.take(data);
    if (!piece) return;
    this.#queue.push(piece);
    // The browser does not take them: begin anew at a key frame.
    if (this.#queue.length > QUEUE_MAX) return this.#retry();
    this.#feed();
  }

  #feed() {
    const buffer = this.#buffer;
    if (!buffer || buffer.updating || this.#source?.readyState !== "open") return;
    const { buffered } = buffer;
    try {
      if (buffered.length && buffered.end(buffered.length - 1) - buffered.start(0) > KEEP_S) {
        buffer.remove(0, buffered.end(buffered.length - 1) - KEEP_S / 2);
      } else if (this.#queue.length) {
        buffer.appendBuffer(this.#queue[0]);
        this.#queue.shift();
      }
    } catch ({ name }) {
      // The buffer is full: what was shown makes room. If nothing was shown yet, less of it would not help.
      const shown = this.video.currentTime - KEPT_S;
      if (name === "QuotaExceededError" && buffered.length && buffered.start(0) < shown) buffer.remove(0, shown);
      else this.#failed();
    }
  }

  /** Stays close behind the newest frame. */
  #follow({ buffered }) {
    if (!buffered.length || this.#queue.length > 2) return;
    const { video } = this;
    if (video.currentTime !== this.#time) this.#goes();
    this.#time = video.currentTime;
    const first = lastStart(buffered);
    const end = buffered.end(buffered.length - 1);
    const behind = end - video.currentTime;
    if (behind > JUMP_S || video.currentTime < first || (this.#fresh && behind > this.#distance + SLACK_S)) {
      video.currentTime = Math.max(first, end - this.#distance);
    }
    this.#fresh = false;
    video.playbackRate = behind > this.#distance + SLACK_S ? 1.1 : 1;
    if (video.paused) this.#play();
  }

  #play() {
    if (!this.video.src || this.#undecodable) return;
    this.video.play().catch((error) => {
      if (error.name !== "NotAllowedError") return;
      if (this.video.muted) return say(this.note, t`Touch the picture to start it`);
      // Sound wants a click, pictures mostly do not.
      this.video.muted = true;
      this.#play();
    });
  }

  /** What came could not be decoded: once more, then snapshots. */
  #failed() {
    if (!this.#socket && !this.#isFile) return;
    this.#failures += 1;
    if (this.#failures < FAILURES_MAX) this.#retry();
    else this.#giveUp();
  }

  #giveUp(why) {
    const name = codec(this.#camera?.codec ?? t`this video`);
    why ??= t`This browser cannot show ${name} live: snapshots instead`;
    this.#undecodable = why;
    this.#gaveUp = performance.now();
    this.#close();
    this.#connect();
  }

  async #snapshot() {
    const mine = (this.#timer = setTimeout(() => {}, 0));
    let note = this.#instead;
    try {
      const age = await this.#still(mine);
      if (age > 3000) note = t`${note} (this one is ${Math.round(age / 1000)} s old)`;
    } catch ({ message, name }) {
      note = name === "NoSnapshot" ? t`${note.split(":")[0]}, and there are no snapshots: ${message}` : t`${note.split(":")[0]}; no snapshot came`;
    }
    say(this.note, note);
    if (this.#timer === mine) {
      this.#timer = setTimeout(() => {
        this.#timer = 0;
        this.update();
      }, SNAPSHOT_MS);
    }
  }

  /** Shows the newest snapshot in place of the video, unless that timer was replaced meanwhile; how old it is. */
  async #still(timer) {
    const response = await fetch(absolute(`/snapshot/${this.name}.jpg`), { cache: "no-store", signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw Object.assign(new Error((await response.json()).error), { name: "NoSnapshot" });
    const bytes = await response.blob();
    if (this.#timer !== timer) return 0;
    const picture = URL.createObjectURL(bytes);
    URL.revokeObjectURL(this.image.src);
    this.image.src = picture;
    this.image.hidden = false;
    this.video.hidden = true;
    return Number(response.headers.get("Age-Ms"));
  }
}

/** Whether a browser plays this sound beside live video. */
export const playsLive = (sound) => Boolean(SOUNDS[sound] && Source?.isTypeSupported(`audio/mp4; codecs="${SOUNDS[sound]}"`));

const SOUNDS = { AAC: "mp4a.40.2", "HE-AAC": "mp4a.40.5", Opus: "opus" };

/** Where the last range begins; holes as short as frames are none. */
function lastStart(buffered) {
  let at = buffered.length - 1;
  while (at > 0 && buffered.start(at) - buffered.end(at - 1) < HOLE_S) at -= 1;
  return buffered.start(at);
}

const HOLE_S = 0.5;
/** Seconds behind the newest frame. */
const DISTANCE_MIN = 0.25;
const DISTANCE_MAX = 0.7;
/** So much more than that is let be. */
const SLACK_S = 0.15;
/** Further behind than this is caught up by a jump, less by playing a little faster. */
const JUMP_S = 1.5;
/** Seconds of old video that stay in the browser's memory. */
const KEEP_S = 12;
/** What stays where the browser has room for less. */
const KEPT_S = 1;
/** Fragments, one a frame, that wait for the browser. */
const QUEUE_MAX = 300;
/** The first is a key frame: pictures that are refused so often will be for ever. */
const UNSEEN_MAX = 50;
const FAILURES_MAX = 3;
/** A decoder that was in use, or lost as the computer slept, is tried again after this. */
const HOPE_MS = 300_000;
/** So often the WebSocket is tried where a proxy may not know it. */
const BARRED_MAX = 2;
/** Connected, but nothing moves: connect again. */
const STALL_MS = 15_000;
/** A picture that has not moved for so long is said to stand. */
const STANDS_MS = 4000;
const DELAY_MAX_MS = 10_000;
const SNAPSHOT_MS = 1000;
