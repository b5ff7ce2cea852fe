// Numbers and states in the words of the page.

import { daysOn, midnight } from "./axis.js";
import { locale, t } from "./lang.js";

/** To make one takes a phone as long as a hundred words that it forms. */
const formats = new Map();
function once(key, make) {
  if (!formats.has(key)) formats.set(key, make());
  return formats.get(key);
}

/** @type {(key: string, options: Intl.DateTimeFormatOptions) => (ms: number) => string} */
const format = (key, options) => (ms) => once(key, () => new Intl.DateTimeFormat(locale, options)).format(ms);

/** Before this the clock cannot have been right. */
const PLAUSIBLE_MS = Date.UTC(2020, 0);

export const clock = format("clock", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
export const hourMinuteSecond = clock;
export const hourMinute = format("minute", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
/** 24 Nov */
export const dayShort = format("day", { day: "numeric", month: "short" });
const near = format("near", { weekday: "short", day: "numeric", month: "short" });
const middle = format("middle", { weekday: "short", day: "numeric", month: "short", year: "numeric" });
/** Tue 24 Nov, with the year where it is another. */
export const dayMiddle = (ms) => (new Date(ms).getFullYear() === new Date().getFullYear() ? near : middle)(ms);
/** Tuesday 24 November 2026 */
export const dayLong = format("date", { weekday: "long", day: "numeric", month: "long", year: "numeric" });
export const dayAndTime = (ms) => `${dayLong(ms)}, ${clock(ms)}`;
/** November 2026 */
export const month = format("month", { month: "long", year: "numeric" });
/** T, Tue, Tuesday; of a moment. @type {(ms: number, width?: "long" | "short" | "narrow") => string} */
export const weekday = (ms, width = "short") => once(width, () => new Intl.DateTimeFormat(locale, { weekday: width })).format(ms);

/** The day in the viewer's time zone, as a heading. */
export function day(ms) {
  if (ms < PLAUSIBLE_MS) return t`Without a date`;
  const today = midnight(Date.now());
  const start = midnight(ms);
  return start === today ? t`Today` : start === daysOn(today, -1) ? t`Yesterday` : dayLong(ms);
}

/** 0:23, 1:02:03. */
export function length(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const rest = two(seconds % 60);
  return hours ? `${hours}:${two(minutes % 60)}:${rest}` : `${minutes}:${rest}`;
}

/** @type {(n: number, name: string, style?: "long" | "short", digits?: number) => string} */
const unit = (n, name, style = "long", digits = 0) => once(`${name} ${style} ${digits}`, () =>
  new Intl.NumberFormat(locale, { style: "unit", unit: name, unitDisplay: style, minimumFractionDigits: digits, maximumFractionDigits: digits })).format(n);

/** "about" that long, in its largest unit. */
export function span(ms) {
  const seconds = ms / 1000;
  for (const [name, size] of Object.entries({ year: 31557600, month: 2629800, day: 86400, hour: 3600, minute: 60 })) {
    if (seconds >= 1.5 * size) return unit(Math.round(seconds / size), name);
  }
  return unit(Math.round(seconds), "second");
}

/** How far back the card was read. `wanted`: what is looked for. */
export function readingTo(ms, wanted) {
  const now = Date.now();
  if (now - ms < 5000) return t`Reading the card…`;
  const where = t`Reading the card: back to ${day(ms)}, ${clock(ms)} so far.`;
  return ms > wanted ? `${where} ${t`What was recorded at the time you look for is not known yet.`}` : where;
}

export function bytes(n) {
  for (const [name, size] of Object.entries({ gigabyte: 1e9, megabyte: 1e6, kilobyte: 1e3 })) {
    if (n >= size) return unit(n / size, name, "short", n < 10 * size ? 1 : 0);
  }
  return unit(n, "byte");
}

export const codec = (name) => ({ h264: "H.264", h265: "H.265" })[name] ?? name;

/** Recordings of one camera and number have addresses that are so far apart. */
export const TWIN_STEP = 1_000_000_000;

export const file = (number) => String(number % TWIN_STEP).padStart(3, "0");

/** What a camera sends: a picture's size, frame rate, bit rate. */
export function video(v) {
  const parts = [`${v.width}×${v.height}`, codec(v.codec)];
  if (v.fps) parts.push(t`${Math.round(v.fps)} frames/s`);
  if (v.kbit_s) parts.push(t`${(v.kbit_s / 1000).toFixed(1)} Mbit/s`);
  return parts.join(", ");
}

export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
