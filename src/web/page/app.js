// The page: what is shown, as the address says (#camera, #camera/number, or all cameras) and the
// server's events tell.

import { $, ask, enable, h, onclick, onsubmit, say } from "./dom.js";
import { Feed, api } from "./api.js";
import { welcome } from "./camera.js";
import { Health, cardTrouble } from "./health.js";
import { Live } from "./live.js";
import { login } from "./login.js";
import { Player } from "./player.js";
import { Recordings } from "./recordings.js";
import { Settings } from "./settings.js";
import { file, length, sentence } from "./words.js";

let status = null;
let statusAt = 0;
let auth = "password";
/** The camera of the list, the buttons and the picture, perhaps a former one; `all`: every camera's picture. */
let camera = null;
/** What the tabs were made of. */
let built = null;
let all = false;
let isOver = false;
const lives = new Map();

const health = new Health();
const labelOf = (name) => status?.cameras.find((one) => one.name === name)?.label ?? name;
const isFormer = () => status.former.some((one) => one.name === camera) && !lives.has(camera);

const list = new Recordings({
  labelOf,
  onPlay: (name, number) => {
    go(name, number);
    scrollTo(0, 0); // where the player is, on a small screen
  },
  onDelete: (entry, next) => {
    if (player.entry?.camera === entry.camera && player.entry.number === entry.number) go(entry.camera, next?.number);
  },
  onChange: () => {
    player.changed();
    // An address that is asked for again as the card is read.
    if (status && !$("player").hidden && !player.entry) route();
  },
});
const player = new Player(list, {
  onShow: (name, number) => {
    if (location.hash !== hash(name, number)) history.replaceState(null, "", hash(name, number));
    list.mark(name, number);
  },
  onEnd: () => go(player.entry.camera),
  onDelete: (entry) => list.askToDelete(entry),
});
const settings = new Settings({ onSaved: () => refresh(), onLogout: () => begin() });
const feed = new Feed({
  status: (now, isFirst) => {
    if (isFirst) say($("banner"), "");
    show(now);
    if (isFirst) refresh();
  },
  change: (change) => health.change(change),
  recording: (event) => list.event(event),
  login: (session) => {
    hideAll();
    login(session, enter);
  },
  lost: (seconds) => {
    if (!isOver) say($("banner"), `smolnvr does not answer. Trying again${seconds > 1 ? ` in ${seconds} s` : ""}…`);
  },
});

// --- the address ---

const hash = (name, number) => (name ? `#${name}${number == null ? "" : `/${number}`}` : "#");

function go(name, number) {
  if (location.hash === hash(name, number)) route();
  else location.hash = hash(name, number);
}

function route() {
  if (!status) return;
  const [name, number] = location.hash.slice(1).split("/");
  const known = [...status.cameras, ...status.former].some((one) => one.name === name);
  const isEmpty = status.cameras.length === 0;
  all = !known && status.cameras.length > 1;
  if (known) camera = name;
  else if (!lives.has(camera)) camera = status.cameras[0]?.name ?? null;
  welcomeShown(isEmpty && !known);
  if (camera === null) return;
  list.show(camera);
  const plays = known && /^\d+$/.test(number ?? "");
  const left = !plays && $("player-bar").contains(document.activeElement) ? player.entry : null;
  $("player").hidden = $("player-bar").hidden = !plays;
  $("live").hidden = $("live-bar").hidden = plays || isFormer();
  $("former").hidden = plays || !isFormer();
  say($("picture-error"), "");
  if (plays) {
    player.open(camera, Number(number)).catch((problem) => say($("picture-error"), problem.message));
  } else {
    player.close();
    list.mark(null, null);
    if (left) list.focus(left.number);
  }
  draw();
}

// --- the status ---

function show(now) {
  status = now;
  statusAt = performance.now();
  $("open-settings").hidden = $("shutdown").hidden = false;
  settings.status(now, auth);
  list.status(now, 0);
  const names = JSON.stringify([now.cameras.map(({ name, label }) => [name, label]), now.former.map(({ name }) => name)]);
  if (names !== built) {
    built = names;
    build();
    route();
  }
  draw();
}

/** The first start: one camera is asked for, in place of everything else. */
function welcomeShown(isShown) {
  if (isShown && $("welcome").hidden) welcomeFields = welcome();
  $("main").hidden = isShown;
  if (isShown && $("welcome").hidden) {
    $("welcome").hidden = false;
    welcomeFields.focus();
  }
  $("welcome").hidden = !isShown;
}

/** Pictures and tabs, when the cameras are others. */
function build() {
  const names = status.cameras.map((one) => one.name);
  for (const [name, live] of lives) {
    if (!names.includes(name)) live.set(null, false);
  }
  const old = new Map(lives);
  lives.clear();
  for (const name of names) lives.set(name, old.get(name) ?? new Live(name));
  $("live").replaceChildren(...[...lives.values()].map((live) => live.element));
  const tab = (text, name) => h("button", { type: "button", onclick: () => go(name), "data-name": name ?? "" }, text);
  const tabs = status.cameras.map((one) => tab(one.label, one.name));
  const former = status.former.map((one) => tab(one.name, one.name));
  if (former.length) former.unshift(h("span", { className: "quiet" }, former.length > 1 ? "Former cameras:" : "Former camera:"));
  if (tabs.length > 1) tabs.unshift(tab("All"));
  if (tabs.length === 0) tabs.push(tab("New camera"));
  $("cameras").replaceChildren(...(tabs.length > 1 || former.length ? [...tabs, ...former] : []));
}

/** What changes with the status and with every second. */
function draw() {
  if (!status || camera === null || isOver) return;
  const age = performance.now() - statusAt;
  const plays = !$("player").hidden;
  const count = all ? lives.size : 1;
  const columns = Math.ceil(Math.sqrt(count));
  $("stage").style.setProperty("--columns", columns);
  $("stage").style.setProperty("--rows", plays ? 1 : Math.ceil(count / columns));
  $("live").classList.toggle("many", all);
  for (const one of status.cameras) {
    const live = lives.get(one.name);
    const isShown = !plays && (all || one.name === camera);
    live.element.hidden = !isShown;
    live.set(one, isShown);
    live.dot.className = `dot ${one.recording ? "on" : ""}`;
    say(live.label, all ? one.label : one.recording ? "REC" : "");
  }
  for (const tab of $("cameras").children) {
    if (tab.dataset.name != null) tab.setAttribute("aria-current", String(tab.dataset.name === (all ? "" : camera)));
  }
  say($("list-title"), $("cameras").children.length ? `Recordings of ${labelOf(camera)}` : "Recordings");
  if (!isFormer()) recordingState(age);
  health.show(status, age);
  for (const one of status.cameras) {
    if (one.recording && one.name === camera) list.growing(one.segment, one.segment_ms + age);
  }
  document.title = `${status.cameras.some((one) => one.recording) ? "● " : ""}smolnvr`;
}

/** The dot with segment number and age; which of the two buttons can be pressed. */
function recordingState(age) {
  const shown = status.cameras.filter((one) => all || one.name === camera);
  const recording = shown.filter((one) => one.recording);
  const wanted = shown.filter((one) => one.recording_wanted ?? one.recording);
  $("dot").className = `dot ${recording.length ? "on" : ""}`;
  const [one] = shown;
  let text = "Not recording";
  if (all) text = `${recording.length} of ${shown.length} cameras recording`;
  else if (one?.recording) {
    const since = one.segment_ms == null ? "" : `, ${length(one.segment_ms + age)}`;
    text = one.segment == null ? "Recording" : `Recording ${file(one.segment)}${since}`;
  } else if (wanted.length) {
    text = cardTrouble(status) ?? (one.state === "live" ? "Waiting for a key frame" : one.ffmpeg ? "Waiting for FFmpeg" : "Waiting for the camera");
    text = `Not recording: ${text}`;
  }
  say($("recording-state"), text);
  enable($("start"), recording.length < shown.length);
  enable($("stop"), wanted.length > 0);
  const trouble = wanted.length ? cardTrouble(status) : null;
  say($("announcement"), [all ? text : `${labelOf(camera)} is ${recording.length ? "" : "not "}being recorded`, trouble].filter(Boolean).join(". "));
}

async function refresh() {
  try {
    const [now] = await Promise.all([api("GET", "/api/status"), list.refresh()]);
    show(now);
    health.changes(now.changes ?? []);
  } catch (problem) {
    if (problem.status && problem.status !== 401) say($("banner"), sentence(problem.message));
  }
}

// --- the beginning ---

async function begin() {
  hideAll();
  try {
    const session = await api("GET", "/api/session");
    if (session.auth === "password" && !(session.logged_in && session.password_set)) login(session, enter);
    else enter(session);
  } catch {
    feed.start(); // it goes on trying
  }
}

function enter(session) {
  auth = session.auth;
  feed.start();
}

function hideAll() {
  feed.stop();
  player.close();
  for (const live of lives.values()) live.set(null, false);
  lives.clear();
  status = built = null;
  for (const id of ["main", "welcome", "open-settings", "shutdown"]) $(id).hidden = true;
  if ($("settings").open) $("settings").close();
  if ($("question").open) $("question").close();
}

// --- what is pressed ---

const error = $("picture-error");
for (const [id, what] of [["start", "start"], ["stop", "stop"]]) {
  onclick($(id), error, async () => {
    const query = all ? "" : `?camera=${encodeURIComponent(camera)}`;
    await api("POST", `/api/record/${what}${query}`);
  });
}
onclick($("close-player"), null, () => go(camera));
$("full").hidden = !document.fullscreenEnabled;
onclick($("full"), error, () => (document.fullscreenElement ? document.exitFullscreen() : $("picture").requestFullscreen()));
$("live").addEventListener("click", (event) => {
  const tile = all && event.target.closest(".tile");
  const found = tile && [...lives.values()].find((live) => live.element === tile);
  if (found) go(found.name);
});
onclick($("shutdown"), null, () => {
  ask("Shut down the recorder?", "All files are closed, then recording ends, and this page with it. It begins again when the board is switched on the next time.",
    "Shut Down", async () => {
      await api("POST", "/api/shutdown");
      isOver = true;
      hideAll();
      say($("banner"), "smolnvr has shut down. All files are closed; the power may be switched off.");
    });
});
let welcomeFields = null;
onsubmit($("welcome-form"), async () => {
  await api("PUT", "/api/config", { camera: [welcomeFields.value()] });
  await refresh();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
  if ($("player").hidden) return;
  const { target, key } = event;
  const isSeek = target.id === "seek";
  if (target.matches("input, select, textarea") && !isSeek) return;
  if (key === " " && target.matches("button, a, summary")) return;
  if (key === "Escape" && !document.fullscreenElement) return go(camera);
  if (player.key(key)) event.preventDefault();
});
window.addEventListener("hashchange", route);
setInterval(draw, 1000);
$("health-details").open = matchMedia("(min-width: 60rem)").matches;
document.documentElement.dataset.started = ""; // see old.js
begin();
