// @ts-check
// composer.js: where one writes: what, in which format, to whom, and whether it comes back.

import { byId } from "./dom.js";
import { writePayload } from "./payload.js";

const PLACEHOLDER = new Map([["chat", "Say something"], ["JSON", '{"sensor":"oven","celsius":180}'], ["bytes", "00 ff 7a"]]);

export class Composer {
  /** The connection it goes to, or "" for the room. */
  to = "";
  #form = byId("composer", HTMLFormElement);
  #text = byId("text", HTMLTextAreaElement);
  #format = byId("format", HTMLSelectElement);
  #echo = byId("echo", HTMLInputElement);
  #recipient = byId("recipient", HTMLElement);
  #hint = byId("hint", HTMLElement);
  #button = byId("send", HTMLButtonElement);
  #send;

  /** @param {(data: any, options: { echo: boolean, to: string }) => void} send @param {() => string} name */
  constructor(send, name) {
    this.#send = send;
    this.name = name;
    this.#form.addEventListener("submit", (e) => {
      e.preventDefault();
      this.#submit();
      this.focus();
    });
    this.#text.addEventListener("keydown", (e) => {
      if (e.key === "Escape" && this.to) this.address("", "");
      if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
      e.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener("input", () => {
      this.#fit();
      this.#complain("");
    });
    this.#format.addEventListener("change", () => {
      this.#text.placeholder = PLACEHOLDER.get(this.#format.value) ?? "";
      this.#text.classList.toggle("code", this.#format.value !== "chat");
      this.#complain("");
      this.focus();
    });
    byId("to-room", HTMLButtonElement).addEventListener("click", () => {
      this.address("", "");
      this.focus();
    });
  }

  focus() {
    this.#text.focus();
  }

  /** To whom it goes. @param {string} connection "" for the room @param {string} name */
  address(connection, name) {
    this.to = connection;
    this.#recipient.hidden = connection === "";
    byId("recipient-name", HTMLElement).textContent = name;
    byId("echo-label", HTMLElement).hidden = connection !== ""; // a direct message has no echo
  }

  /** @param {boolean} able */
  enable(able) {
    this.#button.disabled = !able;
    this.#hint.textContent = able ? "Enter sends, Shift + Enter starts a new line." : "What you write stays here until it can be sent.";
  }

  #submit() {
    const text = this.#text.value.trim();
    if (text === "" || this.#button.disabled) return;
    let data;
    try {
      data = writePayload(this.#format.value, text, this.name());
    } catch (error) {
      return this.#complain(error instanceof Error ? error.message : String(error));
    }
    this.#send(data, { echo: this.#echo.checked, to: this.to });
    this.#text.value = "";
    this.#fit();
  }

  /** @param {string} problem "" takes it away */
  #complain(problem) {
    byId("text-error", HTMLElement).textContent = problem;
    this.#text.setAttribute("aria-invalid", String(problem !== ""));
  }

  #fit() {
    const { style } = this.#text;
    style.height = "auto";
    style.height = `${this.#text.scrollHeight + this.#text.offsetHeight - this.#text.clientHeight}px`;
  }
}
