// What happened before a camera: put by hand, gone to one after the other, named.

import { api, query } from "./api.js";
import { LOOK_MS } from "./reel.js";
import { t } from "./lang.js";

/** The moment of the next mark (`way` 1) or the one before (-1), seen from a moment; null where there is none. */
export async function markFrom(camera, ms, way, now) {
  // From just before a mark, where one is led to, the next one is another; from behind it, it comes again.
  const from = Math.ceil(way > 0 ? ms + LEAD_MS + 1 : ms - LOOK_MS);
  let to = Math.floor(way > 0 ? now : Math.min(now, ms + LEAD_MS - HELD_MS));
  /** @type {number | null} */
  let found = null;
  // The list begins with the newest: the next one stands at its end.
  for (let page = 0; page < PAGES_MAX && from < to; page += 1) {
    const start = Math.max(from, to - LOOK_MS);
    const { marks } = await api("GET", `/api/marks?${query({ camera, from: start, to, limit: LIMIT })}`);
    const begins = marks.map(({ begin_ms }) => begin_ms);
    const inside = marks.filter(({ kind, begin_ms }) => kind !== WATCHED && begin_ms >= from && begin_ms <= to).map(({ begin_ms }) => begin_ms);
    if (inside.length && way < 0) return Math.max(...inside) - LEAD_MS;
    if (inside.length) found = Math.min(...inside);
    to = marks.length < LIMIT ? start - 1 : Math.min(...begins) - 1;
  }
  return found === null ? null : found - LEAD_MS;
}

/** Notes that something happens at a moment. */
export const putMark = (camera, ms) => api("POST", "/api/marks", { camera, source: "page", kind: "bookmark", begin_ms: Math.round(ms) });

/** The mark at a moment, give or take as much; the one that lies nearest. */
export function markAt(marks, ms, around) {
  const distance = ([begin, end]) => Math.max(begin - ms, ms - end, 0);
  return marks.filter((mark) => distance(mark) <= around).sort((a, b) => distance(a) - distance(b) || b[0] - a[0])[0] ?? null;
}

/** In words: door, 3 marks. */
export const nameOf = ([, , kind, count]) => (count ? (kind === "several" ? t`${count} marks` : t`${kind}, ${count} times`) : kind);

const WATCHED = "watched";
/** What happened is seen from a little before. */
const LEAD_MS = 3000;
/** So much later than where a mark is led to, "back" means this mark once more. */
const HELD_MS = 2000;
/** What the server tells at once. */
const LIMIT = 500;
const PAGES_MAX = 12;
