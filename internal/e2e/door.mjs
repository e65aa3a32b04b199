// door.mjs: what stands between clients and servers, as a balancer does, and breaks when a test wants it to.

import { once } from "node:events";
import { connect as dialTCP, createServer } from "node:net";
import { Endpoint, somePort } from "./roomcastserver.mjs";

/** @typedef {import("node:net").Socket} Socket */

export class Door extends Endpoint {
  #servers;
  #listener = createServer({ pauseOnConnect: true, noDelay: true }, (near) => void this.#forward(near));
  /** @type {Map<Socket, Socket>} from the client's to that which leads to the server */ #links = new Map();
  #shut = false;
  /** Whom the next client is led to: this one of the servers, counted round, or the first behind it that is ready. */
  turn = 0;
  /** Whether every client is led to another one, and not all to the same. */
  spread = false;

  /** @param {Endpoint[]} servers */
  constructor(...servers) {
    super();
    this.#servers = servers;
  }

  async open() {
    for (let tries = 20; this.port === 0; tries--) {
      const port = somePort();
      this.#listener.listen(port, "127.0.0.1");
      try {
        await once(this.#listener, "listening");
        this.port = port;
      } catch (error) {
        if (tries === 0) throw error; // somebody else has each of them
      }
    }
    return this;
  }

  /** @param {Socket} near */
  async #forward(near) {
    near.on("error", () => {}); // close follows
    const server = await this.#ready();
    if (!server || near.destroyed) return void near.destroy();
    const far = dialTCP({ port: server.port, host: "127.0.0.1", noDelay: true });
    far.on("error", () => near.destroy());
    near.on("close", () => {
      far.destroy();
      this.#links.delete(near);
    });
    this.#links.set(near, far);
    near.pipe(far).pipe(near);
  }

  /** The server for who comes now. */
  async #ready() {
    const first = this.spread ? this.turn++ : this.turn;
    for (let i = 0; i < this.#servers.length && !this.#shut; i++) {
      const server = this.#servers[(first + i) % this.#servers.length];
      if (server && (await isReady(server)) && !this.#shut) return server;
    }
    return undefined;
  }

  /** Keeps what the server says to the clients from them, or what they say from the server, for as long as their connections are. @param {"from server" | "from clients"} what */
  hold(what) {
    for (const [near, far] of this.#links) {
      if (what === "from server") far.unpipe(near).pause();
      else near.unpipe(far).pause();
    }
  }

  /** Breaks all connections; clients come back when that is done, to the next server. @param {() => Promise<any>} [meanwhile] */
  async break(meanwhile = async () => {}) {
    this.#shut = true;
    this.#cut();
    await meanwhile();
    this.turn++;
    this.#shut = false;
  }

  #cut() {
    for (const near of this.#links.keys()) near.resetAndDestroy();
  }

  /** Ends it and all clients of it. */
  clear() {
    this.#shut = true;
    this.hangUp();
    this.#listener.close();
    this.#cut();
  }
}

/** What a server says when it is asked whether it wants clients: "ready" if so. @param {Endpoint} server */
const readiness = (server) =>
  fetch(server.url("/readyz"), { signal: AbortSignal.timeout(2_000) }).then(
    async (answer) => `${answer.ok ? "" : `${answer.status} `}${await answer.text()}`.trim(),
    (error) => `${error}`,
  );

/** @param {Endpoint} server */
export const isReady = async (server) => (await readiness(server)) === "ready";
