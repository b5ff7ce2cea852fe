// The fields of one camera, with a test of its address. Used by the settings and at the first start.

import { $, h, onclick, say } from "./dom.js";
import { decoded } from "./moment.js";
import { Offers } from "./offers.js";
import { discover, facts, probe } from "./probe.js";
import { t } from "./lang.js";

/** What the configuration says of a camera that is not told otherwise. */
const NEW = { label: "", url: "", live_url: "", transport: "tcp", engine: "native", audio: false, record: true, snapshot: "auto" };

export class CameraFields {
  #camera;
  #inputs = {};
  /** @type {Offers | null} */
  #offers = null;
  #result = h("div", { className: "result", role: "status" });

  /**
   * `camera` as the configuration has it; `onRemove` where it can be removed. For a new one: `free(text)`, a
   * name of its own, made of what people call it; `isKnown(url)`: another camera; `onUse()`: one that was found is taken.
   * @param {any} camera
   * @param {{ onRemove?: () => void, free?: any, isKnown?: any, onUse?: () => void }} how
   */
  constructor(camera, { onRemove, free, isKnown, onUse }) {
    this.#camera = { ...NEW, ...camera };
    const { user, password, rest } = take(this.#camera.url);
    const input = (name, text, properties) => {
      const field = properties.options ? h("select", {}, ...properties.options.map(([value, label]) => h("option", { value }, label)))
        : h("input", { spellcheck: false, autocomplete: "off", autocapitalize: "none", ...properties });
      if (properties.options) field.value = properties.value;
      this.#inputs[name] = field;
      return h("label", field.type === "checkbox" ? { className: "check" } : {},
        ...(field.type === "checkbox" ? [field, text] : [text, " ", field]));
    };
    const c = this.#camera;
    this.legend = h("legend", {}, c.label || c.name);
    const test = h("button", { type: "button" }, t`Test`);
    const remove = onRemove && h("button", { type: "button", onclick: onRemove }, t`Remove`);
    const error = h("p", { className: "error", role: "alert", hidden: true });
    this.#offers = free && new Offers(isKnown, (found) => {
      this.#use(found);
      if (found.streams?.length) onUse?.();
    });
    this.element = h("fieldset", {}, this.legend, this.#offers?.element,
      h("div", { className: "fields" },
        input("url", t`Address`, { value: rest, required: true, maxLength: 900, inputMode: "url", placeholder: "192.168.1.20" }),
        input("label", t`Name shown`, { value: c.label, maxLength: 64, placeholder: c.name, autocapitalize: "sentences" }),
        input("user", t`User`, { value: user, maxLength: 200 }),
        input("password", t`Password`, { type: "password", value: "", maxLength: 200, autocomplete: "new-password",
          placeholder: password ? t`unchanged` : "" }),
        input("record", t`Record from start-up on`, { type: "checkbox", checked: c.record })),
      h("details", {}, h("summary", {}, t`More`),
        h("div", { className: "fields" },
      input("name", t`In addresses and files`, { value: c.name, required: true, maxLength: 32, pattern: "[a-z0-9_\\-]+", title: t`a to z, 0 to 9, - and _` }),
          input("live_url", t`Address of a smaller stream for the live picture`, { value: c.live_url ?? "", maxLength: 1000, inputMode: "url" }),
          input("snapshot", t`Snapshots: auto, off, or an http:// address`, { value: c.snapshot, maxLength: 1000 }),
          input("transport", t`Transport`, { value: c.transport, options: [["tcp", "TCP"], ["udp", "UDP"]] }),
          input("engine", t`Engine`, { value: c.engine, options: [["native", "native"], ["ffmpeg", "FFmpeg"]] }),
          input("audio", t`Record sound too`, { type: "checkbox", checked: c.audio })),
        h("p", { className: "quiet" }, t`The name shown may be changed at any time. The one in addresses and files stays: recordings that were made under another are listed as a former camera's.`)),
      h("p", { className: "buttons" }, remove, test), error, this.#result);
    const { label, name: stable } = this.#inputs;
    const show = () => {
      say(this.legend, this.shown);
      label.placeholder = stable.value;
    };
    label.addEventListener("input", () => {
      if (free) stable.value = free(label.value);
      show();
    });
    stable.addEventListener("input", () => {
      free = null; // chosen
      show();
    });
    stable.addEventListener("invalid", () => (stable.closest("details").open = true));
    this.#inputs.url.addEventListener("change", () => this.#split());
    onclick(test, error, () => this.#test(test));
    this.#offers?.look();
  }

  get name() {
    return this.#inputs.name.value;
  }

  /** What people call it. */
  get shown() {
    return this.#inputs.label.value.trim() || this.name || t`New camera`;
  }

  /** Where it records, as far as that is known: of its name, but that of `camera` is the card itself. */
  get folder() {
    return this.#camera.folder ?? (this.name === "camera" ? "." : this.name);
  }

  focus() {
    this.#inputs.url.focus();
  }

  /** Its address without user and password. */
  get address() {
    return take(this.#inputs.url.value.trim()).rest;
  }

  /** Looks for no more cameras. */
  stop() {
    this.#offers?.stop();
  }

  /** The camera in the configuration's shape. */
  value() {
    const { url, user, password, ...others } = this.#inputs;
    const camera = { ...this.#camera, url: this.#url() };
    for (const [name, field] of Object.entries(others)) {
      camera[name] = field.type === "checkbox" ? field.checked : field.value.trim();
    }
    // The box knows on and off alone.
    if (camera.record && this.#camera.record === "events") camera.record = "events";
    return camera;
  }

  /** An address with user and password in it, as it is often copied. */
  #split() {
    const { user, password, rest } = take(this.#inputs.url.value.trim());
    this.#inputs.url.value = rest;
    if (user) this.#inputs.user.value = user;
    if (password) this.#inputs.password.value = password;
  }

  #url() {
    this.#split();
    const { url, user, password } = this.#inputs;
    const [, scheme, rest] = url.value.match(/^(\w+:\/\/)?(.*)$/);
    const old = take(this.#camera.url);
    const secret = password.value ? encodeURIComponent(password.value) : old.password === KEPT && user.value === old.user ? KEPT : "";
    const name = encodeURIComponent(user.value);
    const credentials = secret ? `${name}:${secret}@` : name && `${name}@`;
    return `${scheme ?? "rtsp://"}${credentials}${rest}`;
  }

  /** Takes over what was found of a camera. */
  #use({ address, name, model, streams = [], onvif }) {
    this.#offers?.stop();
    const { url, live_url: small, label, user } = this.#inputs;
    url.value = streams[0]?.url ?? onvif?.replace(/^http:..([^/]*).*/, "$1") ?? address;
    small.value = streams[1]?.url ?? "";
    if (!label.value && (name || model)) {
      label.value = name || model;
      label.dispatchEvent(new Event("input"));
    }
    if (!streams.length) this.#askForUser(user);
  }

  #askForUser(user) {
    this.#result.replaceChildren(h("p", {}, t`The camera wants user and password: type them in, then press Test.`));
    user.focus();
  }

  /** Where a host was typed without a path: the one that the camera has. */
  async complete() {
    this.#offers?.stop();
    this.#split();
    const { url, user, password } = this.#inputs;
    const [, address] = url.value.trim().match(/^((?:rtsp:\/\/)?[^/]+)$/i) ?? [];
    if (!address || url.value === take(this.#camera.url).rest || this.#url().includes(`:${KEPT}@`)) return;
    const [found] = await discover({ address, ...(user.value ? { user: user.value, password: password.value } : {}) });
    if (!found.streams.length) throw new Error(found.error ?? WANTS_USER);
    this.#use(found);
  }

  async #test(button) {
    const { url, user } = this.#inputs;
    if (!url.reportValidity()) return;
    this.#result.replaceChildren(h("p", { className: "quiet" }, t`Asking the camera; this takes up to 15 s…`));
    say(button, t`Testing…`);
    try {
      await this.complete();
      this.#result.replaceChildren(...facts(await probe(this.#url(), this.#camera.name ?? this.name)));
    } catch (problem) {
      this.#result.replaceChildren();
      if (/401|password/.test(problem.message)) user.focus();
      throw problem;
    } finally {
      say(button, t`Test`);
    }
  }
}

const WANTS_USER = t`The camera wants user and password`;

/** An address's user and password, and the rest. */
function take(url) {
  const [, scheme = "", user = "", password = "", rest] = url.match(/^(\w+:\/\/)?(?:([^:@/]*)(?::([^/]*))?@)?(.*)$/);
  return { user: decoded(user), password: decoded(password), rest: scheme + rest };
}

/** How a password that is not given out stands in an address. */
const KEPT = "***";

/** A name that others (fields) do not have, in a folder that they do not have: of a text, or `camera`. */
export function freeName(text, others) {
  const plain = text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  const base = plain.replace(/[^a-z0-9_]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 28) || "camera";
  const isTaken = (name) => others.some((other) => other.name === name || other.folder === (name === "camera" ? "." : name));
  let name = base;
  for (let n = 2; isTaken(name); n += 1) name = `${base}${n}`;
  return name;
}

/** The first start: one camera, and the picture appears. The first one records into the card itself. */
export function welcome() {
  const fields = new CameraFields({ name: "camera", folder: "." }, {
    free: (text) => freeName(text, []),
    isKnown: () => false,
    onUse: () => $("welcome-form").requestSubmit(),
  });
  $("welcome-camera").replaceChildren(fields.element);
  return fields;
}
