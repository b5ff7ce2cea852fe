// The rows of a long list, by day: a row is made once, and made anew only where its entry changed.

import { h, say } from "./dom.js";
import { day } from "./words.js";

export class Rows {
  #box;
  #last;
  #make;
  /** By the entry's number: what was made of it, and of what. */
  #made = new Map();
  #days = new Map();

  /** `make(entry)`: its elements, the row first. `last` stays at the end of `box`. */
  constructor(box, last, make) {
    this.#box = box;
    this.#last = last;
    this.#make = make;
  }

  /** Shows these entries, in this order. `mark(entry)`: what a row depends on besides. */
  show(entries, mark) {
    const made = new Map();
    const days = new Map();
    const count = new Map();
    const sections = [];
    let heading = null;
    let items = null;
    for (const entry of entries) {
      const one = this.#row(entry, mark(entry));
      made.set(entry.number, one);
      if (one.date !== heading) {
        heading = one.date;
        // A clock that jumped may come to the same day twice.
        const times = (count.get(heading) ?? 0) + 1;
        count.set(heading, times);
        const key = `${heading} ${times}`;
        const section = this.#days.get(key) ?? h("section", {}, h("h3"), h("ol"));
        say(section.firstChild, day(entry.start_ms));
        days.set(key, section);
        items = [];
        sections.push([section, items]);
      }
      items.push(...one.elements);
    }
    this.#made = made;
    this.#days = days;
    arrange(this.#box, [...sections.map(([section]) => section), this.#last]);
    for (const [section, rows] of sections) arrange(section.lastChild, rows);
  }

  /** The row of a number, or undefined. */
  get(number) {
    return this.#made.get(number)?.elements[0];
  }

  #row(entry, mark) {
    const known = this.#made.get(entry.number);
    if (known && known.mark === mark && (known.entry === entry || isSame(known.entry, entry))) {
      known.entry = entry;
      return known;
    }
    return { entry, mark, date: new Date(entry.start_ms).toDateString(), elements: this.#make(entry) };
  }
}

const isSame = (a, b) => Object.keys(b).every((key) => a[key] === b[key]);

/** Makes these the children of an element, and moves none that is in its place. */
function arrange(parent, wanted) {
  const stay = new Set(wanted);
  for (const child of [...parent.children]) {
    if (!stay.has(child)) child.remove();
  }
  let place = parent.firstElementChild;
  for (const child of wanted) {
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
}
