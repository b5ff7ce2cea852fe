// The band: a part of the axis, drawn under a needle. Dragged, it moves time; wheel and fingers change how much of
// it is seen. Below it the whole day.

import { $, remembered, say } from "./dom.js";
import { daysOn, midnight, momentAt, pixelOf, spanAt, viewOf, zoomed } from "./axis.js";
import { markAt, nameOf } from "./marks.js";
import { CAUSES, colours, paintBand, paintDay } from "./paint.js";
import { dayAndTime, hourMinute, hourMinuteSecond, span } from "./words.js";
import { t } from "./lang.js";

export class Band {
  #band = $("band");
  #canvas = $("band").querySelector("canvas");
  #strip = $("strip");
  #bubble = $("bubble");
  #width = Number(remembered("width")) || WIDTH_MS;
  /** Where the needle is, and where it moves to. */
  #fraction = FRACTION_LIVE;
  #lanes = [];
  #cursor = 0;
  #now = 0;
  #isLive = true;
  #chosen = null;
  /** @type {ReturnType<typeof colours> | null} */
  #colour = null;
  #isDirty = false;
  /** By pointer: where it is. */
  #fingers = new Map();
  /** Where it began. @type {any} */
  #drag = null;
  #press = 0;
  /** Where the mouse rests, in pixels. */
  #hover = null;
  #hoverLane = 0;
  #on;

  /**
   * `on.scrub(ms)` while time is dragged, `on.go(ms, lane)` where that ends or somebody clicks, `on.choose(edge, ms)`:
   * a mark was moved; `on.mark(ms)`: a long press; `on.view(from, to)`: that is looked at.
   */
  constructor(on) {
    this.#on = on;
    const band = this.#band;
    for (const [kind, action] of Object.entries({ pointerdown: this.#down, pointermove: this.#move, pointerup: this.#up, pointercancel: this.#up })) {
      band.addEventListener(kind, action.bind(this));
    }
    band.addEventListener("pointerleave", () => this.#point(null));
    band.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    band.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press
    const strip = (event) => {
      const { left, width } = this.#strip.getBoundingClientRect();
      return Math.min(this.#now, momentAt(this.#day, width, Math.min(width, Math.max(0, event.clientX - left))));
    };
    /** Where it was as the finger came, null for live; undefined: there is none. @type {number | null | undefined} */
    let before;
    const lifted = (to) => {
      if (before !== undefined) this.#on.go(to);
      before = undefined;
    };
    this.#strip.addEventListener("pointerdown", (event) => {
      this.#strip.setPointerCapture(event.pointerId);
      before = this.#isLive ? null : this.#cursor;
      this.#on.scrub(strip(event));
    });
    this.#strip.addEventListener("pointermove", (event) => before !== undefined && this.#on.scrub(strip(event)));
    this.#strip.addEventListener("pointerup", (event) => lifted(strip(event)));
    // The page is scrolled instead: nobody meant the time.
    this.#strip.addEventListener("pointercancel", () => lifted(before));
    const anew = () => {
      this.#colour = null;
      this.#draw();
    };
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", anew);
    new ResizeObserver(anew).observe(band);
  }

  /** `lanes`: `{ label, spans, gaps, kept, marks }`; `chosen`: `[from, to]` or null. */
  show({ lanes, cursor, now, isLive, chosen }) {
    this.#lanes = lanes;
    this.#cursor = cursor;
    this.#now = now;
    this.#isLive = isLive;
    this.#chosen = chosen;
    this.#draw();
    this.#tell();
  }

  get view() {
    return viewOf(this.#cursor, this.#width, this.#fraction);
  }

  get width() {
    return this.#width;
  }

  zoom(factor) {
    this.#width = zoomed(this.#width, factor);
    remembered("width", String(this.#width));
    this.#draw();
    this.#tell();
  }

  get #day() {
    const from = midnight(this.#cursor);
    return { from, to: daysOn(from, 1) };
  }

  #draw() {
    if (this.#isDirty) return;
    this.#isDirty = true;
    requestAnimationFrame(() => {
      this.#isDirty = false;
      if (!this.#lanes.length) return;
      this.#glide();
      this.#colour ??= colours(this.#band);
      const { view } = this;
      const shown = { lanes: this.#lanes, colour: this.#colour, now: this.#now, chosen: this.#chosen, cursor: this.#cursor, view };
      paintBand(this.#canvas, view, shown);
      paintDay(this.#strip, this.#day, shown);
      this.#say();
      this.#on.view(view.from, view.to);
    });
  }

  /** The needle stands near the right end in live, else in the middle; it never moves under a finger. */
  #glide() {
    if (this.#drag) return;
    const wanted = this.#isLive ? FRACTION_LIVE : 0.5;
    const rest = wanted - this.#fraction;
    if (Math.abs(rest) < 0.004 || STILL.matches) {
      this.#fraction = wanted;
      return;
    }
    this.#fraction += rest * 0.25;
    this.#draw();
  }

  // --- fingers and mouse ---

  #x(event) {
    return event.clientX - this.#band.getBoundingClientRect().left;
  }

  #down(event) {
    if (event.button) return;
    this.#band.setPointerCapture(event.pointerId);
    this.#band.focus({ preventScroll: true });
    const x = this.#x(event);
    this.#fingers.set(event.pointerId, x);
    clearTimeout(this.#press);
    if (this.#fingers.size > 1) {
      this.#drag = { ...this.#drag, apart: this.#apart(), width: this.#width };
      return;
    }
    this.#drag = { x, cursor: this.#cursor, edge: this.#edgeAt(x), moved: false };
    this.#press = setTimeout(() => {
      if (!this.#drag || this.#drag.moved || event.pointerType === "mouse") return;
      this.#drag.isOver = true;
      this.#on.mark(this.#moment(x));
    }, PRESS_MS);
  }

  #move(event) {
    const x = this.#x(event);
    if (!this.#fingers.has(event.pointerId)) {
      this.#hoverLane = this.#laneAt(event);
      return this.#point(x);
    }
    this.#fingers.set(event.pointerId, x);
    const drag = this.#drag;
    if (!drag || drag.isOver) return;
    if (this.#fingers.size > 1) {
      drag.moved = true;
      this.#width = zoomed(drag.width, drag.apart / Math.max(20, this.#apart()));
      return this.#draw();
    }
    if (!drag.moved && Math.abs(x - drag.x) < MOVED_PX) return;
    drag.moved = true;
    this.#point(null);
    if (drag.edge) return this.#on.choose(drag.edge, Math.min(this.#now, this.#moment(x)));
    if (drag.apart) {
      // One finger of two is left: from here on.
      Object.assign(drag, { apart: 0, x, cursor: this.#cursor });
    }
    this.#on.scrub(Math.min(this.#now, drag.cursor - ((x - drag.x) * this.#width) / this.#band.clientWidth));
  }

  #up(event) {
    clearTimeout(this.#press);
    const x = this.#x(event);
    this.#fingers.delete(event.pointerId);
    const drag = this.#drag;
    if (this.#fingers.size || !drag) return;
    this.#drag = null;
    if (drag.isOver || drag.edge) return this.#draw();
    if (event.type === "pointercancel") return drag.moved && this.#on.go(this.#cursor);
    if (drag.moved) return drag.apart ? this.zoom(1) : this.#on.go(this.#cursor);
    const lane = this.#laneAt(event);
    const ms = this.#moment(x);
    const mark = markAt(this.#lanes[lane]?.marks ?? [], ms, NEAR_PX * this.#perPixel);
    this.#on.go(Math.min(this.#now, mark && ms < mark[0] + NEAR_PX * this.#perPixel ? mark[0] : ms), lane);
  }

  #wheel(event) {
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const ms = Math.min(this.#now, this.#cursor + (event.deltaX * this.#width) / this.#band.clientWidth);
      this.#on.scrub(ms);
      clearTimeout(this.#press);
      this.#press = setTimeout(() => this.#on.go(this.#cursor), WHEEL_MS);
    } else this.zoom(1.0016 ** (event.deltaMode ? event.deltaY * 30 : event.deltaY));
  }

  get #perPixel() {
    return this.#width / this.#band.clientWidth;
  }

  #apart() {
    const [a, b] = [...this.#fingers.values()];
    return Math.abs(a - b);
  }

  #moment(x) {
    return momentAt(this.view, this.#band.clientWidth, x);
  }

  #laneAt(event) {
    const { top, height } = this.#canvas.getBoundingClientRect();
    return Math.floor(Math.max(0, (event.clientY - top - 22) / (height - 22)) * this.#lanes.length);
  }

  /** The mark that is under a finger. */
  #edgeAt(x) {
    const [from, to] = this.#chosen ?? [];
    const isNear = (ms) => ms != null && Math.abs(pixelOf(this.view, this.#band.clientWidth, ms) - x) < EDGE_PX;
    return isNear(to) ? "to" : isNear(from) ? "from" : null;
  }

  // --- in words ---

  #point(x) {
    this.#hover = x;
    this.#say();
  }

  /** The bubble: what is where the mouse rests. */
  #say() {
    const bubble = this.#bubble;
    const isShown = this.#hover !== null || Boolean(this.#drag?.moved);
    bubble.hidden = !isShown;
    if (!isShown) return;
    const x = this.#hover ?? this.#fraction * this.#band.clientWidth;
    const ms = this.#moment(x);
    if (ms > this.#now) return void (bubble.hidden = true);
    const lane = this.#lanes.length === 1 ? this.#lanes[0] : this.#lanes[this.#hoverLane];
    const what = lane ? whatIs(lane, ms, NEAR_PX * this.#perPixel) : "";
    say(bubble, [this.#lanes.length > 1 ? lane?.label : "", hourMinuteSecond(ms), what].filter(Boolean).join(", "));
    const half = bubble.offsetWidth / 2;
    bubble.style.left = `${Math.min(this.#band.clientWidth - half, Math.max(half, x))}px`;
  }

  /** For those who do not see it. */
  #tell() {
    const [lane] = this.#lanes;
    if (!lane) return;
    const band = this.#band;
    const { view } = this;
    const what = this.#isLive ? t`live` : whatIs(lane, this.#cursor, MARK_MS) || t`recorded`;
    const set = (name, value) => band.getAttribute(name) !== String(value) && band.setAttribute(name, value);
    set("aria-valuemin", Math.round(view.from / 1000));
    set("aria-valuemax", Math.round(Math.min(view.to, this.#now) / 1000));
    set("aria-valuenow", Math.round(this.#cursor / 1000));
    set("aria-valuetext", this.#isLive ? t`Live` : `${dayAndTime(this.#cursor)}, ${what}`);
    const marks = lane.marks.filter(([begin, end]) => end > view.from && begin < view.to).slice(-GAPS_TOLD_MAX);
    const gaps = lane.gaps.filter(([start, end]) => end > view.from && start < view.to).slice(-GAPS_TOLD_MAX);
    const words = gaps.map(([start, end, , , cause]) => t`${hourMinute(start)} to ${hourMinute(end)}: ${CAUSES[cause]?.[0] ?? CAUSES.unknown[0]}.`);
    words.push(...marks.map((mark) => `${hourMinute(mark[0])}: ${nameOf(mark)}.`));
    say($("band-words"), [t`The band shows ${span(this.#width)}.`, ...words].join(" "));
  }
}

/** What is at a moment besides a recording as it should be, in words; marks give or take `around`. */
export function whatIs(lane, ms, around = 0) {
  const mark = markAt(lane.marks, ms, around);
  const parts = [mark && nameOf(mark)];
  const recorded = spanAt(lane.spans, ms);
  if (recorded) parts.push(recorded[4] && t`the clock was not set`, spanAt(lane.kept, ms) && t`kept`);
  else parts.push(CAUSES[spanAt(lane.gaps, ms)?.[4]]?.[0] ?? CAUSES.unknown[0]);
  return parts.filter(Boolean).join(", ");
}

const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const WIDTH_MS = 3_600_000;
const FRACTION_LIVE = 0.9;
const MOVED_PX = 4;
const EDGE_PX = 14;
/** A finger that rests so long marks. */
const PRESS_MS = 600;
/** A wheel that turned sideways has come to rest. */
const WHEEL_MS = 250;
const GAPS_TOLD_MAX = 8;
/** A mark so near to the mouse is meant. */
const NEAR_PX = 7;
/** So near to the needle it is told. */
const MARK_MS = 4000;
