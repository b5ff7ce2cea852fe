// The language of the page. English stands where it is said, as t`…` and in index.html; the other languages are
// tables, `ru.txt` and `zh.txt`, of which one at most is fetched. build.rs numbers the texts.

/** Where the tables are. */
const TABLES = { ru: "/ru.json", zh: "/zh.json" };

/** As it was chosen in the settings; empty: as the browser has it. */
export const choice = storedChoice();

const TABLE_MS = 10_000;

const isPage = typeof document !== "undefined";
const asked = isPage ? [choice, ...navigator.languages].filter(Boolean) : [];
const spoken = asked.find((one) => /^(en|ru|zh)/.test(one))?.slice(0, 2) ?? "en";

/** Of dates and numbers: the browser's own kind of this language, or its own language; digits and days as addresses have them. */
export const locale = counted(asked.slice(choice ? 1 : 0).find((one) => one.startsWith(spoken)) ?? (choice || globalThis.navigator?.language || "en"));

const [texts, html] = TABLES[spoken] ? await table(TABLES[spoken]) : [];
if (html) translate(html);

/** Arabic, Persian and Thai browsers have other digits and years; some name a language that there is not (en-US@posix). */
function counted(language) {
  try {
    return Intl.getCanonicalLocales(`${language}-u-ca-gregory-nu-latn`)[0];
  } catch {
    return "en";
  }
}

/** A text in this language: t`…`, and as build.rs has it t(number)`…`; {1} stands for the first value. */
export function t(own, ...values) {
  if (typeof own === "number") return (strings, ...these) => fill(texts?.[own], strings, these);
  return fill(null, own, values);
}

/** Chooses a language, from now on. */
export function choose(language) {
  try {
    localStorage.setItem("language", language);
  } catch {
    return; // forbidden
  }
  location.reload();
}

function storedChoice() {
  try {
    return localStorage.getItem("language") ?? "";
  } catch {
    return "";
  }
}

const fill = (text, strings, values) =>
  text ? text.replace(/\{(\d)\}/g, (_, n) => values[n - 1]) : strings.reduce((all, part, at) => all + values[at - 1] + part);

/** What is said in the modules and what stands in the page; nothing where it does not come: it is English then. */
async function table(address) {
  document.documentElement.dataset.waits = ""; // see old.js
  try {
    return await (await fetch(location.origin + address, { signal: AbortSignal.timeout(TABLE_MS) })).json();
  } catch {
    return [];
  }
}

/** Texts, titles and labels of the page, in the order of build.rs. */
function translate(words) {
  document.documentElement.lang = spoken;
  const walker = document.createTreeWalker(document.body);
  let next = 0;
  const take = (text) => (/[a-z]/i.test(text) ? words[next++] || text.trim() : null);
  /** @type {any} */
  let node;
  for (node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.nodeType === Node.ELEMENT_NODE) {
      for (const { name, value } of [...node.attributes]) {
        if (name === "title" || name === "aria-label") node.setAttribute(name, take(value) ?? value);
      }
    } else if (node.parentNode.localName !== "noscript") {
      const text = take(node.data);
      if (text !== null) node.data = node.data.replace(/\S(.*\S)?/s, () => text);
    }
  }
}
