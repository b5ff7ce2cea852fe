// The cameras: a tab and a live picture for each.

import { $, h, say } from "./dom.js";
import { Live } from "./live.js";
import { t } from "./lang.js";

export class Tiles {
  /** By name. */
  lives = new Map();
  /** What the tabs were made of. */
  #built = "";
  #onOpen;

  /** `onOpen(name)`; without a name: all of them. */
  constructor(onOpen) {
    this.#onOpen = onOpen;
    document.addEventListener("visibilitychange", () => this.lives.forEach((live) => live.update()));
    $("live").addEventListener("click", (event) => {
      const tile = $("live").classList.contains("many") && event.target.closest(".tile");
      const found = tile && [...this.lives.values()].find((live) => live.element === tile);
      if (found) onOpen(found.name);
    });
  }

  /** Made anew where the cameras are others; true then. @param {Api.Status} status */
  build({ cameras, former }) {
    const built = JSON.stringify([cameras.map(({ name, label }) => [name, label]), former.map(({ name }) => name)]);
    if (built === this.#built) return false;
    this.#built = built;
    const names = cameras.map((one) => one.name);
    for (const [name, live] of this.lives) {
      if (!names.includes(name)) live.set(null, false);
    }
    this.lives = new Map(names.map((name) => [name, this.lives.get(name) ?? new Live(name)]));
    $("live").replaceChildren(...[...this.lives.values()].map((live) => live.element));
    const tab = (text, name) => h("button", { type: "button", onclick: () => this.#onOpen(name), "data-name": name ?? "" }, text);
    const tabs = cameras.map((one) => tab(one.label, one.name));
    const gone = former.map((one) => tab(one.name, one.name));
    if (gone.length) gone.unshift(h("span", { className: "quiet" }, gone.length > 1 ? t`Former cameras:` : t`Former camera:`));
    if (tabs.length > 1) tabs.unshift(tab(t`All`));
    if (tabs.length === 0) tabs.push(tab(t`New camera`));
    $("cameras").replaceChildren(...(tabs.length > 1 || gone.length ? [...tabs, ...gone] : []));
    return true;
  }

  /** `camera` or `all`; `isSeen`: the live picture shows, `isLive`: it moves. @param {Api.Status} status */
  show(status, { camera, all, isSeen, isLive, now }) {
    const count = all ? this.lives.size : 1;
    const columns = Math.ceil(Math.sqrt(UPRIGHT.matches ? count / 2 : count));
    $("stage").style.setProperty("--columns", columns);
    $("stage").style.setProperty("--rows", Math.ceil(count / columns));
    $("main").style.setProperty("--lanes", count);
    $("live").classList.toggle("many", all);
    for (const one of status.cameras) {
      const live = this.lives.get(one.name);
      const isShown = isSeen && (all || one.name === camera);
      live.element.hidden = !isShown;
      live.set(one, isShown && isLive, now);
      live.dot.className = `dot ${one.recording ? "on" : ""}`;
      say(live.label, all ? one.label : one.recording ? "REC" : "");
    }
    for (const tab of $("cameras").children) {
      if (tab.dataset.name == null) continue;
      const isCurrent = String(tab.dataset.name === (all ? "" : camera));
      if (tab.getAttribute("aria-current") === isCurrent) continue;
      tab.setAttribute("aria-current", isCurrent);
      // Many cameras do not fit a phone.
      if (isCurrent === "true") requestAnimationFrame(() => tab.scrollIntoView({ block: "nearest", inline: "nearest" }));
    }
  }

  /** Lets go of all pictures. */
  clear() {
    for (const live of this.lives.values()) live.set(null, false);
    this.lives.clear();
    this.#built = "";
  }

  /** By the digit that is typed: 0 all, 1 the first camera. */
  press(digit) {
    const tabs = [...$("cameras").querySelectorAll("button")].filter(({ dataset }) => Boolean(dataset.name) === digit > 0);
    tabs[Math.max(0, digit - 1)]?.click();
  }
}

/** A phone, where pictures stand one below the other. */
const UPRIGHT = matchMedia("(max-width: 30rem)");
