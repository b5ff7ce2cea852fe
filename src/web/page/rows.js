// A long list of which only what is seen is made: all rows are of one height.

import { h, oneStop } from "./dom.js";

export class Rows {
  #box;
  #list = h("ol");
  #make;
  #mark;
  #onEnd;
  #items = [];
  /** By key: what was made, and of what. */
  #made = new Map();

  /** `make(item)`: its element. `mark(item)`: all that it depends on. `onEnd()`: the end comes near. An item has a `key`. */
  constructor(box, make, mark, onEnd) {
    this.#box = box;
    this.#make = make;
    this.#mark = mark;
    this.#onEnd = onEnd;
    box.append(this.#list);
    box.addEventListener("scroll", () => this.#draw(), { passive: true });
    new ResizeObserver(() => this.#draw()).observe(box);
    oneStop(box, (button, key) => this.#beside(button, key));
  }

  /** Shows these; what is looked at stays where it is. */
  show(items) {
    const top = this.#box.scrollTop;
    const first = this.#items[Math.floor(top / ROW_PX)]?.key;
    this.#items = items;
    this.#list.style.height = `${items.length * ROW_PX}px`;
    const now = top > 0 && first !== undefined ? items.findIndex(({ key }) => key === first) : -1;
    if (now >= 0) this.#box.scrollTop = now * ROW_PX + (top % ROW_PX);
    this.#draw();
  }

  /** The element of a key, scrolled to; null where there is none. */
  reveal(key) {
    const at = this.#items.findIndex((item) => item.key === key);
    if (at < 0) return null;
    const { scrollTop, clientHeight } = this.#box;
    const top = at * ROW_PX;
    if (top < scrollTop || top + ROW_PX > scrollTop + clientHeight) this.#box.scrollTop = top - clientHeight / 3;
    this.#draw();
    return this.#made.get(key)?.element ?? null;
  }

  get(key) {
    return this.#made.get(key)?.element;
  }

  toTop() {
    this.#box.scrollTop = 0;
  }

  #draw() {
    const { scrollTop, clientHeight } = this.#box;
    if (!clientHeight) return;
    const from = Math.max(0, Math.floor(scrollTop / ROW_PX) - AHEAD);
    const to = Math.min(this.#items.length, Math.ceil((scrollTop + clientHeight) / ROW_PX) + AHEAD);
    const made = new Map();
    // The one that has the focus stays.
    const [focused] = [...this.#made].find(([, { element }]) => element.contains(document.activeElement)) ?? [];
    for (let at = 0; at < this.#items.length; at += 1) {
      const item = this.#items[at];
      if ((at < from || at >= to) && item.key !== focused) continue;
      const known = this.#made.get(item.key);
      const mark = this.#mark(item);
      const one = known?.mark === mark ? known : { mark, element: this.#replace(known, item) };
      one.element.style.top = `${at * ROW_PX}px`;
      one.element.setAttribute("aria-posinset", at + 1);
      one.element.setAttribute("aria-setsize", this.#items.length);
      made.set(item.key, one);
    }
    for (const [key, { element }] of this.#made) {
      if (made.get(key)?.element !== element) element.remove();
    }
    /** @type {any} */
    let before = null;
    for (const { element } of made.values()) {
      const place = before ? before.nextElementSibling : this.#list.firstElementChild;
      if (place !== element) this.#list.insertBefore(element, place);
      before = element;
    }
    this.#made = made;
    if (to >= this.#items.length - AHEAD) this.#onEnd();
  }

  /** The same button of the row above or below. */
  #beside(button, key) {
    const way = { ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" }[key];
    if (!way) return undefined;
    const row = button.parentElement;
    const at = [...row.querySelectorAll("button, a")].indexOf(button);
    // The list may have been scrolled elsewhere: only what is seen has its rows around it.
    row.scrollIntoView({ block: "nearest" });
    this.#draw();
    let to = row[way];
    while (to && !to.querySelector("button")) to = to[way];
    return to?.querySelectorAll("button, a")[at] ?? null;
  }

  /** Made anew; the focus stays on the same part of it. */
  #replace(known, item) {
    const element = this.#make(item);
    const parts = (row) => [...row.querySelectorAll("button, a")];
    const focused = known ? parts(known.element).indexOf(document.activeElement) : -1;
    if (focused >= 0) {
      known.element.replaceWith(element);
      parts(element)[focused]?.focus();
    }
    return element;
  }
}

/** As style.css has it. */
const ROW_PX = 44;
/** Rows that are made beyond what is seen. */
const AHEAD = 8;
