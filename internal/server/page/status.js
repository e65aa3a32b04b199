// @ts-check
// status.js: how the connection is, in the header, beside the room, and above what is being written.

import { byId } from "./dom.js";
import { latency } from "./talk.js";

/** @typedef {import("../roomcast.js").StateChange} StateChange */

const MEANING = new Map([
  [1000, "normal closure"], [1001, "going away"], [1002, "protocol error"], [1005, "no code given"], [1006, "connection lost"],
  [1007, "invalid text"], [1008, "rejected"], [1009, "message too big"], [1011, "error in the server"], [1013, "too slow"],
  [3000, "bad request"], [3001, "unauthorized"], [3002, "forbidden"], [3003, "kicked"], [3100, "throttled"], [3200, "token expired"],
]);

export class Status {
  #pill = byId("state", HTMLElement);
  #text = byId("state-text", HTMLElement);
  #announce = byId("announce", HTMLElement);
  #cells = {
    state: byId("c-state", HTMLElement),
    connection: byId("c-connection", HTMLElement),
    user: byId("c-user", HTMLElement),
    latency: byId("c-latency", HTMLElement),
    server: byId("c-server", HTMLElement),
    ended: byId("c-ended", HTMLElement),
  };
  /** @type {StateChange} */ #change = { state: "connecting" };
  #until = 0; // when the next attempt follows
  #opened = false; // the last attempt became a connection
  /** The server wants a token, and a person has to show it. */ wantsToken = false;
  #latency = "";
  /** What is to be said about it above the composer, or "". */
  text = "";

  get state() {
    return this.#change.state;
  }

  /** @param {StateChange} change */
  show(change) {
    const before = this.#change.state;
    this.#change = change;
    if (change.state === "connecting") this.#opened = false;
    if (change.state === "open") this.#opened = true;
    else this.#latency = "";
    if (change.state === "open") this.wantsToken = false;
    this.#until = Date.now() + (change.delay ?? 0);
    if (change.closeCode) this.#cells.ended.textContent = named(change.closeCode, change.reason ?? "");
    if (change.state !== "open") this.#cells.connection.textContent = "–";
    this.tick();
    if (change.state !== before) this.say(this.text || (this.#text.textContent ?? ""));
  }

  /** @param {import("../roomcast.js").Hello} hello */
  hello({ connection, user, server }) {
    this.#cells.connection.textContent = connection;
    this.#cells.user.textContent = user ?? "nobody: no token";
    this.#cells.server.textContent = server;
  }

  /** @param {number} milliseconds */
  pong(milliseconds) {
    this.#latency = latency(milliseconds);
    this.tick();
  }

  /** Has it read aloud. @param {string} text */
  say(text) {
    this.#announce.textContent = text;
  }

  /** The seconds go down: seen, not read aloud. */
  tick() {
    const { state } = this.#change;
    const seconds = Math.max(1, Math.ceil((this.#until - Date.now()) / 1000));
    const code = this.#change.closeCode;
    this.#pill.dataset.kind = state;
    this.#text.textContent = {
      connecting: "Connecting…",
      open: this.#latency ? `Open · ${this.#latency}` : "Open",
      waiting: `Back in ${seconds} s`,
      offline: "Offline",
      closed: code ? `Closed (${code})` : "Closed",
    }[state];
    this.text = {
      connecting: "",
      open: "",
      waiting: `${this.#ending()} Next try in ${seconds} s.`,
      offline: "This browser is offline. The page comes back when there is a network.",
      closed: `${this.#ending()} It will not be tried again by itself.`,
    }[state];
    if (this.wantsToken && state !== "open") {
      this.#pill.dataset.kind = "waiting";
      this.#text.textContent = "Token needed";
      this.text = "";
    }
    this.#cells.state.textContent = state;
    this.#cells.latency.textContent = this.#latency || "–";
  }

  #ending() {
    const { closeCode, reason, error } = this.#change;
    if (!closeCode) return error ? `${capital(error.message)} (${error.code}).` : "The connection is closed.";
    if (!this.#opened && closeCode === 1006) return "No connection: the server cannot be reached or refuses it.";
    return `Connection closed: ${named(closeCode, reason ?? "")}.`;
  }
}

/** @param {number} code @param {string} reason */
export function named(code, reason) {
  const meaning = MEANING.get(code) ?? "";
  return [code, meaning, reason && reason !== meaning ? `(${reason})` : ""].filter(Boolean).join(" ");
}

/** @param {string} text */
function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
