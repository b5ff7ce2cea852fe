// Cameras that were found nearby, the board's own first: each with its picture, and a button that takes it.

import { h, say } from "./dom.js";
import { discover, probe, shown } from "./probe.js";
import { codec } from "./words.js";
import { t } from "./lang.js";

export class Offers {
  #list = h("ul");
  #note = h("p", { className: "quiet", role: "status" });
  #again = h("button", { type: "button", onclick: () => this.look() }, t`Look Again`);
  element = h("div", { className: "offers" }, this.#list, h("p", { className: "looking" }, this.#note, this.#again));
  /** By its address and first stream: `{ camera, item }`. */
  #offers = new Map();
  #isOver = false;
  #pictures = 0;
  #isKnown;
  #onUse;

  /** `isKnown(url)`: another camera of the settings. `onUse(camera)`. */
  constructor(isKnown, onUse) {
    this.#isKnown = isKnown;
    this.#onUse = onUse;
  }

  /** Looks for cameras, for the streams of those that told none, for pictures. */
  async look() {
    this.#isOver = false;
    this.#again.hidden = true;
    say(this.#note, t`Looking for cameras…`);
    for (const question of [{ address: OWN }, {}]) {
      const found = this.#isOver ? [] : await discover(question).catch(() => []);
      const fresh = found.map((camera) => this.#add(camera)).filter(Boolean);
      for (const offer of fresh) await this.#ask(offer);
      for (const offer of fresh) await this.#picture(offer);
    }
    say(this.#note, this.#offers.size ? "" : t`No other camera was found nearby. Type its address in: its IP address is enough for most.`);
    this.#again.hidden = false;
  }

  async #ask(offer) {
    const { camera } = offer;
    if (this.#isOver || camera.streams.length || camera.needs_password || camera.error) return;
    const [told] = await discover({ address: camera.onvif ?? camera.address }).catch(({ message }) => [{ error: message }]);
    this.#show(offer, { ...camera, ...told, name: told.name || camera.name });
  }

  async #picture({ camera, item }) {
    if (this.#isOver || !camera.streams.length || this.#pictures++ >= PICTURES_MAX) return;
    const { picture } = await probe(camera.streams[0].url).catch(() => ({}));
    if (picture) item.firstChild.replaceChildren(shown(picture));
  }

  /** Asks for nothing more: somebody else wants to ask. */
  stop() {
    this.#isOver = true;
  }

  #add(camera) {
    const url = camera.streams[0]?.url;
    const key = camera.onvif ?? camera.address;
    if (this.#offers.has(key) || (url && this.#isKnown(url))) return null;
    const offer = { camera, item: h("li", {}, h("div"), h("p"), h("button", { type: "button" })) };
    this.#offers.set(key, offer);
    this.#list.append(offer.item);
    this.#show(offer, camera);
    return offer;
  }

  #show(offer, camera) {
    offer.camera = camera;
    const [stream] = camera.streams ?? [];
    if (stream && this.#isKnown(stream.url)) return offer.item.remove();
    const name = camera.name || [camera.maker, camera.model].filter(Boolean).join(" ") || (camera.address === "127.0.0.1" ? t`This board’s own camera` : camera.address);
    const what = stream ? [stream.width && `${stream.width}×${stream.height}`, codec(stream.codec)].filter(Boolean).join(", ")
      : camera.needs_password ? t`wants user and password` : camera.error ?? "";
    const [, text, button] = offer.item.children;
    text.replaceChildren(h("b", {}, name), h("span", { className: "quiet" }, `${camera.address}${what && `: ${what}`}`));
    say(button, t`Use This`);
    button.className = stream ? "primary" : "";
    button.setAttribute("aria-label", t`Use ${name}`);
    button.onclick = () => this.#onUse(camera);
  }
}

/** Where OpenIPC has the camera of the board that this runs on. */
const OWN = "rtsp://127.0.0.1/stream=0";
/** A picture takes some seconds each. */
const PICTURES_MAX = 6;
