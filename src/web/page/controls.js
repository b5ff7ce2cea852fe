// The bar below the picture: play, steps, speed, sound, the time as it is typed, full screen.

import { $, onclick, say } from "./dom.js";
import { t } from "./lang.js";
import { typed } from "./moment.js";
import { clock } from "./words.js";

export class Controls {
  #on;
  #cursor = 0;
  #now = 0;

  /**
   * `on.toggle()`, `on.step(ms)`, `on.recording(step)`, `on.speed(x)`, `on.mute()`, `on.live()`, `on.go(ms)`;
   * `on.video()`: the one that is looked at, or null.
   */
  constructor(on) {
    this.#on = on;
    const error = $("picture-error");
    onclick($("play"), error, () => on.toggle());
    onclick($("back"), error, () => on.step(-10_000));
    onclick($("on"), error, () => on.step(10_000));
    onclick($("previous"), error, () => on.recording(-1));
    onclick($("next"), error, () => on.recording(1));
    $("mute").onclick = () => on.mute();
    onclick($("go-live"), error, () => on.live());
    onclick($("save-picture"), error, () => on.picture());
    onclick($("bookmark"), error, () => on.bookmark());
    onclick($("closer"), null, () => on.zoom(1 / 2));
    onclick($("farther"), null, () => on.zoom(2));
    $("speed").addEventListener("change", () => on.speed(Number($("speed").value)));
    onclick($("full"), error, () => this.full());
    onclick($("float"), error, () => this.#float());
    $("full").hidden = !document.fullscreenEnabled && !HTMLVideoElement.prototype.webkitEnterFullscreen;
    $("float").hidden = !document.pictureInPictureEnabled;
    this.#time();
  }

  /** `isLive`, `isPlaying`, `speed`, `isMuted`, `cursor`; `now`: the recorder's time; `noSound`: why there is none to hear, or "". */
  show(now) {
    this.#cursor = now.cursor;
    this.#now = now.now;
    const isPlaying = now.isPlaying || now.isLive;
    $("play").classList.toggle("pause", isPlaying);
    const name = isPlaying ? t`Pause` : t`Play`;
    $("play").setAttribute("aria-label", name);
    $("play").title = t`${name} (Space)`;
    $("go-live").setAttribute("aria-pressed", String(now.isLive));
    if ($("speed").value !== String(now.speed)) $("speed").value = String(now.speed);
    $("mute").classList.toggle("muted", now.isMuted);
    $("mute").setAttribute("aria-label", now.isMuted ? t`Sound on` : t`Sound off`);
    $("mute").title = now.noSound || (now.isMuted ? t`Sound on (M)` : t`Sound off (M)`);
    $("mute").setAttribute("aria-disabled", String(Boolean(now.noSound)));
    if (document.activeElement !== $("time")) $("time").value = clock(now.cursor);
  }

  /** The next speed up or down. */
  faster(step) {
    const speeds = [...$("speed").options].map(({ value }) => value);
    const at = speeds.indexOf($("speed").value) + step;
    if (speeds[at]) this.#on.speed(Number(speeds[at]));
  }

  /** Puts the cursor where a time is typed, with what was typed already. */
  type(digits) {
    const field = $("time");
    field.focus();
    if (digits) field.value = digits;
    else field.select();
  }

  #time() {
    const field = $("time");
    const note = () => {
      const ms = typed(field.value, this.#cursor, this.#now);
      field.setAttribute("aria-invalid", String(ms === null));
      return ms;
    };
    let isTyped = false;
    const leave = () => {
      isTyped = false;
      field.blur();
    };
    field.addEventListener("focus", () => field.select());
    field.addEventListener("input", () => {
      isTyped = true;
      note();
    });
    field.addEventListener("keydown", (event) => event.key === "Escape" && leave());
    field.addEventListener("blur", () => {
      // An iPhone's digits have no other key than Done, which leaves the field.
      const ms = isTyped && document.hasFocus() ? note() : null;
      isTyped = false;
      field.removeAttribute("aria-invalid");
      say($("time-error"), "");
      field.value = clock(this.#cursor);
      if (ms !== null) this.#on.go(ms);
    });
    $("time-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const ms = note();
      if (ms === null) return say($("time-error"), t`Type a time as 1432, 14:32:40 or Tue 14:32`);
      leave();
      this.#on.go(ms);
    });
  }

  /** Where the whole may not fill the screen (iPhones), the picture alone does. */
  full() {
    if (document.fullscreenElement) return document.exitFullscreen();
    if (document.fullscreenEnabled) return $("picture").requestFullscreen();
    this.#on.video()?.webkitEnterFullscreen?.();
  }

  #float() {
    if (document.pictureInPictureElement) return document.exitPictureInPicture();
    const video = this.#on.video();
    if (!video) throw new Error(t`There is no picture to float`);
    return video.requestPictureInPicture();
  }
}
