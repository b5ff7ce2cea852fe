// Which recording holds a moment, and which one follows. Entries are those of the API, asked for by ten minutes
// and remembered for a while.

import { api, query } from "./api.js";
import { TWIN_STEP } from "./words.js";

export class Reel {
  /** By camera and time: promises of entries, oldest first. */
  #chunks = new Map();

  /** The entry that holds a moment, or null. @returns {Promise<Api.Recording | null>} */
  async at(camera, ms, now) {
    return (await this.#chunk(camera, ms)).entries.find((entry) => holds(entry, ms, now)) ?? null;
  }

  /** How far back the card was read, where it is not yet as far as that moment; else null. @returns {Promise<number | null>} */
  async readTo(camera, ms) {
    const { readTo } = await this.#chunk(camera, ms);
    return readTo > ms ? readTo : null;
  }

  /** The first entry that begins later than that, or null. @returns {Promise<Api.Recording | null>} */
  async after(camera, ms, now) {
    const later = ({ entries }) => entries.find((entry) => entry.start_ms > ms && entry.state !== "damaged");
    const near = later(await this.#chunk(camera, ms));
    if (near) return near;
    for (let from = Math.max(ms, now - LOOK_BACK_MS); from < now; from += LOOK_MS) {
      const to = Math.min(from + LOOK_MS, now + 1);
      const { spans } = await api("GET", `/api/timeline?${query({ camera, from: Math.floor(from), to: Math.ceil(to) })}`);
      for (const [start, end] of spans) {
        if (end <= ms) continue;
        const found = later(await this.#chunk(camera, Math.max(start, ms)));
        if (found) return found;
      }
    }
    return null;
  }

  /** The entry of a number, as it is now, or null. @returns {Promise<Api.Recording | null>} */
  async entry(camera, number) {
    const { recordings } = await listed({ camera, number });
    return recordings[0] ?? null;
  }

  next(entry) {
    return this.#playable(entry, 1);
  }

  previous(entry) {
    return this.#playable(entry, -1);
  }

  /** One damaged file keeps nobody from what lies behind it. */
  async #playable(entry, step) {
    let found = entry;
    do found = await this.#neighbour(found, step);
    while (found?.state === "damaged");
    return found;
  }

  /** A recording began, ended, was deleted; without a number: anything may have. */
  forget(camera, number, now) {
    for (const [key, chunk] of this.#chunks) {
      if (chunk.camera !== camera) continue;
      if (number === undefined || !chunk.entries || (chunk.index + 1) * CHUNK_MS >= now || chunk.entries.some((entry) => entry.number === number)) {
        this.#chunks.delete(key);
      }
    }
  }

  #chunk(camera, ms) {
    const index = Math.floor(ms / CHUNK_MS);
    const key = `${camera} ${index}`;
    let chunk = this.#chunks.get(key);
    if (!chunk) {
      chunk = { camera, index, entries: null, readTo: null };
      chunk.promise = listed({ camera, from: index * CHUNK_MS, to: (index + 1) * CHUNK_MS, limit: CHUNK_MAX }).then(({ recordings, complete, read_to }) => {
        chunk.entries = recordings.filter(({ state }) => state !== "unread").reverse().sort((a, b) => a.start_ms - b.start_ms);
        chunk.readTo = read_to;
        if (complete === false) setTimeout(() => this.#chunks.get(key) === chunk && this.#chunks.delete(key), READING_MS);
        return chunk;
      });
      chunk.promise.catch(() => this.#chunks.delete(key));
      this.#chunks.set(key, chunk);
      if (this.#chunks.size > CHUNKS_MAX) this.#chunks.delete(this.#chunks.keys().next().value);
    }
    return chunk.promise;
  }

  async #neighbour(entry, step) {
    const { camera, number } = entry;
    if (step < 0) {
      const { recordings } = await listed({ camera, before: number, limit: 1 });
      return recordings[0] ?? null;
    }
    // The list is asked backwards: mostly it is the next number, else the last within a page above.
    for (const [ahead, limit] of [[5, 20], [CHUNK_MAX, CHUNK_MAX]]) {
      const { recordings } = await listed({ camera, before: (number % TWIN_STEP) + ahead, limit });
      const found = recordings.filter((other) => order(other, entry) < 0).pop();
      if (found) return found;
    }
    return null;
  }
}

/** Below zero where `a` is the newer: by falling numbers, those of one number by their rank. @type {(a: Api.Recording, b: Api.Recording) => number} */
export const order = (a, b) => (b.number % TWIN_STEP) - (a.number % TWIN_STEP) || a.number - b.number;

/** @type {(entry: Api.Recording) => number} */
export const endOf = (entry) => entry.start_ms + entry.duration_ms;

/** @type {(entry: Api.Recording, ms: number, now: number) => boolean} */
export const holds = (entry, ms, now) => entry.state !== "damaged" && entry.start_ms <= ms && ms < (entry.state === "recording" ? now : endOf(entry));

const listed = (question) => api("GET", `/api/recordings?${query(question)}`);

/** While the card is read, what is known of it grows. */
export const READING_MS = 2000;
const CHUNK_MS = 600_000;
/** What the server gives at once; a camera makes at most 60 recordings a minute. */
const CHUNK_MAX = 500;
const CHUNKS_MAX = 24;
/** What the server tells of the axis at once. */
export const LOOK_MS = 31 * 86_400_000;
/** What is older is not looked for over a gap. */
const LOOK_BACK_MS = 13 * LOOK_MS;
