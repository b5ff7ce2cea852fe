// The HTTP API: calls, and the stream of events.

import { t } from "./lang.js";

/** An answer that is not the one asked for, in words; `status` 0: there was none. */
export class Refusal extends Error {
  constructor(status, answer) {
    super(answer.error ?? t`smolnvr answered ${status}`);
    this.status = status;
    this.waitMs = answer.retry_after_ms ?? 0;
  }
}

/** Browsers fetch no relative address where the page's own holds a password (http://user:password@host/). */
export const absolute = (path) => location.origin + path;

/** @type {(values: any) => string} */
export const query = (values) => String(new URLSearchParams(values));

/** What happens when a login is needed. */
let onLogin = () => {};

export async function api(method, path, body) {
  let response;
  try {
    response = await fetch(absolute(path), {
      method,
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE_MS),
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refusal(0, { error: t`smolnvr does not answer` });
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (response.status === 401 && !/session|password/.test(path)) onLogin();
  throw new Refusal(response.status, answer);
}

/**
 * The events of the server for as long as the page is looked at. Calls `on.status(status, first)`,
 * `first` where events may have been missed before; `on.change`, `on.recording`, `on.mark`; `on.lost(seconds)` when there is no connection, with the time of the next try.
 */
export class Feed {
  #on;
  /** @type {EventSource | null} */
  #source = null;
  #timer = 0;
  #delay = 0;
  #wanted = false;

  constructor(on) {
    this.#on = on;
    onLogin = () => this.#check();
    document.addEventListener("visibilitychange", () => this.#update());
    // Another network: no need to wait for the next try.
    addEventListener("online", () => this.#wanted && !document.hidden && !this.#source && this.#open());
  }

  start() {
    this.#wanted = true;
    this.#update();
  }

  stop() {
    this.#wanted = false;
    this.#update();
  }

  #update() {
    const wanted = this.#wanted && !document.hidden;
    if (wanted === (this.#source !== null || this.#timer !== 0)) return;
    if (wanted) return this.#open();
    this.#close();
  }

  #close() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#source?.close();
    this.#source = null;
  }

  #open() {
    this.#close();
    const source = new EventSource(absolute("/api/events"));
    this.#source = source;
    let isFirst = true;
    source.onerror = () => this.#check();
    for (const kind of ["status", "change", "recording", "mark"]) {
      source.addEventListener(kind, (event) => {
        this.#delay = 0;
        this.#watch();
        this.#on[kind](JSON.parse(event.data), isFirst);
        if (kind === "status") isFirst = false;
      });
    }
    this.#watch();
  }

  /** The server says something every 5 s; a connection without is dead. */
  #watch() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#check(), SILENCE_MS);
  }

  /** Is it the login, or is the server gone? */
  async #check() {
    if (!this.#wanted) return;
    this.#close();
    this.#timer = setTimeout(() => this.#open(), 60_000); // until the answer is there
    const timer = this.#timer;
    /** @type {Api.Session | null} */
    let session = null;
    try {
      session = await api("GET", "/api/session");
    } catch {
      // said below
    }
    if (this.#timer !== timer) return;
    clearTimeout(timer);
    this.#timer = 0;
    if (session && session.auth === "password" && !session.logged_in) {
      this.#wanted = false;
      return this.#on.login(session);
    }
    this.#delay = Math.min(DELAY_MAX_S, this.#delay * 2 || 1);
    this.#on.lost(this.#delay);
    this.#timer = setTimeout(() => this.#open(), this.#delay * 1000);
  }
}

/** A camera's test takes up to 15 s, closing all files as long as the card takes. */
const PATIENCE_MS = 30_000;
const SILENCE_MS = 12_000;
const DELAY_MAX_S = 10;
