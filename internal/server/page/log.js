// @ts-check
// log.js: the lines of the conversation. Whatever others send is put on the page as text, never as markup.

const MAX_LINES = 500;
const MAX_SHOWN = 4_000; // characters of one message
const SAME_BREATH = 120_000; // what one person says within this time stands under one name

export class Log {
  /** @type {{ id: string, at: number } | null} the last line, if somebody said it */
  #last = null;

  /** @param {HTMLElement} box the scrolling element @param {HTMLElement} newer shown when lines arrive out of sight */
  constructor(box, newer) {
    this.box = box;
    this.newer = newer;
    box.addEventListener("scroll", () => this.#atEnd() && (newer.hidden = true));
    newer.addEventListener("click", () => this.toEnd());
  }

  get isEmpty() {
    return this.#lines.length === 0;
  }

  get #lines() {
    return this.box.querySelectorAll(".line");
  }

  clear() {
    for (const line of this.#lines) line.remove();
    this.#last = null;
    this.newer.hidden = true;
  }

  /** @param {string} id @param {string} name @param {string} text @param {string} tag what to add to the name, or "" @param {boolean} [mine] */
  say(id, name, text, tag, mine = false) {
    const now = Date.now();
    const follows = this.#last?.id === id && now - this.#last.at < SAME_BREATH;
    const who = make("p", follows ? "who hidden" : "who", make("b", "", name), tag && make("span", "tag", tag), clock());
    this.#add(`say${mine ? " mine" : ""}${follows ? " follows" : ""}`, follows ? "" : avatar(id, name), who, make("p", "text", clip(text)));
    this.#last = { id, at: now };
  }

  /** Somebody came or went. @param {string} id @param {string} name @param {string} what */
  event(id, name, what) {
    this.#add("event", avatar(id, name), make("span", "", make("b", "", name), ` ${what}`), clock());
  }

  /** A remark of the page itself. @param {string} text */
  remark(text) {
    this.#add("event remark", make("span", "", text), clock());
  }

  /** Not of the pages' convention: another program speaks here. @param {string} text @param {"raw text" | "binary"} tag */
  raw(text, tag) {
    this.#add("raw", make("p", "who", make("b", "", "Another program"), make("span", "tag", tag), clock()), make("p", "text", clip(text)));
  }

  toEnd() {
    this.box.scrollTop = this.box.scrollHeight;
    this.newer.hidden = true;
  }

  #atEnd() {
    return this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 60;
  }

  /** @param {string} className @param {...(string | Node)} content */
  #add(className, ...content) {
    const wasAtEnd = this.#atEnd();
    this.#last = null;
    this.box.append(make("div", `line ${className}`, ...content));
    if (this.#lines.length > MAX_LINES) this.#lines[0]?.remove();
    if (wasAtEnd) this.toEnd();
    else this.newer.hidden = false;
  }
}

/** @param {string} tag @param {string} className @param {...(string | Node)} content strings become text nodes */
export function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content.filter((c) => c !== ""));
  return element;
}

/** Initials in a colour of their own; for eyes only, the name stands next to it. @param {string} id @param {string} name */
export function avatar(id, name) {
  let hash = 0;
  for (const c of id) hash = (hash * 31 + (c.codePointAt(0) ?? 0)) >>> 0;
  const words = name.trim().split(/\s+/);
  const shown = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  const element = make("span", "avatar", shown.map((w) => [...(w ?? "")][0] ?? "").join("").toLocaleUpperCase());
  element.setAttribute("aria-hidden", "true");
  element.style.setProperty("--hue", String((hash % 12) * 30));
  return element;
}

function clock() {
  const now = new Date();
  const element = make("time", "", now.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  element.setAttribute("datetime", now.toISOString());
  return element;
}

/** @param {string} text */
function clip(text) {
  if (text.length <= MAX_SHOWN) return text;
  return `${text.slice(0, MAX_SHOWN)}… (${text.length.toLocaleString()} characters)`;
}
