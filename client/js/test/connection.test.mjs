// How a connection is made, how it ends, and when it comes back.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { afterClose, connect, RoomcastError } from "../roomcast.js";
import { dial, opened, record, refusal, reopen, Socket, turn } from "./kit.mjs";

test("the URL is completed, the subprotocol named, and hello opens", async () => {
  const dialed = dial({}, "https://server.example:8443/ws?x=1#part");
  const { client } = dialed;
  const ready = client.ready();
  assert.equal(client.state, "connecting");
  await turn();
  assert.equal(dialed.last().url, "wss://server.example:8443/ws?x=1");
  assert.equal(dialed.last().protocol, "roomcast.v1");
  dialed.last().open();
  assert.equal(client.state, "connecting");
  const hellos = record(client, "hello");
  dialed.last().hello({ user: "ann", unknown: 1 });
  assert.deepEqual([client.state, client.connection, client.session, client.user], ["open", "c1", "s1", "ann"]);
  assert.equal(hellos.length, 1);
  await ready;
  await client.ready();
  client.close();
  assert.deepEqual([client.state, client.connection, client.error], ["closed", null, null]);
  assert.equal(dialed.last().closedWith, 1000);
  assert.equal((await refusal(client.ready())).code, "closed");
});

test("a URL that is none, and a world without WebSocket, are told at once and with the remedy", () => {
  assert.throws(() => connect("ftp://server.example/", { WebSocket: Socket }), /ftp:.*ws, wss, http or https/);
  assert.throws(() => connect("/ws", { WebSocket: Socket }), /TypeError: roomcast: "\/ws" is no URL/); // relative to what?
  const before = globalThis.WebSocket;
  Object.defineProperty(globalThis, "WebSocket", { value: undefined, configurable: true, writable: true });
  assert.throws(() => connect("ws://server.example/ws"), /npm install ws/);
  globalThis.WebSocket = before;
});

test("a WebSocket class that throws closes the client with its reason", async () => {
  class Refusing {
    constructor() { throw new Error("insecure"); }
  }
  const client = connect("ws://server.example/ws", { WebSocket: Refusing });
  const error = await refusal(client.ready());
  assert.deepEqual([error.code, client.state, client.error], ["failed", "closed", error]);
  assert.match(error.message, /insecure/);
});

test("the close codes do what docs/protocol.md says", () => {
  const text = readFileSync(new URL("../../../docs/protocol.md", import.meta.url), "utf8");
  const rows = [...text.matchAll(/^\| (\d{4}) \| `\w+` \|.*\| (do not retry|retry later|retry now) \|$/gm)];
  assert.ok(rows.length >= 14, `${rows.length} close codes found in the document`);
  const says = { "do not retry": "never", "retry later": "later", "retry now": "now" };
  for (const [, code, what] of rows) assert.equal(afterClose(Number(code)), says[/** @type {keyof says} */ (what)], code);
  const ranges = /** @type {const} */ ([[3000, 3099, "never"], [3100, 3199, "later"], [3200, 3299, "now"]]);
  for (const [from, to, what] of ranges) assert.deepEqual([afterClose(from), afterClose(to)], [what, what]);
  for (const code of [1003, 1005, 1006, 1010, 1012, 1014, 2999, 3300, 4000, 4999]) assert.equal(afterClose(code), "later", String(code));
});

test("retry later: random below a bound that doubles from 1 s to 30 s, and begins anew when a connection has held", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { client, sockets, last, states } = dial({ random: () => 0.999 });
  await turn();
  for (const bound of [1, 2, 4, 8, 16, 30, 30]) {
    const n = sockets.length;
    last().end(1006);
    assert.deepEqual(states.at(-1), { state: "waiting", delay: bound * 999, closeCode: 1006, reason: "" });
    t.mock.timers.tick(bound * 999 - 1);
    await turn();
    assert.equal(sockets.length, n);
    t.mock.timers.tick(1);
    await turn();
    assert.equal(sockets.length, n + 1);
  }
  last().open();
  last().hello();
  t.mock.timers.tick(4_999);
  last().end(1001); // too short to count as one that held
  assert.equal(states.at(-1).delay, 29_970);
  t.mock.timers.tick(29_970);
  await reopen({ last });
  t.mock.timers.tick(5_000);
  last().end(1011);
  assert.equal(states.at(-1).delay, 999);
  client.close();
  t.mock.timers.tick(60_000);
  await turn();
  assert.equal(sockets.length, 9, "a closed client makes no connection");
});

test("why an attempt failed is told, where the WebSocket class says it", async () => {
  const { client, last, states } = dial({ random: () => 0.5 });
  await turn();
  last().onerror({ message: "connect ECONNREFUSED 127.0.0.1:8080" });
  last().end(1006);
  assert.deepEqual(states.at(-1), { state: "waiting", delay: 500, closeCode: 1006, reason: "connect ECONNREFUSED 127.0.0.1:8080" });
  client.close();
});

test("the random delay reaches from nothing to the bound", async () => {
  const { client, last, states } = dial({ random: () => 0 });
  await turn();
  last().end(1006);
  assert.equal(states.at(-1).delay, 0);
  client.close();
});

test("retry now: once at once, then later, until a connection has held", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { client, sockets, last, states, socket } = await opened();
  socket.end(3299);
  assert.equal(client.state, "connecting");
  await reopen({ last });
  last().end(3200);
  assert.deepEqual([client.state, states.at(-1).delay, sockets.length], ["waiting", 500, 2]);
  t.mock.timers.tick(500);
  await reopen({ last });
  t.mock.timers.tick(5_000);
  last().end(3200);
  await turn();
  assert.deepEqual([client.state, sockets.length], ["connecting", 4]);
  last().end(1006); // the hurried attempt fails
  assert.equal(client.state, "waiting");
  client.close();
});

test("do not retry: closed with an error that has the code, and everything is rejected with it", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  for (const [code, name] of /** @type {const} */ ([[1000, "normal"], [1008, "rejected"], [3001, "unauthorized"], [3003, "kicked"], [3042, "rejected"]])) {
    const { client, sockets, socket, states } = await opened();
    const errors = record(client, "error");
    const room = client.room("kitchen");
    const joining = room.join();
    const held = room.send(1);
    socket.end(code, "the reason");
    assert.deepEqual([client.state, client.error?.code, client.error?.closeCode], ["closed", name, code]);
    assert.match(String(client.error?.message), /the reason/);
    assert.deepEqual(errors, [["error", client.error]]);
    assert.deepEqual(states.at(-1), { state: "closed", error: client.error, closeCode: code });
    for (const promise of [joining, held, client.ready(), room.send(2), room.join(), room.members(), client.direct({ user: "ann" }, 1)]) {
      assert.equal(await refusal(promise), client.error);
    }
    t.mock.timers.tick(120_000);
    await turn();
    assert.equal(sockets.length, 1);
  }
});

test("draining: the server's delay instead of one's own, once", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { client, last, sockets, socket, states } = await opened();
  const notices = record(client, "draining", "throttled");
  socket.say({ type: "throttled", retry_after_ms: 250 }, { type: "draining", reconnect_after_ms: 4200 });
  assert.deepEqual(notices, [["throttled", { retryAfter: 250 }], ["draining", { reconnectAfter: 4200 }]]);
  assert.equal(client.state, "open");
  socket.end(1001);
  assert.equal(states.at(-1).delay, 4200);
  t.mock.timers.tick(4200);
  await turn();
  assert.equal(sockets.length, 2);
  last().end(1006);
  assert.equal(states.at(-1).delay, 500);
  client.close();
});

test("an attempt without hello ends after 20 s, and so does one whose token does not come", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const silent = dial();
  const tokenless = dial({ token: () => new Promise(() => {}) });
  await turn();
  silent.last().open();
  t.mock.timers.tick(19_999);
  assert.deepEqual([silent.client.state, tokenless.client.state], ["connecting", "connecting"]);
  t.mock.timers.tick(1);
  assert.deepEqual([silent.client.state, tokenless.client.state], ["waiting", "waiting"]);
  assert.equal(silent.last().closedWith, 4000, "1000 would end the session");
  silent.client.close();
  tokenless.client.close();
});

test("what the client does not know, or cannot read, it ignores", async () => {
  const { client, socket } = await opened();
  const errors = record(client, "error");
  for (const text of ["", "{", "null", "7", '"x"', "[]", "{}", '{"type":7}', '{"type":"later","id":1}', '{"type":"ack","id":99}',
    '{"type":"message","room":"nowhere","data":1}', '{"type":"left","room":"nowhere"}', '{"type":"direct","base64":"%"}', new ArrayBuffer(3)]) {
    socket.onmessage({ data: text });
  }
  socket.hello({ connection: "another" });
  assert.deepEqual([client.state, client.connection, errors], ["open", "c1", []]);
  socket.say({ type: "error", code: "bad_request", message: "no" });
  assert.ok(errors[0]?.[1] instanceof RoomcastError);
  assert.equal(errors[0]?.[1].code, "bad_request");
  client.close();
});

test("every message of the server that docs/protocol.md shows is understood", async () => {
  const folder = new URL("../../../internal/server/protocol/testdata/server/", import.meta.url);
  const read = (/** @type {string} */ name) => JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8"));
  const { client, last } = dial();
  await turn();
  last().open();
  last().say(read("hello"));
  assert.deepEqual([client.state, client.connection, client.session, client.user], ["open", "c7Qm2x", "s9fKw3Vb", "ann"]);
  const room = client.room("kitchen");
  const events = record(room, "message", "gap", "left", "joined", "presence");
  const others = record(client, "direct", "joined");
  last().say(read("joined"));
  const names = ["message", "message-anonymous", "message-backend", "message-user", "message-base64", "message-at", "direct", "direct-base64", "presence", "gap", "left"];
  last().say(...names.map(read));
  const kinds = events.map(([type]) => type);
  assert.deepEqual(kinds, ["joined", "message", "message", "message", "message", "message", "message", "presence", "gap", "left"]);
  const messages = events.filter(([type]) => type === "message").map(([, m]) => m);
  assert.deepEqual(messages.map((m) => m.from), [
    { connection: "c7Qm2x", user: "ann" }, { connection: "c7Qm2x" }, {}, { user: "ann" }, { connection: "c7Qm2x", user: "ann" },
    { connection: "c7Qm2x", user: "ann" },
  ]);
  assert.deepEqual(messages.at(-2).data, new Uint8Array([0, 1, 254, 255]));
  assert.deepEqual([messages.at(-1).epoch, messages.at(-1).offset, room.position], ["k3v9", 58, { epoch: "k3v9", offset: 58 }]);
  assert.deepEqual(events.at(-3)?.[1], {
    count: 3, users: 2, joined: [{ connection: "c7Qm2x", user: "ann" }], left: [{ connection: "d1Rt9z" }], truncated: false,
  });
  assert.deepEqual(events.at(-2)?.[1], { missed: 12 });
  assert.deepEqual(events.at(-1)?.[1], { reason: "the kitchen is closed" });
  assert.equal(others[0]?.[1], room);
  assert.deepEqual(others.slice(1).map(([, e]) => e), [
    { from: { connection: "c7Qm2x", user: "ann" }, data: "psst" },
    { from: { connection: "c7Qm2x", user: "ann" }, data: others.at(-1)?.[1].data },
  ]);
  assert.ok(others.at(-1)?.[1].data instanceof Uint8Array);
  client.close();
});

test("a handler that throws harms neither the others nor the connection; what it threw is reported", async () => {
  const { client, socket } = await opened();
  const room = client.room("kitchen");
  room.join();
  socket.ack();
  /** @type {any[]} */
  const seen = [];
  const twice = (/** @type {any} */ m) => seen.push(m.data);
  room.on("message", () => { throw new Error("a handler's mistake"); });
  const detach = room.on("message", twice);
  room.on("message", twice);
  /** @type {Promise<any>} */
  const uncaught = new Promise((done) => {
    const before = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.once("uncaughtException", (error) => {
      for (const listener of before) process.on("uncaughtException", listener);
      done(error);
    });
  });
  socket.say({ type: "message", room: "kitchen", data: 1 });
  assert.equal((await uncaught).message, "a handler's mistake");
  assert.deepEqual([seen, client.state], [[1, 1], "open"]);
  detach();
  detach();
  assert.equal(seen.length, 2);
  client.close();
});

test("a handler that another one has detached is not called any more", async () => {
  const { client, socket } = await opened();
  let calls = 0;
  client.on("direct", () => detach());
  const detach = client.on("direct", () => calls++);
  socket.say({ type: "direct", data: 1 });
  assert.equal(calls, 0);
});

test("a handler may close the client whatever it is called for", async () => {
  for (const type of /** @type {const} */ (["state", "hello", "draining"])) {
    const { client, last, sockets } = dial();
    await turn();
    client.on(type, () => client.close());
    last().open();
    last().hello();
    last().say({ type: "draining", reconnect_after_ms: 0 });
    assert.equal(client.state, "closed");
    last().end(1006);
    await turn();
    assert.equal(sockets.length, 1);
  }
  const { client, socket, sockets } = await opened();
  socket.say({ type: "joined", room: "kitchen" });
  client.room("kitchen").on("left", () => client.close());
  socket.end(1006);
  await turn();
  assert.deepEqual([client.state, sockets.length], ["closed", 1]);
});
