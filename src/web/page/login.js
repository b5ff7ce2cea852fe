// Logging in, and setting the first password.

import { $, enable, onsubmit, say } from "./dom.js";
import { api } from "./api.js";
import { t } from "./lang.js";

const dialog = $("login");
const form = dialog.firstElementChild;
const password = $("login-password");
const again = $("login-again").querySelector("input");
const button = form.querySelector("[type=submit]");
const error = form.querySelector(".error");

let isFirst = false;
/** On the machine itself one may look without a password while none is set. */
let canWait = false;
/** @type {(session: Api.Session) => void} */
let onDone = () => {};
let timer = 0;

/** Asks for the password, or for a new one where none is set; `done` with the session. */
export function login(session, done) {
  isFirst = !session.password_set;
  canWait = isFirst && session.logged_in;
  onDone = done;
  say($("login-title"), isFirst ? t`Choose a password` : t`Log in`);
  say($("login-text"), isFirst
    ? t`Nobody sees your cameras without it. 8 characters or more; the first one is taken from devices in your own network only.`
    : t`The password of this recorder.`);
  $("later").hidden = !canWait;
  $("later").onclick = () => finish(session);
  say(error, "");
  say(button, isFirst ? t`Set Password` : t`Log In`);
  $("login-again").hidden = !isFirst;
  again.required = isFirst;
  password.minLength = isFirst ? 8 : 0;
  password.autocomplete = again.autocomplete = isFirst ? "new-password" : "current-password";
  form.reset();
  if (!dialog.open) dialog.showModal();
  password.focus();
}

// Escape.
dialog.addEventListener("cancel", (event) => {
  event.preventDefault();
  if (canWait) $("later").click();
});

function finish(session) {
  dialog.close();
  onDone(session);
}

onsubmit(form, async () => {
  if (button.getAttribute("aria-disabled") === "true") throw new Error(t`Not yet: wait until the time is over`);
  if (isFirst && password.value !== again.value) throw new Error(t`The two are not the same`);
  try {
    const session = await (isFirst ? api("PUT", "/api/password", { password: password.value })
      : api("POST", "/api/session", { password: password.value }));
    finish(session);
  } catch (refusal) {
    if (refusal.status === 401) refusal.message = t`Wrong password`;
    if (refusal.waitMs) countDown(refusal);
    password.select();
    throw refusal;
  }
});

/** The server answers nobody at this address for a while. */
function countDown({ waitMs }) {
  const until = performance.now() + waitMs;
  clearInterval(timer);
  const tick = () => {
    const seconds = Math.ceil((until - performance.now()) / 1000);
    enable(button, seconds <= 0);
    say(button, seconds > 0 ? t`Log In (${seconds})` : t`Log In`);
    if (seconds <= 0) clearInterval(timer);
  };
  tick();
  timer = setInterval(tick, 250);
}
