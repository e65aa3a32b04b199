// @ts-check
// log.js: the lines of one room.

import { avatar, button, clock, make } from "./dom.js";

/**
 * @typedef {"→" | "←"} Way  sent, received
 * @typedef {object} Entry
 * @property {string} who  the name it stands under
 * @property {string[]} tags  what is to be said about it
 * @property {string} text
 * @property {boolean} plain  said by a person; otherwise data
 * @property {boolean} [mine]
 * @property {boolean} [past]  from before we came: nobody knows when it was said
 */

const MAX_LINES = 500;
const MAX_SHOWN = 4_000; // characters of one message
const SAME_BREATH = 120_000; // what one person says within this time stands under one name

/** A message in the log. What happens to it later can be added. */
export class Line {
  /** @type {[Way, string][]} */ #frames = [];
  #after = make("span", "after");
  #frame = make("pre", "frames");
  #toggle;

  /** @param {Entry} entry @param {boolean} follows it stands under the name of the line before */
  constructor({ who, tags, text, plain, mine, past }, follows) {
    this.#toggle = button("peek", "", () => this.#show(this.#frame.hidden), "{ }");
    this.#toggle.title = "The JSON of this message";
    this.#toggle.append(make("span", "hidden", " JSON"));
    this.#toggle.setAttribute("aria-expanded", "false");
    this.#frame.hidden = true;
    this.#frame.tabIndex = 0;
    const head = make("p", follows ? "who hidden" : "who", make("b", "", who), ...tags.map((t) => make("span", "tag", t)), past ? "" : clock());
    const body = make("div", "body", make("p", "text", clip(text)), this.#after, this.#toggle);
    const kind = plain ? "say" : "say data";
    this.element = make("div", `line ${kind}${mine ? " mine" : ""}${follows ? " follows" : ""}`, follows ? "" : avatar(who), head, body, this.#frame);
  }

  /** @param {Way} way @param {string} frame */
  frame(way, frame) {
    this.#frames.push([way, frame]);
    if (!this.#frame.hidden) this.#show(true);
  }

  /** How it went. @param {string} text @param {boolean} good */
  fate(text, good) {
    this.#after.textContent = text;
    this.#after.classList.toggle("bad", !good);
  }

  /** @param {boolean} shown */
  #show(shown) {
    this.#frame.hidden = !shown;
    this.#toggle.setAttribute("aria-expanded", String(shown));
    this.#frame.replaceChildren(...this.#frames.map(([way, text]) =>
      make("span", "", make("i", "", `${way} `), make("span", "hidden", way === "→" ? "sent " : "received "), clip(text), "\n")));
    if (shown) this.#frame.scrollIntoView({ block: "nearest" });
  }
}

export class Log {
  /** @type {{ key: string, at: number } | null} the last line, if a person said it */ #last = null;
  #count = 0;
  #box;
  #height = 0; // of the box, when it was last measured
  #following = true; // the end is in sight, and stays there
  #newer = button("newer", "", () => this.toEnd(), "New messages ↓");

  /** @param {string} room */
  constructor(room) {
    this.#box = make("div", "log");
    this.#box.tabIndex = 0;
    this.#newer.hidden = true;
    for (const [name, value] of [["role", "log"], ["aria-live", "polite"], ["aria-label", `Messages in ${room}`]]) {
      this.#box.setAttribute(name ?? "", value ?? "");
    }
    this.#box.addEventListener("scroll", () => {
      if (this.#box.clientHeight !== this.#height) return; // nobody has scrolled: the box is another size, see below
      this.#following = this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < 60;
      if (this.#following) this.#newer.hidden = true;
    });
    new ResizeObserver(() => {
      this.#height = this.#box.clientHeight;
      if (this.#following) this.toEnd();
    }).observe(this.#box);
    /** What is put on the page. */
    this.element = make("div", "logbox", this.#box, this.#newer);
  }

  get empty() {
    return this.#count === 0;
  }

  /** @param {Entry} entry @returns {Line} */
  message(entry) {
    const now = Date.now();
    const key = entry.plain ? JSON.stringify([entry.who, entry.tags]) : "";
    const line = new Line(entry, key !== "" && this.#last?.key === key && now - this.#last.at < SAME_BREATH);
    this.#add(line.element);
    this.#last = key ? { key, at: now } : null;
    if (entry.mine) this.toEnd();
    return line;
  }

  /** Somebody came or went. @param {string} who @param {string} what */
  event(who, what) {
    this.#add(make("div", "line event", avatar(who), make("span", "", make("b", "", who), ` ${what}`), clock()));
  }

  /** A remark of the page itself. @param {string} text */
  remark(text) {
    this.#add(make("div", "line event remark", make("span", "", text), clock()));
  }

  toEnd() {
    this.#following = true;
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#newer.hidden = true;
  }

  /** @param {HTMLElement} line */
  #add(line) {
    this.#last = null;
    this.#box.append(line);
    if (++this.#count > MAX_LINES) this.#box.firstElementChild?.remove();
    if (this.#following) this.toEnd();
    else this.#newer.hidden = false;
  }
}

/** @param {string} text */
function clip(text) {
  if (text.length <= MAX_SHOWN) return text;
  return `${text.slice(0, MAX_SHOWN)}… (${text.length.toLocaleString()} characters)`;
}
