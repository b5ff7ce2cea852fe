// Moments as text: in the page's address, and as somebody types them. Times are the viewer's.

import { locale } from "./lang.js";
import { daysOn, midnight, sameTime } from "./axis.js";

/**
 * What an address says: `#yard` live, `#yard@2026-11-24T14:32:40` a moment, `&to=14:42:00` a span,
 * `#yard/1237` a recording. `{ camera, at, to, number }`, null where there is none.
 */
export function readAddress(hash) {
  const [, camera, number, at, to] = decoded(hash).match(/^#?([^@/&]*)(?:\/(\d+))?(?:@([^&]*))?(?:&to=(.*))?$/) ?? ["", ""];
  const moment = readMoment(at);
  return { camera, at: moment, to: moment === null ? null : readEnd(to, moment), number: number ? Number(number) : null };
}

/** @param {{ camera: string, at: number | null, to?: number | null }} of */
export function address({ camera, at, to }) {
  if (at == null) return `#${camera}`;
  const end = to == null ? null : moment(to);
  const isTime = end?.length === PLAIN && new Date(at).toDateString() === new Date(to ?? 0).toDateString();
  return `#${camera}@${moment(at)}${end ? `&to=${isTime ? end.slice(11) : end}` : ""}`;
}

/** 2026-11-24T14:32:40; in the hour that comes twice as clocks are put back, the second time, 2026-10-25T02:30:00+01:00. */
export function moment(ms) {
  const date = new Date(ms);
  const two = (n) => String(n).padStart(2, "0");
  const text = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${clockOf(date, two)}`;
  const offset = -date.getTimezoneOffset();
  const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60];
  return ms - Number(readMoment(text)) < 1000 ? text : `${text}${offset < 0 ? "-" : "+"}${two(hours)}:${two(minutes)}`;
}

/** Characters of a moment without an offset. */
const PLAIN = 19;

const clockOf = (date, two) => `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;

function readMoment(text) {
  const parts = text?.match(/^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d?):(\d\d)(?::(\d\d)(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/);
  if (!parts) return null;
  if (parts[7]) return Date.parse(text.replace(" ", "T")) || null;
  const [, year, month, day, hour = 0, minute = 0, second = 0] = parts;
  const date = new Date(year, month - 1, day, hour, minute, second);
  const isThere = date.getMonth() === month - 1 && date.getDate() === Number(day) && hour < 24 && minute < 60 && second < 60;
  return isThere ? date.getTime() : null;
}

/** The end of a span: a moment, or a time after its beginning. */
function readEnd(text, from) {
  const full = readMoment(text);
  if (full !== null) return full > from ? full : null;
  const time = typed(text ?? "", from);
  if (time === null) return null;
  return time > from ? time : sameTime(from + 86_400_000, time);
}

/**
 * A time as it is typed (1432, 14:32:40, 2:32 pm), on the day of `day`, or behind a date (2026-11-24, 24.11.2026), a
 * weekday (tue, Tuesday: the last one) or yesterday; as other programs write it (2026-11-24T13:32:40Z); or null.
 */
export function typed(text, day, now = Date.now()) {
  const plain = inLatin(text);
  const whole = /\d:\d/.test(plain) ? readMoment(plain) : null; // copied, perhaps with its zone
  if (whole !== null) return whole;
  const [, date, rest] = plain.match(/^(\d{4}([./-])\d\d?\2\d\d?|\d\d?([./])\d\d?\3\d{4}|(?![ap]m)\p{L}{2,}\.?)?[T,\s]*(.*)$/iu).filter((_, group) => group < 2 || group > 3);
  const on = !date ? day : /^\d/.test(date) ? dated(date) : named(date.toLowerCase().replace(".", ""), now);
  if (on === null) return null;
  if (date && !rest) return on;
  const [, time, half] = rest.match(/^([\d:.]+)\s*([ap]m)?$/i) ?? [];
  if (!time) return null;
  const parts = /[:.]/.test(time) ? time.split(/[:.]/) : inTwos(time);
  let [hour, minute = 0, second = 0] = parts.map(Number);
  if (half) hour = (hour % 12) + (half.toLowerCase() === "pm" ? 12 : 0);
  if (parts.length > 3 || parts.includes("") || hour > 23 || minute > 59 || second > 59) return null;
  return new Date(on).setHours(hour, minute, second, 0);
}

/** With the digits and colons of other keyboards: １４：３２, ١٤:٣٢, ۱۴:۳۲. */
const inLatin = (text) => text.normalize("NFKC").replace(/[٠-٩۰-۹]/g, (digit) => String(digit.charCodeAt(0) & 15)).trim();

/** 2026-11-24, 2026/11/24, 24.11.2026; with slashes the month comes first where the viewer's language has it so. */
function dated(text) {
  const parts = text.split(/[./-]/).map(Number);
  if (parts[0] < 1000) parts.reverse();
  const [year, ...others] = parts;
  const isMonthFirst = () => new Intl.DateTimeFormat(locale).formatToParts().find(({ type }) => type === "month" || type === "day")?.type === "month";
  if (/^\d\d?\//.test(text) && isMonthFirst()) others.reverse();
  const [month, day] = others;
  const date = new Date(year, month - 1, day);
  return date.getMonth() === month - 1 ? date.getTime() : null;
}

/** The last day of a name, in the viewer's language or English; today's is today. */
function named(name, now) {
  for (let back = 0; back < 7; back += 1) {
    const day = daysOn(midnight(now), -back);
    const names = [undefined, locale, "en"].map((language) => new Date(day).toLocaleDateString(language, { weekday: "long" }).toLowerCase());
    if (names.some((one) => one.startsWith(name)) || name === ["today", "yesterday"][back]) return day;
  }
  return null;
}

/** 932: 9:32; 143240: 14:32:40. */
const inTwos = (digits) => (digits.length > 6 ? [""] : (digits.length % 2 ? `0${digits}` : digits).match(/../g));

export function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
