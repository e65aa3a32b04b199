// @ts-check
// session.js: the page's connection: a client, begun anew when a person wants that or has a token to show.

import { connect } from "../roomcast.js";
import { Wire } from "./wire.js";

/**
 * @typedef {import("../roomcast.js").Client} Client
 * @typedef {import("../roomcast.js").StateChange} StateChange
 * @typedef {object} SessionEvents
 * @property {(client: Client) => void} begun  There is a new client: rooms have to be joined on it.
 * @property {(change: StateChange) => void} state
 * @property {(hello: import("../roomcast.js").Hello) => void} hello
 * @property {(message: import("../roomcast.js").Direct) => void} direct
 * @property {(room: import("../roomcast.js").Room) => void} joined  The backend has put us into it.
 * @property {(text: string) => void} notice  For people.
 * @property {(why: string) => void} token  The server wants a token.
 * @property {(milliseconds: number) => void} latency
 */

const ASKED = "This server asks for a token.";

export class Session {
  /** @type {Client | null} */ client = null;
  /** @type {Wire} */ wire;
  #token = ""; // in memory only: whoever reloads the page shows it again
  #why = ASKED; // what a person is told who has to show one
  /** @type {((token: string) => void) | null} the client waits for a fresh token */ #renew = null;
  #url;
  #events;

  /** @param {string} url @param {SessionEvents} events */
  constructor(url, events) {
    this.#url = url;
    this.#events = events;
    this.wire = new Wire(events.latency);
  }

  get open() {
    return this.client?.state === "open";
  }

  /** Connects, or connects again at once. */
  begin() {
    const identity = this.client?.identity ?? undefined; // whoever shows another token is in the room once all the same
    this.end();
    this.wire = new Wire(this.#events.latency);
    const client = connect(this.#url, { token: () => this.#have(), identity, WebSocket: this.wire.WebSocket });
    this.client = client;
    this.#listen(client);
    this.#events.begun(client);
    this.#events.state({ state: client.state });
  }

  /** Ends the connection; what was sent still leaves. */
  end() {
    const client = this.client;
    this.client = null; // what it says from now on concerns nobody
    client?.close();
  }

  /** On the connection there is, if that waits for it; otherwise on a new one. @param {string} token */
  show(token) {
    this.#token = token;
    this.#why = ASKED;
    const renew = this.open ? this.#renew : null;
    this.#renew = null;
    if (renew) renew(token);
    else this.begin();
  }

  /** What the client is to authenticate with. On an open connection it wants a fresh one, which a person has to bring. */
  #have() {
    if (!this.open) return this.#token || null;
    this.#events.token("The token expires soon: show a fresh one.");
    return /** @type {Promise<string>} */ (new Promise((resolve) => (this.#renew = resolve)));
  }

  /** @param {Client} client */
  #listen(client) {
    const { hello, direct, joined, notice } = this.#events;
    client.on("state", (change) => client === this.client && this.#state(change));
    client.on("hello", hello);
    client.on("direct", direct);
    client.on("joined", joined);
    client.on("throttled", ({ retryAfter }) => notice(`Throttled: the server refuses what is sent for ${retryAfter} ms`));
    client.on("draining", ({ reconnectAfter }) =>
      notice(`Draining: the server is about to stop; ${(reconnectAfter / 1000).toFixed(1)} s after that this page comes back`));
    client.on("error", (error) => {
      if (client !== this.client || client.state === "closed") return; // the state has told it
      if (error.code === "unauthorized") this.#events.token(this.#why);
      else notice(`${error.message} (${error.code})`);
    });
  }

  /** @param {StateChange} change */
  #state(change) {
    const expired = change.closeCode === 3200;
    const refused = change.state === "closed" && (change.error?.code === "unauthorized" || change.error?.code === "token_expired");
    if (expired) this.#why = "The token has expired; the server asks for a fresh one.";
    else if (refused && this.#token) this.#why = `The server refuses this token: ${change.error?.message}.`;
    if (expired || refused) this.#token = "";
    this.#events.state(change);
    if (expired || refused) this.#events.token(this.#why);
  }
}
