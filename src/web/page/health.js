// How it goes, in plain words: card, cameras, losses, memory, clock; and what changed last.

import { $, h, inPieces, onclick, say } from "./dom.js";
import { api } from "./api.js";
import { DAY_MS } from "./axis.js";
import { bytes, clock, day, sentence, span, video } from "./words.js";
import { t } from "./lang.js";

export class Health {
  #changes = [];
  #labels = new Map();
  /** What was lost when last looked at, and when it was last more than before. @type {number | null} */
  #lost = null;
  #lostAt = -Infinity;

  /** `onClock()`: it was set. */
  constructor(onClock) {
    onclick($("set-clock"), $("clock").querySelector(".error"), async () => {
      await api("POST", "/api/clock", { now_ms: Date.now() });
      await onClock();
    });
    const details = $("health-details");
    details.addEventListener("toggle", () => details.open && details.scrollIntoView({ block: "nearest" }));
  }

  /** All of them, oldest first. */
  changes(list) {
    this.#changes = list.slice(-CHANGES_MAX);
    const items = this.#changes.map(({ at_ms, camera, text, kind }) => h("li", {},
      h("time", { dateTime: new Date(at_ms).toISOString(), title: day(at_ms) }, clock(at_ms)), " ",
      h("b", {}, camera ? this.#labels.get(camera) ?? camera : kind), " ", text));
    $("changes").replaceChildren(...items.reverse());
  }

  change(one) {
    this.changes([...this.#changes, one]);
  }

  /** `age`: milliseconds since the status came. @param {Api.Status} status */
  show(status, age) {
    this.#labels = new Map(status.cameras.map(({ name, label }) => [name, label]));
    this.#later(status, age);
  }

  #later = inPieces((status, age) => this.#tell(status, age));

  /** @param {Api.Status} status */
  #tell(status, age) {
    /** @type {any[]} */
    const facts = [card(status), ...status.cameras.map((camera) => oneCamera(camera, status)), stored(status, age),
      copies(status), this.#losses(status), memory(status), time(status, age)].filter(Boolean);
    const list = $("facts");
    while (list.children.length > facts.length) list.lastChild.remove();
    facts.forEach(([name, level, text], index) => {
      const item = list.children[index] ?? list.appendChild(h("div", {}, h("dt"), h("dd")));
      item.className = level;
      say(item.firstChild, name);
      say(item.lastChild, text);
    });
    const bad = facts.filter(([, level]) => level === "bad");
    const worst = bad[0] ?? facts.find(([, level]) => level === "warn");
    const said = worst && `${worst[0]}: ${worst[2]}`;
    const room = facts[0][1] === "good" ? facts[0][2] : "";
    say($("verdict"), worst ? (bad.length > 1 ? t`${said} And ${bad.length - 1} more.` : said) : `${t`All is well.`} ${room}`);
    $("verdict-dot").className = `dot ${worst?.[1] ?? "good"}`;
    $("clock").hidden = status.clock.kept_by !== "nobody";
    say($("about"), t`smolnvr ${status.version}, running for ${span(status.uptime_s * 1000)}`);
  }

  /** A warning for a while after something more was lost. @param {Api.Status} status */
  #losses({ cameras }) {
    const parts = [];
    let missing = 0;
    for (const [cause, [text, counts]] of Object.entries(LOSSES)) {
      const sum = cameras.reduce((total, { losses }) => total + (losses?.[cause] ?? 0), 0);
      if (sum) parts.push(text(sum));
      if (counts) missing += sum;
    }
    if (this.#lost !== null && missing > this.#lost) this.#lostAt = performance.now();
    this.#lost = missing;
    const level = performance.now() - this.#lostAt < LOSS_SHOWN_MS ? "warn" : missing ? "" : "good";
    return [t`Lost`, level, parts.length ? t`${parts.join(", ")} since the start.` : t`Nothing since the start.`];
  }
}

/** Why nothing can be stored, or null. @param {Api.Status} status */
export function cardTrouble({ storage }) {
  if (storage.state === "ok") return null;
  return sentence(storage.reason ?? CARD[storage.state] ?? storage.state);
}

/** The same in a few words. @param {Api.Status} status */
export const cardState = ({ storage: { state } }) => (state === "ok" ? null : CARD[state] ?? state);

/** The same, with what to do about it. @param {Api.Status} status */
export function cardHelp(status) {
  const trouble = cardTrouble(status);
  return trouble && `${trouble.replace(/\.$/, "")}. ${REMEDY[status.storage.state] ?? ""}`.trim();
}

/** Whether the board's clock and this device's are apart, so far as may matter. @param {Api.Clock} time */
export function clockDiffers({ now_ms, trusted }, age) {
  return clockOff(now_ms, age) >= (trusted ? CLOCK_OFF_MS : CLOCK_AGREES_MS);
}

/** What was recorded since then has the right time, whoever set the clock. @param {Api.Status} status */
export function agreesSince({ clock: time, uptime_s }, age) {
  return clockDiffers(time, age) ? Infinity : Math.floor(time.now_ms / 60_000 - uptime_s / 60) * 60_000;
}

const clockOff = (now_ms, age) => Math.abs(now_ms + age - Date.now());

/** @param {Api.Status} status */
function card(status) {
  const { storage } = status;
  const trouble = cardTrouble(status);
  if (trouble) return [t`Card`, storage.state === "released" ? "warn" : "bad", trouble];
  return [t`Card`, "good", room(status)];
}

/** How far back the card reaches in the long run, by what was recorded lately: of the camera that has least. @param {Api.Status} status */
function room({ storage, cameras }) {
  if (!storage.total_bytes) return t`There is a card.`;
  const days = cameras.map((camera) => camera.days_fit ?? Infinity).reduce((a, b) => Math.min(a, b), Infinity);
  if (days > YEARS) return t`The card holds years of recordings.`;
  if (days < Infinity) return t`The card holds about the last ${span(days * DAY_MS)}; then the oldest recordings make room.`;
  const kept = (storage.total_bytes * storage.keep_free_percent) / 100;
  return t`${bytes(Math.max(0, (storage.free_bytes ?? 0) - kept))} of room.`;
}

/** @param {Api.Camera} camera @param {Api.Status} status */
function oneCamera(camera, { clock: { now_ms }, cameras }) {
  const name = cameras.length > 1 ? camera.label : t`Camera`;
  const since = span(Math.max(0, now_ms - camera.since_ms));
  const why = camera.last_error ? `: ${camera.last_error}` : "";
  if (camera.ffmpeg) return byFfmpeg(camera, name, since, why);
  if (camera.state === "live") {
    if (camera.last_error) return [name, "bad", `${t`Connected for ${since}`}${why}.`];
    const idle = camera.recording || !camera.recording_wanted ? "" : ` ${t`But it is not being recorded.`}`;
    return [name, idle ? "warn" : "good", t`Live for ${since}, ${video(camera)}.` + idle];
  }
  if (camera.state === "off") return [name, "warn", `${t`Off for ${since}`}${why}.`];
  // A try that fails again is the same trouble.
  const dark = span(Math.max(0, now_ms - camera.last_frame_ms));
  return [name, "bad", `${t`No picture for ${dark}`}${why}.`];
}

/** One that FFmpeg records; while it does not, its last words say most. @param {any} camera */
function byFfmpeg({ state, ffmpeg, kbit_s }, name, since, why) {
  const tool = ffmpeg.tool ?? "FFmpeg";
  const again = ffmpeg.restarts ? t`, started again ${ffmpeg.restarts} times` : "";
  const said = ffmpeg.log.length ? ` ${t`It said: ${ffmpeg.log.join(" / ")}`}` : "";
  if (state === "live") return [name, "good", t`Recorded by ${tool} for ${since}, ${kbit_s} kbit/s${again}.` + said];
  if (state === "off") return [name, "", t`Not being recorded for ${since}${why}. It would be by ${tool}.`];
  return [name, "bad", t`Not recorded by ${tool} for ${since}${again}${why}.` + said];
}

/** @param {Api.Status} status */
function stored({ storage, cameras }, age) {
  const recording = cameras.some((camera) => camera.recording);
  if (!recording) return [t`Stored`, "", t`Nothing is being recorded.`];
  if (storage.durable_age_ms == null) return [t`Stored`, "", t`The first seconds are on their way to the card.`];
  const seconds = Math.round((storage.durable_age_ms + age) / 1000);
  return [t`Stored`, seconds > LATE_S ? "warn" : "good", t`Last frame safely on the card ${seconds} s ago.`];
}

/** To the store, where there is one and it was asked. @param {Pick<Api.Status, "archive">} status */
export function copies({ archive }) {
  if (!archive?.state) return null;
  const { reason, backlog, backlog_bytes } = archive;
  const left = backlog ? t`${backlog} recordings to send, ${bytes(backlog_bytes)}.` : "";
  if (reason) return [t`Copies`, "warn", `${sentence(reason)}. ${left}`.trim()];
  return [t`Copies`, "good", left || t`The store has all recordings.`];
}

/** @param {Api.Status} status */
function memory({ memory: m }) {
  const free = m.available_kb == null ? "" : t`, ${bytes(m.available_kb * 1024)} free on the board`;
  return [t`Memory`, "", t`${bytes(m.rss_kb * 1024)}, at most ${bytes(m.peak_kb * 1024)}${free}.`];
}

/** @param {Api.Status} status */
function time({ clock }, age) {
  if (!clockDiffers(clock, age)) {
    return clock.trusted ? null : [t`Clock`, "", t`It agrees with this device's, but nobody keeps it: give the board a time server (NTP), or set it here.`];
  }
  const off = span(clockOff(clock.now_ms, age));
  if (clock.trusted) return [t`Clock`, "warn", t`It differs from this device's by ${off}.`];
  return [t`Clock`, "warn", t`Not set: it differs from this device's by ${off}, and so do the times of new recordings. Give the board a time server (NTP), or set it here.`];
}

const CARD = {
  absent: t`There is no card`, "read-only": t`The card can only be read`, full: t`The card is full`,
  failing: t`The card fails`, released: t`The card is released: it can be taken out`,
};
const REMEDY = {
  absent: t`Put a card in, or see that it is mounted: recording goes on by itself, and its recordings are listed here.`,
  "read-only": t`Its recordings can be played, and none is added or deleted. Check it on a PC, or take another card.`,
  full: t`Delete recordings, or have less of the card kept free (Settings).`,
  failing: t`Download what you need, and take another card.`,
  released: t`Put it in again, or press Use Card Again in the settings.`,
};
/** What is lost by cause; true: it is missing from the recordings. @type {Record<string, [(n: number) => string, boolean]>} */
const LOSSES = {
  network: [(n) => t`${n} packets or frames on the way from the camera`, true],
  card: [(n) => t`${n} frames because of the card`, true],
  malformed: [(n) => t`${n} frames that the camera sent wrong`, true],
  undecodable: [(n) => t`${n} frames that could not have been decoded`, true],
  too_large: [(n) => t`${n} frames too large for the buffer`, true],
  too_short: [(n) => t`${n} frames of files that would have been too short and too many`, true],
  audio: [(n) => t`${n} packets or frames of sound`, true],
  viewer: [(n) => t`${n} frames for slow viewers`, false],
};
const CHANGES_MAX = 50;
const LOSS_SHOWN_MS = 300_000;
const LATE_S = 15;
/** Longer than a card lasts. */
const YEARS = 1000;
const CLOCK_OFF_MS = 60_000;
/** A clock that nobody sets is taken for right when it is as near. */
const CLOCK_AGREES_MS = 5000;
