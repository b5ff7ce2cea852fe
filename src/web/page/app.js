// The page: live and past on one axis, as the address says (moment.js) and the server's events tell.

import { $, enable, onsubmit, say } from "./dom.js";
import { Feed, absolute, api } from "./api.js";
import { daysOn, midnight, sameTime } from "./axis.js";
import { Band } from "./band.js";
import { welcome } from "./camera.js";
import { Chosen, savePicture } from "./chosen.js";
import { Controls } from "./controls.js";
import { Days } from "./days.js";
import { Health, agreesSince } from "./health.js";
import { keyboard } from "./keys.js";
import { playsLive } from "./live.js";
import { login } from "./login.js";
import { markFrom, putMark } from "./marks.js";
import { address, moment, readAddress } from "./moment.js";
import { EDGE_MS, Player } from "./player.js";
import { Record } from "./record.js";
import { Recordings } from "./recordings.js";
import { Reel } from "./reel.js";
import { Settings } from "./settings.js";
import { Tiles } from "./tiles.js";
import { Timeline } from "./timeline.js";
import { Wall } from "./wall.js";
import { codec, sentence } from "./words.js";
import { Zoom } from "./zoom.js";
import { t } from "./lang.js";

/** Before the server has said something. @type {any} */
const NONE = null;
/** What it said last. @type {Api.Status} */
let status = NONE;
let statusAt = 0;
let auth = "password";
/** The camera of the axis, the buttons and the picture, perhaps a former one; `all`: every camera's picture. @type {string} */
let camera = NONE;
let all = false;
/** Live, at the right end of the axis. */
let isLive = true;
/** Live sound was asked for. */
let isHeard = false;
let isOver = false;
/** @type {ReturnType<typeof welcome>} */
let welcomeFields = NONE;
const timelines = new Map();

const now = () => (status ? status.clock.now_ms + performance.now() - statusAt : Date.now());
/** Who shows the past. @type {() => any} */
const past = () => (all ? wall : player);
const cursor = () => past().time ?? now();
const known = (name) => Boolean(status) && [...status.cameras, ...status.former].some((one) => one.name === name);
const labelOf = (name) => status?.cameras.find((one) => one.name === name)?.label ?? name;
const isFormer = () => !tiles.lives.has(camera) && known(camera);
const trouble = (problem) => say($("picture-error"), sentence(problem.message));

const tiles = new Tiles((name) => openTab(name));
const health = new Health(() => refresh());
const reel = new Reel();
const shows = {
  time: () => drawAxis(),
  state: () => {
    drawAxis();
    if (!past().isPlaying) settle();
  },
  settled: () => settle(),
  reads: () => !["absent", "released"].includes(status.storage.state),
  end: () => (isFormer() ? player.pause() : go(null)),
};
const player = new Player(reel, now, shows);
const wall = new Wall(reel, now, { ...shows, cameras: () => status.cameras, open: (name) => openTab(name) });
const band = new Band({
  scrub: (ms) => scrub(ms),
  go: (ms, lane) => go(ms, { name: all && lane !== undefined ? status.cameras[lane]?.name : undefined, isPlaying: isLive || past().isPlaying }),
  choose: (edge, ms) => chosen.set(camera, edge === "from" ? Math.min(ms, chosen.to ?? ms) : chosen.from, edge === "to" ? Math.max(ms, chosen.from) : chosen.to),
  mark: (ms) => !all && chosen.mark(chosen.from === null || chosen.to !== null ? "from" : "to", ms),
  view: (from, to) => {
    for (const [, timeline] of shownTimelines()) timeline.need(Math.min(from, midnight(cursor())), Math.max(to, daysOn(midnight(cursor()), 1)), now());
  },
});
const chosen = new Chosen({
  now,
  moment: () => cursor(),
  link: () => hash(),
  change: () => {
    drawAxis();
    settle();
  },
  kept: () => timelineOf(camera).changed(),
  deleted: () => recordingsChanged(camera),
});
const days = new Days({ day: (ms) => openDay(ms) });
const list = new Recordings({
  label: labelOf,
  play: (entry) => {
    go(entry.start_ms, { name: entry.camera, of: entry });
    scrollTo(0, 0); // where the player is, on a small screen
  },
  deleted: (entry) => recordingsChanged(entry.camera, entry.number),
});
const controls = new Controls({
  toggle: () => toggle(),
  step: (ms) => step(ms),
  recording: (way) => recording(way),
  speed: (x) => past().setSpeed(x),
  mute: () => mute(),
  live: () => go(null),
  go: (ms) => go(ms > now() ? daysOn(ms, -1) : ms, { isPlaying: isLive || past().isPlaying }),
  video: () => videoShown(),
  picture: () => picture(),
  bookmark: () => bookmark(),
  zoom: (factor) => band.zoom(factor),
});
const record = new Record(() => (all ? null : camera), () => {
  isOver = true;
  hideAll();
  say($("banner"), t`smolnvr has shut down. All files are closed; the power may be switched off.`);
});
const zoom = new Zoom($("stage"), $("zoomed"), () => !all && !$("main").hidden);
const settings = new Settings({ onSaved: () => refresh(), onLogout: () => begin() });
const feed = new Feed({
  status: (fresh, isFirst) => {
    if (isFirst) say($("banner"), "");
    show(fresh);
    if (!isFirst) return;
    refresh();
    past().again();
  },
  change: (change) => health.change(change),
  recording: (event) => {
    list.event(event);
    recordingsChanged(event.camera, event.number, event.state !== "deleted");
  },
  mark: ({ camera: name, begin_ms }) => timelines.get(name)?.changed(begin_ms),
  login: (session) => {
    settle(); // it goes on from there
    hideAll();
    login(session, enter);
  },
  lost: (seconds) => {
    if (!isOver) say($("banner"), seconds > 1 ? t`smolnvr does not answer. Trying again in ${seconds} s…` : t`smolnvr does not answer. Trying again…`);
  },
});

// --- where we are ---

/** The address of what is shown. */
function hash() {
  if (all) return address({ camera: "all", at: isLive ? null : cursor() });
  const [from, to] = chosen.span ?? [];
  return to != null ? address({ camera, at: from, to }) : address({ camera, at: isLive ? null : cursor() });
}

/** The address follows, without a step back for each. */
function settle() {
  if (!status || camera === null) return;
  if (location.hash !== hash() && !(all && isLive && !location.hash)) history.replaceState(null, "", hash());
  list.mark(camera, past().entry?.number ?? null);
  showList();
}

/**
 * Goes to a moment, or to live (null). `of`: a recording that holds it, of several.
 * @param {number | null} ms
 * @param {{ name?: string, isPlaying?: boolean, of?: Api.Recording | null }} [how]
 */
function go(ms, { name, isPlaying = true, of = null } = {}) {
  if (!status) return;
  const isAll = all && name === undefined;
  const to = name ?? camera;
  const toLive = ms === null || (!of && ms >= now() - EDGE_MS && tiles.lives.has(to));
  if (to !== camera || isAll !== all || toLive !== isLive) {
    const hash = address({ camera: isAll ? "all" : to, at: toLive ? null : ms });
    if (location.hash !== hash) history.pushState(null, "", hash);
    if (to !== camera) chosen.set(to, null, null);
    all = isAll;
  }
  camera = to;
  open(toLive ? null : ms, isPlaying, of);
}

function route() {
  if (!status) return;
  const asked = readAddress(location.hash);
  const isKnown = known(asked.camera);
  const isEmpty = status.cameras.length === 0;
  all = !isKnown && status.cameras.length > 1;
  if (isKnown) camera = asked.camera;
  else if (!tiles.lives.has(camera)) camera = status.cameras[0]?.name ?? NONE;
  welcomeShown(isEmpty && !isKnown);
  if (camera === null) return;
  const at = all && asked.camera !== "all" ? null : asked.at;
  const isSpan = !all && at !== null && asked.to !== null;
  chosen.set(camera, isSpan ? at : null, isSpan ? asked.to : null);
  if (isKnown && (asked.number !== null || (at === null && isFormer()))) return openNumber(asked.number);
  open(at);
}

/** A recording by its number, as addresses were before; without: the last one of a former camera. */
async function openNumber(number) {
  const name = camera;
  const former = status.former.find((one) => one.name === name);
  open(null);
  try {
    const entry = await reel.entry(name, number ?? former?.newest);
    if (name !== camera) return;
    if (!entry) throw new Error(t`This recording is not there any more`);
    open(entry.start_ms, number !== null, entry);
  } catch (problem) {
    trouble(problem);
  }
}

/** Shows a moment, or what is live. @param {number | null} ms @param {Api.Recording | null} of */
function open(ms, isPlaying = true, of = null) {
  isLive = ms === null;
  say($("picture-error"), "");
  zoomOff();
  if (ms === null || all) player.close();
  if (ms === null || !all) wall.close();
  if (ms !== null) past().show(camera, ms, { isPlaying, of }).catch(trouble);
  draw();
  settle();
}

let zoomedOf = "";
function zoomOff() {
  const of = `${camera} ${all}`;
  if (of !== zoomedOf) zoom.reset();
  zoomedOf = of;
}

/** The picture follows the finger. */
function scrub(ms) {
  if (isLive) {
    isLive = false;
    draw();
  }
  past().scrub(camera, ms);
  drawAxis();
}

/** The same time of another day where something was recorded then or later, else what comes first on it. */
async function openDay(day) {
  if (day === midnight(now()) && isLive) return;
  const name = camera;
  const isAll = all;
  const wanted = Math.min(sameTime(day, cursor()), now());
  const spans = (await timelineOf(name).day(day)).filter(([start, end]) => end > day && start < daysOn(day, 1));
  const isThere = spans.length === 0 || spans.some(([, end]) => end > wanted);
  go(isThere ? wanted : Math.max(day, spans[0][0]), { name: isAll ? undefined : name });
}

function mute() {
  if (!isLive && !all) return player.mute(!player.isMuted);
  const why = isHeard ? "" : noSound();
  if (why) return trouble({ message: why });
  isHeard = !isHeard;
  draw();
}

/** Why there is no live sound, or "". */
function noSound() {
  const sound = status.cameras.find(({ name }) => name === camera)?.sound;
  if (all) return t`One camera at a time is heard`;
  if (!sound) return t`No sound comes: is ‘Record sound too’ switched on in the settings?`;
  return playsLive(sound) ? "" : t`Browsers do not play ${sound} live; recordings have it`;
}

const toggle = () => (isLive ? go(now() - EDGE_MS - 500, { isPlaying: false }) : past().toggle());
const step = (ms) => go(cursor() + ms, { isPlaying: isLive || past().isPlaying });

/** Pressed twice, a key leads twice as far, however long the answers take. */
let turn = Promise.resolve();
const inTurn = (action) => (turn = turn.then(action).catch(trouble));

/** To the beginning of this recording, of the one before, of the next. */
const recording = (way) => inTurn(async () => {
  const { entry } = past();
  if (!entry) return way < 0 ? step(-EDGE_MS - 2000) : undefined;
  const isInside = way < 0 && cursor() - entry.start_ms > INSIDE_MS;
  const to = isInside ? entry : await reel[way < 0 ? "previous" : "next"](entry);
  if (to) go(to.start_ms, { of: to, isPlaying: past().isPlaying });
  else if (way > 0) go(null);
});

/** To what happened next, or before. */
const toMark = (way) => inTurn(async () => {
  const ms = await markFrom(camera, cursor(), way, now());
  if (ms === null) player.note(way > 0 ? t`Nothing is marked after this` : t`Nothing is marked before this`);
  else go(ms, { isPlaying: isLive || past().isPlaying });
});

async function bookmark() {
  const ms = cursor();
  await putMark(camera, ms);
  timelineOf(camera).changed(ms);
  drawAxis();
}

const videoShown = () => (isLive ? tiles.lives.get(camera)?.video : past().video);

async function picture() {
  const shown = videoShown();
  if (!shown?.videoWidth) return trouble(new Error(t`There is no picture to save`));
  await savePicture(shown, `${camera}_${moment(cursor()).replace("T", "_").replaceAll(":", "-")}.jpg`);
}

// --- what is known ---

function timelineOf(name) {
  if (!timelines.has(name)) timelines.set(name, new Timeline(name, () => drawAxis()));
  return timelines.get(name);
}

const shownTimelines = () => (all ? status.cameras.map(({ name }) => name) : [camera]).map((name) => [name, timelineOf(name)]);

function recordingsChanged(name, number, isToday = false) {
  reel.forget(name, number, now());
  timelines.get(name)?.changed(isToday ? now() : undefined);
  if (name !== camera) return;
  days.changed();
  player.changed();
}

function show(fresh) {
  status = fresh;
  statusAt = performance.now();
  $("menu").hidden = false;
  settings.status(fresh, auth);
  list.status(fresh, 0);
  const isFirst = tiles.lives.size === 0;
  if (tiles.build(fresh) && (isFirst || !known(camera) || (isLive && isFormer()))) route();
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

/** Another camera, at the same moment. */
function openTab(name) {
  const at = !isLive && (!name || tiles.lives.has(name)) ? cursor() : null;
  const to = address({ camera: name || "all", at });
  if (location.hash === to) route();
  else location.hash = to;
}

/** What changes with the status and with every second. */
function draw() {
  if (!status || camera === null || isOver) return;
  const age = performance.now() - statusAt;
  $("player").hidden = isLive || all;
  $("wall").hidden = isLive || !all;
  $("former").hidden = !isFormer();
  // While the finger looks for a first picture, the live one stays below.
  tiles.show(status, { camera, all, isSeen: isLive || !past().hasPicture, isLive, now: now() });
  say($("list-title"), $("cameras").children.length ? t`Recordings of ${labelOf(camera)}` : t`Recordings`);
  const shown = status.cameras.filter((one) => all || one.name === camera);
  $("record").hidden = shown.length === 0;
  if (shown.length) record.show(status, shown, age, all);
  warnOfCodec(shown);
  health.show(status, age);
  for (const [name, live] of tiles.lives) live.hear(isHeard && isLive && !all && name === camera);
  for (const one of shown) {
    if (one.segment_ms !== null && one.name === camera) list.growing(one.segment, one.segment_ms + age);
  }
  document.title = `${status.cameras.some((one) => one.recording) ? "● " : ""}smolnvr`;
  drawAxis();
}

function drawAxis() {
  if (!status || camera === null || isOver) return;
  const at = cursor();
  const agrees = agreesSince(status, performance.now() - statusAt);
  const lanes = shownTimelines().map(([name, timeline]) => {
    const one = status.cameras.find((other) => other.name === name);
    const spans = timeline.covered(one?.recording ? one.segment_start_ms : null, now(), agrees);
    return { label: labelOf(name), spans, gaps: timeline.gaps, kept: timeline.kept, marks: timeline.marks };
  });
  band.show({ lanes, cursor: at, now: now(), isLive, chosen: all ? null : chosen.span });
  controls.show({ isLive, isPlaying: past().isPlaying, speed: past().speed, isMuted: isLive ? !isHeard : past().isMuted, noSound: isLive || all ? noSound() : "", cursor: at, now: now() });
  days.show(camera, at, now());
  for (const id of ["mark", "save", "link", "bookmark"]) enable($(id), !all);
  if (!all) chosen.kept(timelineOf(camera).kept);
  const { complete } = timelineOf(camera);
  say($("axis-note"), complete || status.storage.state === "absent" ? "" : t`The card is still being read: more may come`);
}

/** Said before somebody wonders why nothing moves. */
function warnOfCodec(shown) {
  const one = shown.find(({ mime }) => mime && !player.video.canPlayType(mime));
  say($("codec-note"), one && isLive && !all ? t`${one.label} sends ${codec(one.codec)}, which this browser cannot play: live shows snapshots. What helps: H.264 in the camera's settings, a browser that knows ${codec(one.codec)} (Safari, Edge, Chrome on most phones), or Mark and Save, then VLC.` : "");
}

/** The drawer of files follows the day. */
function showList() {
  if (!$("files").hidden) list.show(camera, isLive || midnight(cursor()) === midnight(now()) ? Infinity : daysOn(midnight(cursor()), 1));
}

async function refresh() {
  try {
    const [fresh] = await Promise.all([api("GET", "/api/status"), list.refresh()]);
    for (const [name] of timelines) recordingsChanged(name);
    show(fresh);
    health.changes(fresh.changes ?? []);
  } catch (problem) {
    if (problem.status && problem.status !== 401) say($("banner"), sentence(problem.message));
  }
}

// --- the beginning ---

async function begin() {
  hideAll();
  // Mostly one is logged in, and a round trip is saved; else the feed finds out as well, and tries until there is an answer.
  feed.start();
  try {
    const session = await api("GET", "/api/session");
    auth = session.auth;
    // The feed may have been faster, and somebody types already.
    if (session.auth !== "password" || (session.logged_in && session.password_set) || $("login").open) return;
    hideAll();
    login(session, enter);
  } catch {
    // Said by the feed.
  }
}

function enter(session) {
  auth = session.auth;
  feed.start();
}

function hideAll() {
  feed.stop();
  player.close();
  wall.close();
  tiles.clear();
  status = NONE;
  for (const id of ["main", "welcome", "menu", "record"]) $(id).hidden = true;
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
}

/** What the head of the page has asked for already: the picture waits neither for the events nor for a login's answer. */
async function early() {
  try {
    const answer = await fetch(absolute("/api/status"));
    const fresh = answer.ok && (await answer.json());
    if (fresh && !status && !$("login").open) show(fresh);
  } catch {
    // Said by the feed.
  }
}

// --- what is pressed ---

$("player").addEventListener("click", () => player.toggle());
function drawer() {
  $("files").hidden = !$("files").hidden;
  $("open-files").setAttribute("aria-expanded", String(!$("files").hidden));
  $("main").classList.toggle("with-files", !$("files").hidden);
  if ($("files").hidden) return $("open-files").focus();
  $("files").scrollIntoView({ block: "nearest" });
  showList();
  list.refresh().catch(() => {});
}
$("open-files").onclick = $("close-files").onclick = drawer;
onsubmit($("welcome-form"), async () => {
  await welcomeFields.complete();
  await api("PUT", "/api/config", { camera: [welcomeFields.value()] });
  await refresh();
});
keyboard({
  isOn: () => Boolean(status) && !$("main").hidden,
  closes: () => $("menu").open,
  toggle,
  step,
  recording: (way, event) => (event.shiftKey ? toMark(way) : recording(way)),
  bookmark: () => !all && bookmark().catch(trouble),
  frame: (way) => (isLive ? toggle() : past().frame(way, status.cameras.find(({ name }) => name === camera)?.fps)),
  faster: (way) => controls.faster(way),
  zoom: (factor) => band.zoom(factor),
  live: () => !isLive && !isFormer() && go(null),
  time: (digits) => controls.type(digits),
  days: () => days.open(),
  mark: (edge) => !all && chosen.mark(edge),
  save: () => !all && chosen.save(),
  link: () => chosen.link(),
  picture: () => picture().catch(trouble),
  full: () => Promise.resolve(controls.full()).catch(trouble),
  mute,
  camera: (digit) => tiles.press(digit),
});
window.addEventListener("hashchange", route);
setInterval(() => {
  draw();
  player.nudge();
}, 1000);
document.documentElement.dataset.started = ""; // see old.js
begin();
early();

/** So far inside a recording, its own beginning is meant. */
const INSIDE_MS = 2000;
