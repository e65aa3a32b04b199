// fakeserver.mjs: as much of roomcast.v1 as the client's tests need, on npm `ws` and as docs/protocol.md has it. It can be stopped
// and started again on the same port.

import http from "node:http";
import { WebSocketServer } from "ws";

/** @typedef {import("ws").WebSocket} Socket */

export class FakeServer {
  /** Files to be served beside /ws: path → [type, text]. @type {Map<string, [string, string]>} */
  files = new Map();
  /** Everything that was sent to a room, in order. @type {{ room: string, data: any }[]} */
  log = [];
  /** @type {Map<string, Set<Socket>>} */
  rooms = new Map();
  /** How many joins each room has had since the start. @type {Map<string, number>} */
  joins = new Map();
  port = 0;
  #connections = 0;
  #joined = 0; // since the start
  /** @type {{ count: number, done: (value: null) => void }[]} */
  #waiting = [];
  /** @type {http.Server | undefined} */
  #http;

  async start() {
    this.rooms.clear();
    this.joins.clear();
    this.#joined = 0;
    const server = (this.#http = http.createServer((request, response) => {
      const [type, text] = this.files.get(request.url ?? "") ?? ["text/plain", ""];
      response.setHeader("Content-Type", type);
      response.end(text);
    }));
    const sockets = new WebSocketServer({ server, path: "/ws", handleProtocols: (offered) => offered.has("roomcast.v1") && "roomcast.v1" });
    sockets.on("connection", (socket) => this.#serve(socket));
    await new Promise((done) => server.listen(this.port, "127.0.0.1", () => done(null)));
    this.port = /** @type {import("node:net").AddressInfo} */ (server.address()).port;
    this.sockets = sockets;
  }

  /** Stops at once: with a close code, or with none, as if it had been killed. @param {number} [code] */
  async stop(code) {
    for (const socket of this.sockets?.clients ?? []) {
      if (code) socket.close(code);
      else socket.terminate();
    }
    this.sockets?.close();
    this.#http?.closeIdleConnections();
    await new Promise((done) => this.#http?.close(done));
  }

  /** Waits until so many joins have come since the start. @param {number} count */
  async joined(count) {
    if (this.#joined < count) await new Promise((done) => this.#waiting.push({ count, done }));
  }

  /** @param {Socket} socket */
  #serve(socket) {
    const connection = `c${++this.#connections}`;
    const say = (/** @type {any} */ m) => socket.send(JSON.stringify(m));
    say({ type: "hello", protocol: "roomcast.v1", server: "fake", connection, session: `s-${connection}`, limits: {} });
    socket.on("close", () => this.rooms.forEach((members) => members.delete(socket)));
    socket.on("message", (text) => {
      const m = JSON.parse(String(text));
      if (m.type === "ping") return say({ type: "pong", id: m.id });
      const members = this.rooms.get(m.room) ?? new Set();
      this.rooms.set(m.room, members);
      if (m.type === "join") {
        members.add(socket);
        this.joins.set(m.room, (this.joins.get(m.room) ?? 0) + 1);
        this.#joined++;
        for (const { count, done } of this.#waiting) if (this.#joined >= count) done(null);
      } else if (m.type === "leave") {
        members.delete(socket);
      } else if (m.type !== "send") {
        return say({ type: "error", id: m.id, code: "unknown_type", message: m.type });
      } else if (!members.has(socket)) {
        return say({ type: "error", id: m.id, code: "not_joined", message: "join it first", room: m.room });
      } else {
        this.log.push({ room: m.room, data: m.data ?? m.base64 });
        const { room, data, base64 } = m;
        const message = JSON.stringify({ type: "message", room, from: { connection }, data, base64 });
        for (const member of members) if (m.echo !== false || member !== socket) member.send(message);
      }
      say({ type: "ack", id: m.id });
    });
  }
}
