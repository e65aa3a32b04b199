// roomcastserver.mjs: the built server for tests in Node that kill it and start it again, and tokens for it.

import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { WebSocket } from "ws";
import { connect } from "../../client/js/roomcast.js";

/** @typedef {import("../../client/js/roomcast.js").Client} Client @typedef {import("../../client/js/roomcast.js").Options} Options */
/** @typedef {import("node:child_process").ChildProcess} ChildProcess */

const binary = process.argv[2] ?? "roomcast";

/** @type {Set<ChildProcess>} */
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
process.once("SIGTERM", () => process.exit(1));

/** The shared secret of servers that ask for tokens. */
export const SECRET = "a secret for tests, of 32 bytes or more";

/** A token of HS256. @param {Record<string, any>} claims @param {number} seconds how long it is good for */
export function mint(claims, seconds) {
  const now = Date.now() / 1000;
  const part = (/** @type {any} */ value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ iat: Math.floor(now), exp: now + seconds, ...claims })}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

/** One that the system does not hand out to whoever connects. */
export const somePort = () => 15_000 + Math.floor(Math.random() * 15_000);

/** Where clients connect to. */
export class Endpoint {
  /** Every WebSocket a client of dial() has made. @type {WebSocket[]} */
  sockets = [];
  /** The close codes they have seen, in order. @type {number[]} */
  closeCodes = [];
  /** @type {Client[]} */ #clients = [];
  port = 0;

  /** @param {string} path */
  url(path) {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  /** A client of it, in Node. @param {Options} [options] */
  dial(options) {
    const endpoint = this;
    class Socket extends WebSocket {
      /** @param {string} url @param {string} protocol */
      constructor(url, protocol) {
        super(url, protocol);
        endpoint.sockets.push(this);
        this.on("close", (code) => endpoint.closeCodes.push(code));
      }
    }
    // A tenth of the usual delays: what is tested is that they come back, not how long that takes.
    const client = connect(this.url("/ws"), { WebSocket: Socket, random: () => Math.random() / 10, ...options });
    this.#clients.push(client);
    return client;
  }

  /** What the HTTP API answers. @param {string} method @param {string} path @param {any} [body] */
  async api(method, path, body) {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch(this.url(path), { method, headers, body: body && JSON.stringify(body) });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return /** @type {Promise<any>} */ (response.json());
  }

  /** Ends all clients of it. */
  hangUp() {
    for (const client of this.#clients) client.close();
    for (const socket of this.sockets) socket.terminate();
  }
}

/** A running `roomcast serve` that can be ended, and started again on its port. */
export class RoomcastServer extends Endpoint {
  /** @type {ChildProcess | undefined} */ #child;
  /** @type {string[]} what it has logged */ log = [];

  /** @param {string[]} args of serve */
  constructor(...args) {
    super();
    this.args = args;
  }

  async start() {
    // Not among those the system hands out to whoever connects: while the server is away, a client that tries its port could get just that
    // one as its own, and be connected to itself.
    for (let tries = this.port ? 1 : 20; tries > 0; tries--) {
      const port = this.port || somePort();
      const child = (this.#child = spawn(binary, ["serve", "--addr", `127.0.0.1:${port}`, ...this.args], { stdio: ["ignore", "ignore", "pipe"] }));
      running.add(child);
      child.once("exit", () => running.delete(child));
      if (await this.#listening(child)) {
        this.port = port;
        return this;
      }
      if (!this.log.at(-1)?.includes("in use")) break; // else somebody else has this port: another one
    }
    throw new Error(`the server does not start:\n${this.log.join("\n")}`);
  }

  /** Whether it comes to listen. @param {ChildProcess} child @returns {Promise<boolean>} */
  #listening(child) {
    return new Promise((done) => {
      const lines = createInterface({ input: /** @type {import("node:stream").Readable} */ (child.stderr) });
      lines.on("line", (line) => {
        this.log.push(line);
        if (line.includes("addr=")) done(true);
      });
      child.once("error", () => done(false)).once("close", () => done(false));
    });
  }

  /** Ends it, and returns its exit code: null if a signal has killed it. @param {"SIGKILL" | "SIGTERM"} signal */
  async end(signal) {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return null;
    const gone = once(child, "exit");
    child.kill(signal);
    const [code] = await gone;
    return code;
  }

  /** Ends it and all clients of it. */
  async clear() {
    this.hangUp();
    await this.end("SIGKILL");
  }
}

/**
 * The next event of this type for which it holds, from now on.
 * @template T
 * @param {{ on(type: any, handler: (event: any) => void): () => void }} source @param {string} type @param {(event: T) => boolean} [holds]
 * @returns {Promise<T>}
 */
export function next(source, type, holds = () => true) {
  return new Promise((done) => {
    const detach = source.on(type, (event) => {
      if (!holds(event)) return;
      detach();
      done(event);
    });
  });
}

/** How the promise was rejected. @param {Promise<any>} promise @returns {Promise<any>} */
export const rejection = (promise) =>
  promise.then(
    () => Promise.reject(new Error("it was done")),
    (error) => error,
  );

/** Everything of this type, as it comes. @param {{ on(type: any, handler: (event: any) => void): () => void }} source @param {string} type */
export function record(source, type) {
  /** @type {any[]} */
  const events = [];
  source.on(type, (event) => events.push(event));
  return events;
}
