// @ts-check
// notice.js: what a person has to know or do before anything can be sent: wait, connect or join again, show a token.

import { byId } from "./dom.js";

/**
 * @typedef {object} NoticeEvents
 * @property {() => void} again  connect, or join the room, again
 * @property {(token: string) => void} token
 */

export class Notice {
  #bar = byId("notice", HTMLElement);
  #text = byId("notice-text", HTMLElement);
  #again = byId("again", HTMLButtonElement);
  #form = byId("token-form", HTMLFormElement);
  #token = byId("token", HTMLInputElement);

  /** @param {NoticeEvents} events */
  constructor({ again, token }) {
    this.#again.addEventListener("click", again);
    this.#form.addEventListener("submit", (e) => {
      e.preventDefault();
      const shown = this.#token.value.trim();
      if (shown === "") return;
      this.ask("");
      token(shown);
    });
  }

  /** @param {string} text "" takes it away @param {string} remedy what the button does */
  show(text, remedy) {
    this.#bar.hidden = text === "";
    this.#text.textContent = text;
    this.#again.textContent = remedy;
  }

  /** Asks for a token. @param {string} why "" takes the question away @param {boolean} [urgent] nothing else can be done meanwhile */
  ask(why, urgent = false) {
    const asking = !this.#form.hidden;
    this.#form.hidden = why === "";
    if (why === "") this.#token.value = "";
    else byId("token-why", HTMLElement).textContent = why;
    if (urgent && !asking) this.#token.focus(); // if it is being asked for already, somebody may be somewhere on purpose
  }
}
