// How the axis looks: coverage, gaps, what is kept, marks and ticks, on a canvas.

import { midnight, pixelOf, ticks, within } from "./axis.js";
import { dayShort, hourMinute, hourMinuteSecond } from "./words.js";
import { t } from "./lang.js";

/** Why nothing was recorded: in a sentence, and on the band. */
export const CAUSES = {
  camera: [t`the camera was gone`, t`camera gone`],
  card: [t`the card was gone`, t`card gone`],
  stopped: [t`recording was stopped`, t`stopped`],
  off: [t`the recorder was off`, t`recorder off`],
  "no event": [t`nothing happened`, t`no event`],
  unknown: [t`nothing was recorded`, ""],
};

/** A canvas as large as its place, in the pixels of the screen; null while it has none. */
export function canvasOf(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  const scale = devicePixelRatio;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** The colours of the theme that is on. */
export function colours(element) {
  const style = getComputedStyle(element);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return { text: of("text"), quiet: of("quiet"), line: of("line"), filled: of("filled"), doubtful: of("doubtful"),
    kept: of("amber"), mark: of("mark"), now: of("red"), back: of("card"), chosen: of("focus"), font: style.fontFamily };
}

/** The band: `lanes` are `{ label, spans, gaps, kept, marks }`, one a camera. */
export function paintBand(canvas, view, { lanes, colour, now, chosen, cursor }) {
  const place = canvasOf(canvas);
  if (!place) return;
  const { context, width, height } = place;
  const x = (ms) => pixelOf(view, width, ms);
  scale(context, view, width, height, colour);
  const top = TICKS_PX;
  const each = (height - top - 2) / lanes.length;
  lanes.forEach((lane, index) => {
    const y = top + index * each;
    const deep = Math.max(4, each - (lanes.length > 1 ? 2 : 0));
    paintLane(context, lane, view, { width, x, y, deep, colour, now });
    if (lanes.length < 2 || deep < NAME_PX) return; // the bubble says it
    context.font = `${Math.min(12, Math.floor(deep))}px ${colour.font}`;
    word(context, lane.label, 6, y + deep / 2, colour.text, colour.back, width / 2);
  });
  if (now < view.to) {
    context.fillStyle = colour.back;
    context.globalAlpha = 0.55;
    context.fillRect(x(now), top, width, height);
    context.globalAlpha = 1;
  }
  if (chosen) paintChosen(context, chosen, x, top, height, colour);
  context.fillStyle = colour.now;
  context.fillRect(x(cursor) - 1, 0, 2, height);
  context.beginPath();
  context.moveTo(x(cursor) - 6, 0);
  context.lineTo(x(cursor) + 6, 0);
  context.lineTo(x(cursor), 8);
  context.fill();
}

/** The whole day: `[from, to]`, with the part that the band shows. */
export function paintDay(canvas, day, { lanes, colour, now, view, chosen, cursor }) {
  const place = canvasOf(canvas);
  if (!place) return;
  const { context, width, height } = place;
  const x = (ms) => pixelOf(day, width, ms);
  const each = height / lanes.length;
  lanes.forEach((lane, index) => paintLane(context, lane, day, { width, x, y: index * each, deep: each - (lanes.length > 1 ? 1 : 0), colour, now, isSmall: true }));
  context.font = `600 11px ${colour.font}`;
  context.textAlign = "left";
  for (const { ms } of ticks(day, width, 60).filter(({ isLabelled }) => isLabelled)) {
    context.fillStyle = colour.back;
    context.fillRect(x(ms), 0, 1, height);
    if (ms > day.from) word(context, hourMinute(ms), x(ms) + 3, height / 2, colour.text, colour.back);
  }
  if (chosen) paintChosen(context, chosen, x, 0, height, colour);
  const [left, right] = [Math.max(1, x(view.from)), Math.min(width - 1, x(view.to))];
  context.strokeStyle = colour.text;
  context.lineWidth = 2;
  if (right > left) context.strokeRect(left, 1, Math.max(6, right - left), height - 2);
  context.fillStyle = colour.now;
  context.fillRect(x(cursor) - 1, 0, 2, height);
}

function scale(context, view, width, height, colour) {
  const seconds = view.to - view.from < 10 * 60_000;
  context.font = `12px ${colour.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const { ms, isLabelled } of ticks(view, width, seconds ? 84 : 64)) {
    const x = pixelOf(view, width, ms);
    context.fillStyle = colour.line;
    context.fillRect(x, isLabelled ? TICKS_PX - 5 : TICKS_PX - 3, 1, 5);
    if (!isLabelled) continue;
    const isDay = ms === midnight(ms);
    context.fillStyle = isDay ? colour.text : colour.quiet;
    context.fillText(isDay ? dayShort(ms) : seconds ? hourMinuteSecond(ms) : hourMinute(ms), x, (TICKS_PX - 4) / 2 + 1);
  }
}

function paintLane(context, lane, view, { width, x, y, deep, colour, now, isSmall = false }) {
  const until = Math.min(now, view.to);
  context.fillStyle = colour.line;
  context.globalAlpha = 0.5;
  context.fillRect(0, y, Math.max(0, Math.min(width, x(until))), deep);
  context.globalAlpha = 1;
  const kept = lane.kept.length ? Math.min(4, deep / 4) : 0;
  for (const span of lane.spans) {
    const part = within(span, view.from, view.to);
    if (!part) continue;
    context.fillStyle = span[4] ? colour.doubtful : colour.filled;
    context.fillRect(x(part[0]), y, Math.max(1, x(part[1]) - x(part[0])), deep);
  }
  context.fillStyle = colour.kept;
  for (const span of lane.kept) {
    const part = within(span, view.from, view.to);
    if (part) context.fillRect(x(part[0]), y + deep - kept, Math.max(2, x(part[1]) - x(part[0])), kept);
  }
  for (const mark of lane.marks) paintMark(context, mark, view, x, y, isSmall ? 9 : deep, colour);
  if (isSmall || deep < 16) return;
  context.font = `12px ${colour.font}`;
  for (const gap of lane.gaps) {
    const part = within(gap, view.from, until);
    const text = CAUSES[gap[4]]?.[1];
    if (!part || !text) continue;
    const room = x(part[1]) - x(part[0]);
    if (context.measureText(text).width > room - 8) continue;
    context.fillStyle = colour.quiet;
    context.textAlign = "center";
    context.fillText(text, (x(part[0]) + x(part[1])) / 2, y + deep / 2);
  }
}

/** A flag where it begins, on a bar as long as it lasted: told by its form as well as by its colour. */
function paintMark(context, [from, to], view, x, y, deep, colour) {
  if (to < view.from || from > view.to) return;
  const [left, high] = [x(from), Math.max(3, Math.min(7, deep / 3))];
  context.fillStyle = colour.mark;
  context.fillRect(left, y, Math.max(2, x(to) - left), high / 2);
  if (high < 6) return;
  context.fillRect(left, y, 2, deep);
  context.beginPath();
  context.moveTo(left, y);
  context.lineTo(left + 11, y + high);
  context.lineTo(left, y + 2 * high);
  context.fill();
  context.lineWidth = 1;
  context.strokeStyle = colour.back;
  context.stroke();
}

function paintChosen(context, [from, to], x, top, height, colour) {
  const [left, right] = [x(from), x(to ?? from)];
  context.fillStyle = colour.chosen;
  context.globalAlpha = 0.3;
  context.fillRect(left, top, right - left, height - top);
  context.globalAlpha = 1;
  for (const edge of to == null ? [left] : [left, right]) {
    context.fillRect(edge - 2, top, 4, height - top);
    context.beginPath();
    context.arc(edge, (top + height) / 2, 6, 0, 7);
    context.fill();
  }
}

/** A word that can be read on anything. */
function word(context, text, x, y, colour, back, room = Infinity) {
  if (context.measureText(text).width > room) {
    let length = Math.floor((text.length * room) / context.measureText(text).width);
    while (length > 0 && context.measureText(`${text.slice(0, length)}…`).width > room) length -= 1;
    text = `${text.slice(0, length)}…`;
  }
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.lineWidth = 3;
  context.strokeStyle = back;
  context.strokeText(text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

/** Where the ticks and their labels are. */
const TICKS_PX = 22;
/** The least that a name can be read in. */
const NAME_PX = 9;
