// Asking cameras: which there are nearby, what one sends, and how it looks. One question at a time, as the server has it.

import { h } from "./dom.js";
import { api } from "./api.js";
import { video } from "./words.js";
import { t } from "./lang.js";

let lastAnswer = Promise.resolve();

/** Asks after the questions before. */
function askInTurn(path, question) {
  const mine = lastAnswer.then(() => api("POST", path, question));
  lastAnswer = mine.catch(() => {});
  return mine;
}

/** Cameras nearby, or the one at `address`. */
export const discover = async (question) => (await askInTurn("/api/discover", question)).cameras;

/** What a camera sends, and a picture; `camera`: whose stored password may be used. */
export const probe = (url, camera) => askInTurn("/api/probe", { url, camera });

/** What a test found: a picture and a line. @param {Api.Probe} found */
export function facts({ tracks, video: v, packets_lost, picture }) {
  const offers = tracks.map((track) => track.encoding).join(", ") || t`nothing`;
  if (!v) return [h("p", {}, t`The camera answers, but no picture came. It offers: ${offers}.`)];
  const lines = [video(v)];
  if (v.key_frame_distance_ms) lines.push(t`a key frame every ${(v.key_frame_distance_ms / 1000).toFixed(1)} s`);
  if (packets_lost) lines.push(t`${packets_lost} packets lost meanwhile`);
  const parts = [h("p", { className: "works" }, t`It works: ${lines.join(", ")}.`)];
  if (picture) parts.unshift(shown(picture));
  return parts;
}

export function shown({ mime, base64 }) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const src = URL.createObjectURL(new Blob([bytes], { type: mime }));
  if (mime.startsWith("image/")) return h("img", { src, alt: t`The camera's picture` });
  const element = h("video", { src, muted: true, playsInline: true, autoplay: true });
  element.setAttribute("aria-label", t`The camera's picture`);
  element.onerror = () => element.replaceWith(h("p", { className: "quiet" }, t`This browser cannot show the picture.`));
  return element;
}
