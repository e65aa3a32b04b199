// kit.mjs: a client on a network that exists in memory only, so that each test says when what happens, and nothing waits.

import { afterEach } from "node:test";
import { connect } from "../roomcast.js";

/** @typedef {import("../roomcast.js").Client} Client @typedef {import("../roomcast.js").Options} Options */

/** @type {Client[]} */
const clients = [];
afterEach(() => clients.splice(0).forEach((c) => c.close())); // the timers of an open one would keep Node running

/** One connection, seen from the server. */
export class Socket {
  readyState = 0;
  /** @type {any[]} what the client has sent and nobody has looked at */
  inbox = [];
  /** @type {number | undefined} */
  closedWith;
  /** @type {any} */ onopen = null;
  /** @type {any} */ onmessage = null;
  /** @type {any} */ onclose = null;
  /** @type {any} */ onerror = null;

  /** @param {string} url @param {string} protocol */
  constructor(url, protocol) {
    this.url = url;
    this.protocol = protocol;
  }

  /** @param {string} text */
  send(text) {
    if (this.readyState !== 1) throw new Error(`sent in readyState ${this.readyState}: ${text}`);
    this.inbox.push(JSON.parse(text));
  }

  /** @param {number} [code] */
  close(code) {
    this.closedWith ??= code;
    this.readyState = 3;
  }

  open() {
    this.readyState = 1;
    this.onopen?.({});
  }

  /** @param {any[]} messages */
  say(...messages) {
    for (const m of messages) this.onmessage?.({ data: JSON.stringify(m) });
  }

  /** @param {any} [more] */
  hello(more = {}) {
    this.say({ type: "hello", protocol: "roomcast.v1", server: "fake", connection: "c1", session: "s1", limits: {}, ...more });
  }

  /** The server, or the network, ends it. @param {number} code @param {string} [reason] */
  end(code, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  /** What the client has sent since the last look. @returns {any[]} */
  taken() {
    return this.inbox.splice(0);
  }

  /** Answers what the client has sent with acks, and returns it. @returns {any[]} */
  ack() {
    const requests = this.taken();
    for (const { type, id } of requests) this.say(type === "ping" ? { type: "pong" } : { type: "ack", id });
    return requests;
  }
}

/** A client, and the connections it has made. @param {Options} [options] @param {string} [url] */
export function dial(options = {}, url = "ws://server.example/ws") {
  /** @type {Socket[]} */
  const sockets = [];
  class WebSocket extends Socket {
    /** @param {string} u @param {string} protocol */
    constructor(u, protocol) {
      super(u, protocol);
      sockets.push(this);
    }
  }
  const client = connect(url, { WebSocket, random: () => 0.5, ...options });
  clients.push(client);
  /** @type {any[]} */
  const states = [];
  client.on("state", (s) => states.push(s));
  /** The newest connection. */
  const last = () => /** @type {Socket} */ (sockets.at(-1));
  return { client, sockets, last, states };
}

/** A client whose connection is open. @param {Options} [options] @param {any} [hello] @param {string} [url] */
export async function opened(options, hello, url) {
  const dialed = dial(options, url);
  await turn();
  dialed.last().open();
  dialed.last().hello(hello);
  return { ...dialed, socket: dialed.last() };
}

/** Opens the newest connection. @param {{ last: () => Socket }} dialed @param {any} [hello] */
export async function reopen({ last }, hello) {
  await turn();
  last().open();
  last().hello(hello);
  return last();
}

/** Lets every promise that can be settled be settled. @returns {Promise<void>} */
export const turn = () => new Promise((done) => setImmediate(done));

/** What a promise is rejected with. @param {Promise<any>} promise @returns {Promise<import("../roomcast.js").RoomcastError>} */
export async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return /** @type {any} */ (error);
  }
  throw new Error("not rejected");
}

/** Everything an object emits of some types, in order. @param {any} source @param {string[]} types */
export function record(source, ...types) {
  /** @type {[string, any][]} */
  const events = [];
  for (const type of types) source.on(type, (/** @type {any} */ e) => events.push([type, e]));
  return events;
}
