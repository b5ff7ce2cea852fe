// Live fragments in the order in which they are shown. One frame is a fragment, in the order in which it is decoded:
// behind a P frame `buffered` has a hole until its B frames are there, and browsers stall at it, or drop what
// comes to fill it. So what leaves a hole is held back until the hole is filled. ISO/IEC 14496-12 §8.8. Knows
// nothing of: sockets, elements.

export class Fragments {
  /** Held back: `{ bytes, start, end }`, in ticks. */
  #held = [];
  /** Where the picture is complete up to; null before the first. @type {any} */
  #end = null;
  /** The most that a frame was shown before it was decoded, by its numbers; 0 or less. */
  #early = 0;

  /** Takes a fragment; what may be appended now, as one piece, or null. */
  take(bytes) {
    const times = timesOf(new DataView(bytes));
    if (!times) return this.#all(bytes);
    const { decoded, start, end: until } = times;
    this.#early = Math.min(this.#early, start - decoded);
    this.#end ??= start;
    this.#held.push({ bytes, start, end: until });
    // Nothing that is still to come is shown before this.
    const next = decoded + (until - start) + this.#early;
    let end = this.#end;
    for (const one of [...this.#held].sort((a, b) => a.start - b.start)) {
      const isHole = one.start > end + (one.end - one.start) / 2;
      if (isHole && one.start > next && this.#held.length < HELD_MAX) return null;
      end = Math.max(end, one.end);
    }
    return this.#all();
  }

  #all(last) {
    const parts = this.#held.map(({ bytes }) => bytes);
    for (const { end } of this.#held) this.#end = Math.max(this.#end, end);
    this.#held = [];
    if (last) {
      parts.push(last);
      this.#end = null;
    }
    if (parts.length === 1) return parts[0];
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(new Uint8Array(part), at);
      at += part.byteLength;
    }
    return whole.buffer;
  }
}

/** When the one frame of a fragment is decoded, shown, and shown until; null where it is another kind of box, or more. */
export function timesOf(view) {
  const moof = find(view, 0, view.byteLength, "moof");
  const traf = moof && find(view, moof.from, moof.to, "traf");
  const [tfhd, tfdt, trun] = ["tfhd", "tfdt", "trun"].map((kind) => traf && find(view, traf.from, traf.to, kind));
  if (!tfhd || !tfdt || !trun) return null;
  try {
    const decoded = view.getUint8(tfdt.from) === 1 ? Number(view.getBigUint64(tfdt.from + 4)) : view.getUint32(tfdt.from + 4);
    const flags = view.getUint32(trun.from) & 0xffffff;
    if (view.getUint32(trun.from + 4) !== 1) return null;
    let at = trun.from + 8 + (flags & 1 ? 4 : 0) + (flags & 4 ? 4 : 0);
    const duration = flags & 0x100 ? view.getUint32(at) : usual(view, tfhd);
    if (!duration) return null;
    for (const field of [0x100, 0x200, 0x400]) at += flags & field ? 4 : 0;
    const start = decoded + (flags & 0x800 ? view.getInt32(at) : 0);
    return { decoded, start, end: start + duration };
  } catch {
    return null; // shorter than it says
  }
}

/** The duration that a track fragment's header gives to each sample, or 0. */
function usual(view, { from }) {
  const flags = view.getUint32(from) & 0xffffff;
  return flags & 8 ? view.getUint32(from + 8 + (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0)) : 0;
}

/** A box among others: where its content lies. */
function find(view, from, to, kind) {
  while (from + 8 <= to) {
    const size = view.getUint32(from);
    const name = String.fromCharCode(...[4, 5, 6, 7].map((at) => view.getUint8(from + at)));
    if (size < 8 || from + size > to) return null;
    if (name === kind) return { from: from + 8, to: from + size };
    from += size;
  }
  return null;
}

/** A B-frame pyramid holds fewer. */
const HELD_MAX = 16;
