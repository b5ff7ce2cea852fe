// The settings: the configuration, the card, the password.

import { $, ask, onclick, onsubmit, say } from "./dom.js";
import { api } from "./api.js";
import { CameraFields, freeName } from "./camera.js";
import { cardTrouble } from "./health.js";
import { choice, choose, t } from "./lang.js";

export class Settings {
  #dialog = $("settings");
  #form = $("settings-form");
  #cameras = [];
  #state = "";

  constructor({ onSaved, onLogout }) {
    const dialog = this.#dialog;
    onclick($("open-settings"), null, () => this.open());
    onclick($("close-settings"), null, () => dialog.close());
    dialog.addEventListener("close", () => this.#stop());
    onclick($("add-camera"), null, () => {
      const others = [...this.#cameras];
      const free = (text) => freeName(text, others);
      const isKnown = (url) => others.some((other) => other.address === url);
      this.#add({ name: free(""), ...(others.length ? {} : { folder: "." }) }, { free, isKnown }).focus();
    });
    onsubmit(this.#form, async () => {
      say($("saved"), "");
      // One that does not answer now is saved as it was typed.
      for (const fields of this.#cameras) await fields.complete().catch(() => {});
      this.#show(await api("PUT", "/api/config", this.#values()));
      say($("saved"), t`Saved.`);
      onSaved();
    });
    onclick($("card"), $("card").parentElement.previousElementSibling, async () => {
      const isReleased = this.#state === "released";
      await api("POST", `/api/storage/${isReleased ? "resume" : "release"}`);
    });
    $("language").value = choice;
    $("language").onchange = () => choose($("language").value);
    const password = $("password-form");
    onsubmit(password, async () => {
      const said = password.querySelector("[role=status]");
      say(said, "");
      await api("PUT", "/api/password", { old: password.elements.old.value, password: password.elements.new.value });
      password.reset();
      say(said, t`Changed.`);
    });
    onclick($("logout"), password.querySelector(".error"), async () => {
      await api("DELETE", "/api/session");
      dialog.close();
      onLogout();
    });
  }

  async open() {
    say($("saved"), "");
    this.#dialog.showModal();
    const error = this.#form.querySelector(":scope > .error");
    say(error, "");
    try {
      this.#show(await api("GET", "/api/config"));
    } catch (problem) {
      say(error, problem.message);
    }
  }

  /** What the status says of the card, and whether there is a password at all. @param {Api.Status} status */
  status(status, auth) {
    this.#state = status.storage.state;
    const isReleased = this.#state === "released";
    say($("card-state"), cardTrouble(status) ?? t`Release the card before you take it out while the power is on.`);
    say($("card"), isReleased ? t`Use Card Again` : t`Release Card`);
    $("password-form").hidden = auth === "none";
  }

  /** @param {Required<Api.Config>} config */
  #show(config) {
    this.#stop();
    this.#cameras = [];
    $("settings-cameras").replaceChildren();
    for (const camera of config.camera) this.#add(camera);
    for (const [name, value] of Object.entries(config.storage)) {
      const field = this.#form.elements[name];
      if (field) field.value = value;
    }
  }

  /** Nobody looks for cameras any more. */
  #stop() {
    for (const fields of this.#cameras) fields.stop();
  }

  #add(camera, isNew = {}) {
    const onRemove = () => {
      ask(t`Remove ${fields.shown}?`, t`It goes when the settings are saved. Its recordings stay on the card, as those of a former camera.`, t`Remove`, () => {
        this.#cameras = this.#cameras.filter((other) => other !== fields);
        fields.element.remove();
      });
    };
    const fields = new CameraFields(camera, { onRemove, ...isNew });
    this.#cameras.push(fields);
    $("settings-cameras").append(fields.element);
    return fields;
  }

  #values() {
    const { elements } = this.#form;
    const storage = {};
    for (const name of ["segment_seconds", "keep_free_percent", "keep_days", "thin_after_days", "sync_seconds"]) {
      storage[name] = Number(elements[name].value);
    }
    return { storage, camera: this.#cameras.map((fields) => fields.value()) };
  }
}
