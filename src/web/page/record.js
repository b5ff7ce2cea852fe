// Recording: whether it goes on, and the buttons that start it, stop it, and end the program.

import { $, ask, enable, onclick, say } from "./dom.js";
import { api } from "./api.js";
import { cardState, cardTrouble } from "./health.js";
import { file, length } from "./words.js";
import { t } from "./lang.js";

export class Record {
  #names = "";

  /** `cameras()`: the name that is meant, or null for all. `over()`: it was shut down. */
  constructor(camera, over) {
    const error = $("picture-error");
    for (const [id, what] of [["start", "start"], ["stop", "stop"]]) {
      onclick($(id), error, async () => {
        const name = camera();
        await api("POST", `/api/record/${what}${name ? `?camera=${encodeURIComponent(name)}` : ""}`);
        $("menu").open = false;
      });
    }
    onclick($("shutdown"), null, () => {
      $("menu").open = false;
      ask(t`Shut down the recorder?`, t`All files are closed, then recording ends, and this page with it. It starts again when the board is switched on the next time.`,
        t`Shut Down`, async () => {
          await api("POST", "/api/shutdown");
          over();
        });
    });
    // A menu closes where somebody is done with it.
    document.addEventListener("click", (event) => {
      /** @type {any} */
      const { target } = event;
      if (!target.closest("#menu")) $("menu").open = false;
    });
    $("menu").addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !$("menu").open) return;
      $("menu").open = false;
      $("menu").firstElementChild.focus();
      event.stopPropagation();
    });
  }

  /**
   * The dot with segment number and age; which of the buttons can be pressed. `shown`: the cameras that are meant.
   * @param {Api.Status} status @param {Api.Camera[]} shown
   */
  show(status, shown, age, isAll) {
    const recording = shown.filter((one) => one.recording);
    const wanted = shown.filter((one) => one.recording_wanted ?? one.recording);
    $("dot").className = `dot ${recording.length ? "on" : ""}`;
    const [one] = shown;
    let text = t`Not recording`;
    if (isAll) text = t`${recording.length} of ${shown.length} recording`;
    else if (one?.recording) {
      const since = one.segment_ms == null ? "" : `, ${length(one.segment_ms + age)}`;
      text = one.segment == null ? t`Recording` : t`Recording ${file(one.segment)}${since}`;
    } else if (one?.waits_for_event) {
      text = t`Not recording: nothing happens`;
    } else if (wanted.length) {
      text = cardState(status) ?? (one.state === "live" ? t`Waiting for a key frame` : one.ffmpeg ? t`Waiting for FFmpeg` : t`Waiting for the camera`);
      text = t`Not recording: ${text}`;
    }
    say($("recording-state"), text);
    enable($("start"), wanted.length < shown.length);
    $("start").hidden = wanted.length >= shown.length;
    enable($("stop"), wanted.length > 0);
    this.#announce(status, shown, recording, wanted, isAll ? text : null);
  }

  /** Said once when it changes, not with every second. */
  #announce(status, shown, recording, wanted, text) {
    const trouble = wanted.length ? cardTrouble(status) : null;
    const name = shown.length === 1 ? shown[0].label : "";
    const said = [text ?? (recording.length ? t`${name} is being recorded` : t`${name} is not being recorded`), trouble].filter(Boolean).join(". ");
    if (said === this.#names) return;
    this.#names = said;
    say($("announcement"), said);
  }
}
