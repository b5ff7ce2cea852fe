// The axis of time: what is seen of it, where its ticks lie, what was recorded when. Moments are UTC in
// milliseconds, days are the viewer's. Knows nothing of: elements, the server.

/** A part of the axis, as wide as the band shows at the least and at the most. */
export const WIDTH_MIN_MS = 5 * 60_000;
export const WIDTH_MAX_MS = 24 * 3_600_000;

/** What is seen where `cursor` stands at `fraction` of it. */
export const viewOf = (cursor, width, fraction) => ({ from: cursor - width * fraction, to: cursor + width * (1 - fraction) });

export const zoomed = (width, factor) => Math.min(WIDTH_MAX_MS, Math.max(WIDTH_MIN_MS, width * factor));

export const pixelOf = ({ from, to }, pixels, ms) => ((ms - from) / (to - from)) * pixels;

export const momentAt = ({ from, to }, pixels, x) => from + (x / pixels) * (to - from);

/** The beginning of a moment's day. */
export const midnight = (ms) => new Date(ms).setHours(0, 0, 0, 0);

/** The beginning of the day so many days later; with daylight saving time a day has 23 to 25 hours. */
export function daysOn(ms, days) {
  const date = new Date(ms);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + days).getTime();
}

/** That time of the day of `day`. */
export function sameTime(day, ms) {
  const time = new Date(ms);
  return new Date(day).setHours(time.getHours(), time.getMinutes(), time.getSeconds(), 0);
}

/** Ticks at round times of the day, `{ ms, isLabelled }`; labels are at least `apart` pixels from each other. */
export function ticks(view, pixels, apart) {
  const perPixel = (view.to - view.from) / pixels;
  const [label, small] = STEPS.find(([step]) => step * 1000 >= apart * perPixel) ?? STEPS[STEPS.length - 1];
  const found = [];
  for (let day = midnight(view.from); day < view.to; day = daysOn(day, 1)) {
    const end = Math.min(daysOn(day, 1), view.to);
    const [year, month, date] = [new Date(day).getFullYear(), new Date(day).getMonth(), new Date(day).getDate()];
    let last = -Infinity;
    // An hour early: clocks may have been put forward since midnight.
    let second = Math.max(0, Math.floor((view.from - day) / 1000 / small - 3600 / small)) * small;
    for (; ; second += small) {
      const ms = new Date(year, month, date, 0, 0, second).getTime();
      if (ms >= end) break;
      if (ms >= view.from && ms > last) found.push({ ms, isLabelled: second % label === 0 });
      last = Math.max(last, ms);
    }
  }
  return found;
}

/** Seconds between labels, and between ticks. */
const STEPS = [[15, 5], [30, 10], [60, 15], [120, 30], [300, 60], [600, 120], [900, 300], [1800, 600], [3600, 900],
  [7200, 1800], [10_800, 3600], [21_600, 3600], [43_200, 10_800]];

/** Spans in order, those that touch as one; what is doubtful stays apart. */
export function joined(spans) {
  const all = [];
  for (const span of [...spans].sort((a, b) => a[0] - b[0])) {
    const last = all[all.length - 1];
    if (last && span[0] <= last[1] + TOUCH_MS && span[4] === last[4]) {
      if (span[1] > last[1]) {
        last[1] = span[1];
        last[3] = span[3];
      }
    } else all.push([...span]);
  }
  return all;
}

/** Between two recordings of one run there may be as much. */
const TOUCH_MS = 1000;

/** The span that holds a moment, or undefined. */
export const spanAt = (spans, ms) => spans.find(([start, end]) => start <= ms && ms < end);

/** The first one that begins later, or undefined. */
export const spanAfter = (spans, ms) => spans.find(([start]) => start > ms);

/** Whether spans (joined) cover all from one moment to another. */
export const covers = (spans, from, to) => spans.some(([start, end]) => start <= from + TOUCH_MS && end >= to - TOUCH_MS);

/** What of `[start, end]` is left between two moments, or null. */
export function within([start, end], from, to) {
  const part = [Math.max(start, from), Math.min(end, to)];
  return part[0] < part[1] ? part : null;
}

/**
 * The viewer's offset from UTC in minutes at `from`, and each of its changes until `to`, as the API of the days
 * takes it: `60,1793494800000:0`.
 */
export function zone(from, to, offset = (ms) => -new Date(ms).getTimezoneOffset()) {
  const parts = [String(offset(from))];
  for (let day = from; day < to; day += DAY_MS) {
    let [before, after] = [day, Math.min(day + DAY_MS, to)];
    if (offset(before) === offset(after)) continue;
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if (offset(middle) === offset(before)) before = middle;
      else after = middle;
    }
    parts.push(`${after}:${offset(after)}`);
  }
  return parts.join(",");
}

export const DAY_MS = 86_400_000;
