// ws.test.mjs: npm `ws`, a client that others wrote, does the relay's main job against a running server.
//
//   node ws.test.mjs http://127.0.0.1:8080

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, test } from "node:test";
import { WebSocket } from "ws";

const base = new URL(process.argv[2] ?? process.env.ROOMCAST_URL ?? "http://127.0.0.1:8080");
const options = { timeout: 30_000 };

/** @typedef {{ data: Buffer, binary: boolean }} Received */

/** One member of a room, with everything it has received and not yet looked at. */
class Client {
  /** @type {Received[]} */
  #inbox = [];
  /** @type {((m: Received) => void)[]} */
  #waiting = [];

  /** @param {string} room */
  constructor(room) {
    const url = new URL(`/rooms/${encodeURIComponent(room)}`, base);
    url.protocol = "ws:";
    this.socket = new WebSocket(url);
    this.socket.on("message", (data, binary) => {
      const message = { data: /** @type {Buffer} */ (data), binary };
      const waiting = this.#waiting.shift();
      if (waiting) waiting(message);
      else this.#inbox.push(message);
    });
  }

  /** @returns {Promise<Received>} */
  next() {
    const message = this.#inbox.shift();
    if (message) return Promise.resolve(message);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async nextText() {
    const { data, binary } = await this.next();
    assert.equal(binary, false, `expected text, got ${data.length} bytes of binary`);
    return data.toString();
  }

  /** @param {number} code @param {string} reason @returns {Promise<{ code: number, reason: string }>} what the server answered */
  async close(code, reason) {
    this.socket.close(code, reason);
    const [answered, why] = await once(this.socket, "close");
    return { code: answered, reason: String(why) };
  }
}

/** @type {Client[]} */
const all = [];
after(() => all.forEach((c) => c.socket.terminate()));

/** Joins one after the other: who has its 101 is a member. @param {string} room @param {number} n */
async function join(room, n) {
  const joined = [];
  for (let i = 0; i < n; i++) {
    const client = new Client(room);
    await once(client.socket, "open");
    joined.push(client);
  }
  all.push(...joined);
  return /** @type {[Client, Client, Client, Client]} */ (joined);
}

test("text and binary reach the others unchanged and never the sender", options, async () => {
  const [a, b, c] = await join("ws-relay", 3);
  const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const messages = ["plain", "grüße, 世界 👋", "", '{"v":1}', every, Buffer.alloc(0)];
  for (const m of messages) a.socket.send(m);
  for (const to of [b, c]) {
    for (const m of messages) {
      const got = await to.next();
      assert.equal(got.binary, typeof m !== "string");
      assert.deepEqual(got.data, Buffer.from(m));
    }
  }
  b.socket.send("marker");
  assert.equal(await a.nextText(), "marker", "the sender's first message must be another's");
});

test("a fragmented message arrives as one", options, async () => {
  const [a, b] = await join("ws-fragments", 2);
  a.socket.send("one ", { fin: false });
  a.socket.ping();
  a.socket.send("two ", { fin: false });
  a.socket.send("three", { fin: true });
  assert.equal(await b.nextText(), "one two three");
});

test("rooms do not hear each other", options, async () => {
  const [a, b] = await join("ws-here", 2);
  const [c, d] = await join("ws-there", 2);
  a.socket.send("from here");
  assert.equal(await b.nextText(), "from here");
  c.socket.send("from there");
  assert.equal(await d.nextText(), "from there");
});

test("1,000 messages of two senders: all there, each sender's in order, one order for all", options, async () => {
  const [a, b, c, d] = await join("ws-order", 4);
  for (let i = 0; i < 500; i++) {
    a.socket.send(`a ${i}`);
    b.socket.send(`b ${i}`);
  }
  const seen = { c: /** @type {string[]} */ ([]), d: /** @type {string[]} */ ([]) };
  for (let i = 0; i < 1000; i++) {
    seen.c.push(await c.nextText());
    seen.d.push(await d.nextText());
  }
  assert.deepEqual(seen.d, seen.c);
  for (const sender of ["a", "b"]) {
    const expected = Array.from({ length: 500 }, (_, i) => `${sender} ${i}`);
    assert.deepEqual(seen.c.filter((m) => m.startsWith(sender)), expected);
  }
});

test("a message of 1 MB passes as text and as binary", options, async () => {
  const [a, b] = await join("ws-large", 2);
  const text = "0123456789".repeat(100_000);
  a.socket.send(text);
  assert.equal((await b.nextText()) === text, true);
  const bytes = Buffer.alloc(1_000_000, 0xa5);
  a.socket.send(bytes);
  const got = await b.next();
  assert.equal(got.binary && got.data.equals(bytes), true);
});

test("the close code comes back, and the others stay", options, async () => {
  const [a, b, c] = await join("ws-close", 3);
  assert.equal((await a.close(4321, "enough")).code, 4321);
  assert.equal((await b.close(1000, "")).code, 1000);
  const [d] = await join("ws-close", 1);
  d.socket.send("still here");
  assert.equal(await c.nextText(), "still here");
});

test("a member that is cut off disturbs nobody", options, async () => {
  const [a, b, c, d] = await join("ws-cut", 4);
  for (let i = 0; i < 200; i++) {
    a.socket.send(String(i));
    if (i === 50) c.socket.terminate();
    if (i === 100) d.socket.terminate();
  }
  for (let i = 0; i < 200; i++) assert.equal(await b.nextText(), String(i));
  b.socket.send("fine");
  assert.equal(await a.nextText(), "fine");
});

test("ping is answered with its own payload", options, async () => {
  const [a] = await join("ws-ping", 1);
  a.socket.ping("are you there?");
  const [payload] = await once(a.socket, "pong");
  assert.equal(String(payload), "are you there?");
});

test("room names are percent-encoded UTF-8 and told apart exactly", options, async () => {
  for (const room of ["a/b", "a%2Fb", "küche 🍳", " ", "100%", "a?b#c&d", "../x", "A", "x".repeat(255)]) {
    const [a, b] = await join(room, 2);
    a.socket.send(room);
    assert.equal(await b.nextText(), room);
  }
});

// ---- The handshake, seen as HTTP --------------------------------------------------------------------------------------

const UPGRADE = {
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};

/**
 * @param {string} path @param {http.OutgoingHttpHeaders} headers @param {string} method
 * @returns {Promise<{ status: number | undefined, headers: http.IncomingHttpHeaders, body: string }>}
 */
function ask(path, headers = {}, method = "GET") {
  return new Promise((resolve, reject) => {
    const { hostname, port, host } = base;
    const request = http.request({ hostname, port, path, method, headers: { Host: host, ...headers }, agent: false });
    request.on("error", reject);
    request.on("upgrade", (res, socket) => {
      socket.destroy();
      resolve({ status: res.statusCode, headers: res.headers, body: "" });
    });
    request.on("response", async (res) => {
      const chunks = await res.toArray();
      resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(chunks).toString() });
    });
    request.end();
  });
}

test("a good upgrade gets 101 and no subprotocol, whether or not one is offered", options, async () => {
  for (const offer of [{}, { "Sec-WebSocket-Protocol": "chat, other" }]) {
    const res = await ask("/rooms/ws-http", { ...UPGRADE, ...offer });
    assert.equal(res.status, 101);
    assert.equal(res.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert.equal(res.headers["sec-websocket-protocol"], undefined);
  }
});

const refusals = /** @type {const} */ ([
  ["no upgrade at all", 426, "/rooms/x", {}],
  ["another version", 426, "/rooms/x", { ...UPGRADE, "Sec-WebSocket-Version": "8" }],
  ["a key that is none", 400, "/rooms/x", { ...UPGRADE, "Sec-WebSocket-Key": "short" }],
  ["a foreign browser", 403, "/rooms/x", { ...UPGRADE, Origin: "http://elsewhere.example" }],
  ["an opaque origin", 403, "/rooms/x", { ...UPGRADE, Origin: "null" }],
  ["no room", 404, "/rooms/", UPGRADE],
  ["a room of 256 bytes", 400, `/rooms/${"x".repeat(256)}`, UPGRADE],
  ["a room with a control character", 400, "/rooms/a%00b", UPGRADE],
  ["a room that is not UTF-8", 400, "/rooms/%FF", UPGRADE],
  ["a path that is none", 404, "/nowhere", UPGRADE],
]);

for (const [what, status, path, headers] of refusals) {
  test(`${what} is answered with ${status} and one line`, options, async () => {
    const res = await ask(path, headers);
    assert.equal(res.status, status, res.body);
    assert.match(res.body, /^[^\n]+\n$/);
    assert.match(String(res.headers["content-type"]), /^text\/plain/);
    if (status === 426) {
      assert.equal(res.headers["sec-websocket-version"], "13");
      assert.equal(String(res.headers.upgrade).toLowerCase(), "websocket");
    }
  });
}

test("the server's own origin may connect, and health is well", options, async () => {
  assert.equal((await ask("/rooms/x", { ...UPGRADE, Origin: base.origin })).status, 101);
  assert.equal((await ask("/healthz")).status, 200);
  const page = await ask("/");
  assert.equal(page.status, 200);
  assert.match(page.body, /<title>Roomcast<\/title>/);
});
