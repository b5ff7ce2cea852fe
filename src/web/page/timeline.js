// What is known of one camera's axis: spans of recordings, gaps and why they are, what is kept, marks. Asked for
// day by day, as it comes into view.

import { api, query } from "./api.js";
import { daysOn, joined, midnight } from "./axis.js";
import { READING_MS } from "./reel.js";

export class Timeline {
  spans = [];
  gaps = [];
  kept = [];
  marks = [];
  /** Whether all of the card was read; before, what is missing may still come. */
  complete = true;
  #camera;
  #onChange;
  /** By the day's beginning: what the server said, or null while it is asked; when. */
  #days = new Map();

  constructor(camera, onChange) {
    this.#camera = camera;
    this.#onChange = onChange;
  }

  /** Sees to it that the days from one moment to another are known, as far as there can be something. */
  need(from, to, now) {
    const end = Math.min(to, now);
    for (let day = midnight(Math.min(from, end)); day < end; day = daysOn(day, 1)) {
      const known = this.#days.get(day);
      if (known === undefined || (known.isStale && !known.asked)) this.#ask(day);
    }
  }

  /** The spans of a day, once they are known. */
  async day(day) {
    if (!this.#days.get(day)?.answer) await this.#ask(day);
    return this.#days.get(day)?.answer?.spans ?? [];
  }

  /** A recording began, ended or went: what is known may be wrong. All of the days where `day` is not given. */
  changed(day) {
    for (const [key, known] of this.#days) {
      if (day === undefined || key === midnight(day)) known.isStale = true;
    }
    this.#onChange();
  }

  /**
   * What is recorded, with the recording that is open: it began at `since` and grows. From `agrees` on times are
   * right, whoever set the clock.
   */
  covered(since, now, agrees) {
    const spans = this.spans.map((span) => (span[4] && span[0] >= agrees ? span.slice(0, 4) : span));
    if (since != null && since < now) spans.push([since, now, 0, 0]);
    return joined(spans);
  }

  async #ask(day) {
    const known = this.#days.get(day) ?? { answer: null };
    this.#days.delete(day);
    this.#days.set(day, known); // the youngest question is the last
    known.asked = true;
    known.isStale = false;
    try {
      known.answer = await api("GET", `/api/timeline?${query({ camera: this.#camera, from: day, to: daysOn(day, 1) })}`);
      if (!known.answer.complete) this.#later(known, READING_MS);
    } catch {
      this.#later(known, AGAIN_MS);
    }
    known.asked = false;
    for (const [old] of this.#days) {
      if (this.#days.size <= DAYS_MAX) break;
      this.#days.delete(old);
    }
    this.#join();
  }

  #later(known, ms) {
    setTimeout(() => {
      known.isStale = true;
      this.#onChange();
    }, ms);
  }

  #join() {
    const answers = [...this.#days.values()].map(({ answer }) => answer).filter(Boolean);
    const all = (name) => answers.flatMap((answer) => answer[name] ?? []);
    this.spans = joined(all("spans"));
    this.kept = joined(all("kept"));
    this.marks = all("marks");
    this.complete = answers.every((answer) => answer.complete !== false);
    // One that goes on over midnight was told twice.
    this.gaps = joined(all("gaps").map(([start, end, cause]) => [start, end, 0, 0, cause]));
    this.#onChange();
  }
}

/** Days that are remembered. */
const DAYS_MAX = 40;
const AGAIN_MS = 10_000;
