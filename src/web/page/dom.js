// Elements: found, made, changed. Text goes in as text, never as HTML.

import { sentence } from "./words.js";

/** @type {(id: string) => any} */
export const $ = (id) => document.getElementById(id);

/** An element: properties, attributes (`aria-`, `data-`), `on…` handlers, then children. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** What this browser remembers of the page, where it may; sets it where a value is given. */
export function remembered(name, value) {
  try {
    if (value !== undefined) localStorage.setItem(name, value);
    return localStorage.getItem(name);
  } catch {
    return null; // forbidden
  }
}

/** Sets a text, touching the page only where it differs: a screen reader says it once. */
export function say(element, text) {
  text ??= "";
  if (element.textContent !== text) element.textContent = text;
  if (element.matches(".error, .note, .banner, .hint")) element.hidden = !text;
}

/** A button that keeps the focus while it cannot be used. */
export function enable(button, enabled) {
  button.setAttribute("aria-disabled", String(!enabled));
}

/** Calls `action` on a click, once at a time; what goes wrong is said in `error`. */
export function onclick(button, error, action) {
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled") === "true" || button.classList.contains("busy")) return;
    await attempt(button, error, action);
  });
}

/** The same for the submission of a form, whose `.error` it uses. */
export function onsubmit(form, action) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter ?? form.querySelector("[type=submit]");
    if (button.classList.contains("busy")) return;
    await attempt(button, form.querySelector(":scope > .error"), () => action(button.value));
  });
}

async function attempt(button, error, action) {
  button.classList.add("busy");
  if (error) say(error, "");
  try {
    await action();
  } catch (problem) {
    if (error) say(error, sentence(problem.message));
  } finally {
    button.classList.remove("busy");
  }
}

/**
 * Makes a box of many buttons one stop of the Tab key, or one of its rows: where one was last, the current one, or the first.
 * `next(button, key)`: where a key leads, null to stay; undefined where the key means nothing here.
 */
export function oneStop(box, next) {
  let last = null;
  let isPointed = false;
  const row = (one) => one.closest("li") ?? one;
  const mark = () => {
    const all = [...box.querySelectorAll("button, a")];
    const seen = all.filter((one) => one.offsetParent);
    const stop = seen.find((one) => one === last) ?? seen.find((one) => one.matches("[aria-current=date], [aria-current=true]")) ?? seen[0] ?? all[0];
    for (const one of all) one.tabIndex = row(one) === row(stop) ? 0 : -1;
  };
  // Keys do nothing for the page while a dialog is open.
  const isPages = !box.closest("dialog");
  box.addEventListener("pointerdown", ({ target }) => (isPointed = isPages && !!target.closest("button, a")));
  box.addEventListener("focusin", ({ target }) => {
    last = target;
    mark();
  });
  box.addEventListener("focusout", ({ relatedTarget }) => (isPointed &&= box.contains(relatedTarget)));
  box.addEventListener("keydown", (event) => {
    // Behind a click, keys are the page's.
    if (isPointed || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const to = next(event.target, event.key);
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    to?.focus();
  });
  const later = inPieces(mark);
  new MutationObserver(() => later()).observe(box, { childList: true, subtree: true });
}

/** An action in a task of its own, once for the latest values: what takes a phone long does not add up. */
export function inPieces(action) {
  /** @type {any} */
  let values = null;
  return (...latest) => {
    if (!values) {
      setTimeout(() => {
        const now = values;
        values = null;
        action(...now);
      });
    }
    values = latest;
  };
}

/** Asks in a dialog; does `action` on yes, and stays open with the reason where that fails. */
export function ask(title, text, yes, action) {
  const dialog = $("question");
  const error = dialog.querySelector(".error");
  const [no, button] = dialog.querySelectorAll("button");
  say($("question-title"), title);
  say($("question-text"), text);
  say(button, yes);
  say(error, "");
  no.onclick = () => dialog.close();
  dialog.firstElementChild.onsubmit = async (event) => {
    event.preventDefault();
    if (button.classList.contains("busy")) return;
    await attempt(button, error, async () => {
      await action();
      dialog.close();
    });
  };
  dialog.showModal();
  no.focus();
}
