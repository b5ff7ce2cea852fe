// The days that have recordings: the last ones in a row, and a month at a time in a dialog.

import { $, enable, h, inPieces, oneStop, say } from "./dom.js";
import { api, query } from "./api.js";
import { daysOn, midnight, zone } from "./axis.js";
import { dayLong, dayMiddle, month, span, weekday } from "./words.js";
import { t } from "./lang.js";

export class Days {
  #camera = null;
  #shown = 0;
  #now = 0;
  /** The first of the month that the calendar shows. */
  #month = 0;
  /** By month: seconds recorded by day's beginning, and when it was asked. */
  #months = new Map();
  #on;
  #draw = inPieces(() => this.#fill());

  /** `on.day(ms)`: that day is chosen, by its beginning. */
  constructor(on) {
    this.#on = on;
    $("open-days").onclick = () => this.open();
    $("close-days").onclick = () => $("calendar").close();
    $("month-before").onclick = () => this.#turn(-1);
    $("month-after").onclick = () => this.#turn(1);
    oneStop($("days"), beside);
    oneStop($("month"), (button, key) => this.#next(button, key));
  }

  /** `cursor`: whose day is marked. */
  show(camera, cursor, now) {
    const day = midnight(cursor);
    const today = midnight(now);
    const isSame = camera === this.#camera && day === this.#shown && today === midnight(this.#now);
    this.#now = now;
    if (isSame) return;
    if (camera !== this.#camera) this.#months.clear();
    this.#camera = camera;
    this.#shown = day;
    say($("open-days"), dayMiddle(day));
    this.#draw();
  }

  /** Recordings came or went. */
  changed() {
    const now = performance.now();
    const old = [...this.#months.values()].filter(({ asked, isStale }) => !isStale && now - asked > DAYS_AGAIN_MS);
    for (const known of old) known.isStale = true;
    if (old.length) this.#draw();
  }

  open() {
    const shown = new Date(this.#shown || this.#now);
    this.#month = new Date(shown.getFullYear(), shown.getMonth(), 1).getTime();
    $("calendar").showModal();
    this.#drawMonth();
    ($("month").querySelector("[aria-current=date]") ?? $("close-days")).focus();
  }

  #fill() {
    const today = midnight(this.#now);
    // A row that ends today, or with the day that is shown where that is longer ago.
    const last = this.#shown < daysOn(today, 1 - ROW_DAYS) ? daysOn(this.#shown, Math.floor(ROW_DAYS / 2)) : today;
    const buttons = [];
    for (let back = ROW_DAYS - 1; back >= 0; back -= 1) {
      const day = daysOn(last, -back);
      buttons.push(this.#button(day, h("span", {}, weekday(day)), h("b", {}, String(new Date(day).getDate()))));
    }
    const focused = focusedIn("#days");
    $("days").replaceChildren(...buttons);
    if (focused) $("days").querySelector(`[data-day="${focused}"]`)?.focus();
    if ($("calendar").open) this.#drawMonth();
  }

  #button(day, ...children) {
    const seconds = this.#seconds(day);
    const isKnown = seconds !== undefined;
    const button = h("button", { type: "button", className: "day", onclick: () => seconds !== 0 && this.#choose(day), "data-day": day }, ...children);
    button.style.setProperty("--share", Math.min(1, (seconds ?? 0) / 86_400));
    if (seconds) button.classList.add("some");
    const what = !isKnown ? "" : seconds ? `, ${t`${span(seconds * 1000)} recorded`}` : `, ${t`nothing recorded`}`;
    button.title = dayLong(day) + what;
    button.setAttribute("aria-label", button.title);
    if (day === this.#shown) button.setAttribute("aria-current", "date");
    enable(button, day <= this.#now && seconds !== 0);
    return button;
  }

  #choose(day) {
    if ($("calendar").open) $("calendar").close();
    this.#on.day(day);
  }

  /** Seconds recorded on a day; undefined while that is not known. */
  #seconds(day) {
    const date = new Date(day);
    const first = new Date(date.getFullYear(), date.getMonth(), 1).getTime();
    if (day > this.#now) return 0;
    const known = this.#months.get(first);
    if (!known || (known.isStale && !known.isAsked)) this.#ask(first);
    return known?.days?.get(day);
  }

  async #ask(first) {
    const camera = this.#camera;
    const known = { ...this.#months.get(first), isAsked: true, isStale: false, asked: performance.now() };
    this.#months.set(first, known);
    const date = new Date(first);
    const to = new Date(date.getFullYear(), date.getMonth() + 1, 1).getTime();
    try {
      const answer = await api("GET", `/api/days?${query({ camera, from: first, to, tz: zone(first, to) })}`);
      if (camera !== this.#camera) return;
      const [year, number, day] = answer.first.split("-").map(Number);
      known.days = new Map();
      for (let at = first; at < to; at = daysOn(at, 1)) known.days.set(at, 0);
      answer.seconds.forEach((seconds, index) => known.days.set(new Date(year, number - 1, day + index).getTime(), seconds));
      if (!answer.complete) setTimeout(() => this.#again(known), DAYS_READING_MS);
    } catch {
      // Every day can be chosen until then.
      setTimeout(() => this.#again(known), DAYS_AGAIN_MS);
    }
    known.isAsked = false;
    if (camera === this.#camera) this.#draw();
  }

  #again(known) {
    known.isStale = true;
    this.#draw();
  }

  // --- the calendar ---

  #turn(step) {
    const date = new Date(this.#month);
    this.#month = new Date(date.getFullYear(), date.getMonth() + step, 1).getTime();
    this.#drawMonth();
  }

  #drawMonth() {
    const first = new Date(this.#month);
    const isLatest = new Date(first.getFullYear(), first.getMonth() + 1, 1).getTime() > this.#now;
    enable($("month-after"), !isLatest);
    say($("month-name"), month(this.#month));
    const cells = [];
    for (let name = 0; name < 7; name += 1) {
      // 3 January 2000 was a Monday.
      cells.push(h("span", { className: "quiet", "aria-hidden": "true" }, weekday(new Date(2000, 0, 3 + name).getTime(), "narrow")));
    }
    for (let empty = (first.getDay() + 6) % 7; empty > 0; empty -= 1) cells.push(h("span"));
    for (let day = this.#month; new Date(day).getMonth() === first.getMonth(); day = daysOn(day, 1)) {
      cells.push(this.#button(day, String(new Date(day).getDate())));
    }
    const focused = focusedIn("#month");
    $("month").replaceChildren(...cells);
    if (focused) $("month").querySelector(`[data-day="${focused}"]`)?.focus();
  }

  #next(button, key) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 }[key];
    if (!step) return undefined;
    const to = daysOn(Number(button.dataset.day), step);
    const date = new Date(to);
    const first = new Date(date.getFullYear(), date.getMonth(), 1).getTime();
    if (first !== this.#month) {
      this.#month = first;
      this.#drawMonth();
    }
    return $("month").querySelector(`[data-day="${to}"]`);
  }
}

/** The day beside one in the row, or at its end. */
function beside(button, key) {
  const row = [...$("days").children].filter((one) => one.offsetParent);
  const at = row.indexOf(button);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: row.length - 1 }[key];
  return to === undefined ? undefined : row[to] ?? null;
}

/** The day whose button has the focus. */
function focusedIn(place) {
  /** @type {any} */
  const button = document.querySelector(`${place} :focus`);
  return button?.dataset.day;
}

const ROW_DAYS = 14;
const DAYS_READING_MS = 5000;
/** Days are asked for again no sooner. */
const DAYS_AGAIN_MS = 30_000;
