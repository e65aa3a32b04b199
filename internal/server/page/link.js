// @ts-check
// link.js: one WebSocket that comes back by itself. Says in which state it is; knows nothing of what is sent.

/**
 * @typedef {{ code: number, reason: string, opened: boolean }} Ending  how a connection ended, and whether it ever was one
 * @typedef {{ kind: "connecting" } | { kind: "connected" }
 *   | { kind: "waiting", seconds: number, ending: Ending }
 *   | { kind: "closed", ending: Ending | null }} State
 * @typedef {{ state: (s: State) => void, message: (data: string | ArrayBuffer) => void, lost: () => void }} Events
 */

const FIRST_DELAY = 1_000;
const LONGEST_DELAY = 30_000;
const STEADY_AFTER = 5_000; // a connection that held this long starts the backoff anew

/** Codes after which another try would end in the same way: the server has judged us, not the network. */
const FINAL = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1010]);

export class Link {
  /** @type {WebSocket | null} */
  #socket = null;
  #tries = 0;
  #openedAt = 0;
  #timer = 0;

  /** @param {string} url @param {Events} events */
  constructor(url, events) {
    this.url = url;
    this.events = events;
  }

  open() {
    this.#forget();
    this.events.state({ kind: "connecting" });
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#openedAt = Date.now();
      this.events.state({ kind: "connected" });
    };
    socket.onmessage = (e) => this.events.message(e.data);
    socket.onclose = (e) => this.#ended(socket, e);
  }

  get connected() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** @param {string} text @returns {boolean} false: not connected, nothing was sent */
  send(text) {
    if (!this.connected) return false;
    this.#socket?.send(text);
    return true;
  }

  /** Ends it for good; what was sent before still leaves. */
  close() {
    const socket = this.#socket;
    this.#forget();
    socket?.close(1000);
    this.events.state({ kind: "closed", ending: null });
  }

  /** @param {WebSocket} socket @param {CloseEvent} e */
  #ended(socket, e) {
    const opened = this.#openedAt > 0;
    if (opened && Date.now() - this.#openedAt >= STEADY_AFTER) this.#tries = 0;
    const unsent = socket.bufferedAmount > 0;
    this.#forget();
    const ending = { code: e.code, reason: e.reason, opened };
    if (FINAL.has(e.code)) this.events.state({ kind: "closed", ending });
    else this.#wait(ending);
    if (unsent) this.events.lost();
  }

  /** Exponential backoff with full jitter: anywhere between now and a bound that doubles. @param {Ending} ending */
  #wait(ending) {
    const bound = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#tries++);
    const until = Date.now() + Math.random() * bound;
    let shown = -1;
    const tick = () => {
      const left = until - Date.now();
      if (left <= 0) return this.open();
      const seconds = Math.ceil(left / 1000);
      if (seconds !== shown) this.events.state({ kind: "waiting", seconds, ending });
      shown = seconds;
      this.#timer = window.setTimeout(tick, Math.min(left, 200));
    };
    tick();
  }

  /** Lets go of the current socket and of any planned try. */
  #forget() {
    window.clearTimeout(this.#timer);
    const socket = this.#socket;
    if (socket) socket.onopen = socket.onmessage = socket.onclose = null;
    this.#socket = null;
    this.#openedAt = 0;
  }
}

const MEANING = new Map([
  [1000, "normal closure"],
  [1001, "going away"],
  [1002, "protocol error"],
  [1003, "unsupported data"],
  [1005, "no code given"],
  [1006, "connection lost"],
  [1007, "invalid text"],
  [1008, "rejected"],
  [1009, "message too big"],
  [1011, "error in the server"],
  [1012, "server restarts"],
  [1013, "try again later"],
]);

/** @param {Ending} ending @returns {string} for example "Connection closed: 1001 going away" */
export function describe({ code, reason, opened }) {
  if (!opened && code === 1006) return "No connection: the server cannot be reached or refuses it";
  const meaning = reason || MEANING.get(code);
  return `Connection closed: ${code}${meaning ? ` ${meaning}` : ""}`;
}
