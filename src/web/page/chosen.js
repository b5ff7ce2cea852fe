// A span that somebody marks: saved as one file, kept, deleted, or handed on as a link.

import { $, ask, enable, h, onclick, say } from "./dom.js";
import { absolute, api, query } from "./api.js";
import { covers } from "./axis.js";
import { dayAndTime, dayMiddle, hourMinuteSecond, length } from "./words.js";
import { t } from "./lang.js";

export class Chosen {
  /** @type {any} */
  from = null;
  /** @type {any} */
  to = null;
  #camera = null;
  #on;
  #kept = [];

  /**
   * `on.moment()`: the one that is shown. `on.link()`: the address of what is shown. `on.change()`: another span.
   * `on.deleted()`, `on.kept()`.
   */
  constructor(on) {
    this.#on = on;
    const error = $("chosen").querySelector(".error");
    onclick($("mark"), null, () => this.mark(this.from === null || this.to !== null ? "from" : "to"));
    onclick($("save"), null, () => this.save());
    onclick($("link"), null, () => this.link());
    onclick($("keep"), error, () => this.#keep());
    onclick($("chosen-link"), null, () => this.link());
    onclick($("chosen-delete"), error, () => this.#delete());
    onclick($("clear"), null, () => this.set(this.#camera, null, null));
    $("close-link").onclick = () => $("link-dialog").close();
  }

  /** Another camera, or another span. */
  set(camera, from, to) {
    if (camera === this.#camera && from === this.from && to === this.to) return;
    const isTold = from !== this.from || to !== this.to;
    Object.assign(this, { from, to });
    this.#camera = camera;
    this.#show();
    if (isTold) this.#on.change();
  }

  get span() {
    return this.from === null ? null : [this.from, this.to];
  }

  /** What is kept, by the axis. */
  kept(spans) {
    this.#kept = spans;
    if (this.from !== null) this.#show();
  }

  /** One end of it: `from` or `to`, at a moment or at the one that is shown. */
  mark(edge, ms = this.#on.moment()) {
    ms = Math.round(ms);
    let { from, to } = this;
    if (edge === "from") {
      from = ms;
      if (to !== null && to <= ms) to = null;
    } else if (from === null || ms <= from) {
      // The wrong way round.
      to = from;
      from = ms;
    } else to = ms;
    this.set(this.#camera, from, to);
  }

  /** Where nothing is marked: the minutes around what is shown. */
  save() {
    if (this.from === null) {
      const ms = Math.round(this.#on.moment());
      this.set(this.#camera, ms - AROUND_MS, Math.min(ms + AROUND_MS, this.#on.now()));
      $("save-file").focus();
    } else if (this.to !== null) $("save-file").click();
    else this.mark("to");
  }

  /** Shows the address in a field: pages that come without HTTPS may not copy. */
  async link() {
    const url = absolute(`/${this.#on.link()}`);
    const field = $("link-text");
    field.value = url;
    $("link-dialog").showModal();
    field.focus();
    field.select();
    let isCopied = false;
    try {
      if (navigator.clipboard) await navigator.clipboard.writeText(url);
      isCopied = navigator.clipboard ? true : document.execCommand("copy");
    } catch {
      // It stands there to be copied.
    }
    say($("link-note"), isCopied ? t`Copied. It opens the picture of this moment on any device that reaches this recorder.` : t`Copy it from here.`);
  }

  #show() {
    const { from, to } = this;
    $("chosen").hidden = from === null;
    say($("mark"), from === null || to !== null ? t`Mark` : t`Mark End`);
    if (from === null) return;
    const isWhole = to !== null;
    const sameDay = isWhole && new Date(from).toDateString() === new Date(to).toDateString();
    say($("chosen-text"), isWhole
      ? t`${dayMiddle(from)}, ${hourMinuteSecond(from)} to ${sameDay ? hourMinuteSecond(to) : dayAndTime(to)} (${length(to - from)})`
      : t`From ${dayMiddle(from)}, ${hourMinuteSecond(from)}: now go to the end and press Mark End`);
    const clip = `/clip/${this.#camera}.mp4?${query({ from: Math.round(from), to: Math.round(to ?? from) })}`;
    for (const [id, more] of [["save-file", ""], ["save-lapse", "&key_frames"]]) {
      const link = $(id);
      link.hidden = !isWhole;
      link.href = clip + more;
    }
    for (const id of ["keep", "chosen-link", "chosen-delete"]) $(id).hidden = !isWhole;
    say($("keep"), this.#isKept ? t`Don’t Keep` : t`Keep`);
    enable($("chosen-delete"), !this.#isKept);
  }

  get #isKept() {
    return this.to !== null && covers(this.#kept, this.from, this.to);
  }

  get #query() {
    return query({ from: Math.round(this.from), to: Math.round(this.to) });
  }

  async #keep() {
    const answer = await api(this.#isKept ? "DELETE" : "PUT", `/api/keep/${this.#camera}?${this.#query}`);
    this.#on.kept(answer);
  }

  #delete() {
    const [camera, span] = [this.#camera, this.#query];
    const text = t`What was recorded from ${dayAndTime(this.from)} to ${dayAndTime(this.to)}, in whole recordings; what is kept stays. This cannot be undone.`;
    ask(t`Delete this span?`, text, t`Delete`, async () => {
      await api("DELETE", `/api/recordings/${camera}?${span}`);
      this.set(camera, null, null);
      this.#on.deleted();
    });
  }
}

/** Saves what a video shows, as it was recorded. */
export async function savePicture(video, name) {
  const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
  const href = URL.createObjectURL(blob);
  h("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}

/** Five minutes before and behind. */
const AROUND_MS = 300_000;
