// Silence, sleep, and a network that comes and goes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { dial, opened, reopen, turn } from "./kit.mjs";

/** @typedef {import("node:test").TestContext} TestContext */

/** A page: what the client looks at in a browser. @param {TestContext} t */
function page(t) {
  const window = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  const navigator = { onLine: true };
  /** @type {AbortSignal[]} */
  const signals = [];
  const addEventListener = (/** @type {string} */ type, /** @type {any} */ handler, /** @type {any} */ options) => {
    signals.push(options.signal);
    window.addEventListener(type, handler, options);
  };
  const parts = { document, navigator, addEventListener };
  const before = Object.keys(parts).map((name) => /** @type {const} */ ([name, Object.getOwnPropertyDescriptor(globalThis, name)]));
  for (const [name, value] of Object.entries(parts)) Object.defineProperty(globalThis, name, { value, configurable: true });
  t.after(() => {
    for (const [name, was] of before) {
      if (was) Object.defineProperty(globalThis, name, was);
      else Reflect.deleteProperty(globalThis, name);
    }
  });
  return {
    signals,
    /** @param {string} state */
    visibility(state) {
      document.visibilityState = state;
      document.dispatchEvent(new Event("visibilitychange"));
    },
    /** @param {boolean} online */
    network(online) {
      navigator.onLine = online;
      window.dispatchEvent(new Event(online ? "online" : "offline"));
    },
  };
}

const types = (/** @type {any[]} */ messages) => messages.map((m) => m.type);

test("after silence a ping; anything heard is a sign of life", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  for (const [limits, interval] of /** @type {const} */ ([[{}, 30_000], [{ ping_interval_ms: 7_000 }, 7_000]])) {
    const { client, socket } = await opened({}, { limits });
    t.mock.timers.tick(interval - 1);
    socket.say({ type: "message", room: "x", data: 1 });
    t.mock.timers.tick(1);
    assert.deepEqual(socket.inbox, []);
    t.mock.timers.tick(interval - 1);
    assert.deepEqual(types(socket.taken()), ["ping"]);
    t.mock.timers.tick(9_999);
    socket.say({ type: "message", room: "x", data: 1 });
    t.mock.timers.tick(interval);
    assert.equal(client.state, "open");
    client.close();
  }
});

test("no pong within 10 s: another connection", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { client, socket, last, states } = await opened();
  t.mock.timers.tick(30_000);
  t.mock.timers.tick(9_999);
  assert.equal(client.state, "open");
  t.mock.timers.tick(1);
  assert.deepEqual([client.state, states.at(-1).reason, socket.closedWith], ["waiting", "no pong within 10000 ms", 4000]);
  t.mock.timers.tick(500);
  await reopen({ last });
  assert.equal(client.state, "open");
});

test("a timer that comes late proves nothing: it asks again, three times at most", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { client, socket } = await opened();
  const sleep = () => {
    t.mock.timers.setTime(Date.now() + 3_600_000); // the clock goes on, and what is due runs only then
    t.mock.timers.tick(1);
  };
  t.mock.timers.tick(30_000);
  assert.deepEqual(types(socket.taken()), ["ping"]);
  for (let i = 0; i < 2; i++) {
    sleep();
    assert.deepEqual([client.state, types(socket.taken())], ["open", ["ping"]]);
  }
  socket.say({ type: "pong" });
  for (let i = 0; i < 3; i++) {
    sleep();
    assert.deepEqual([client.state, types(socket.taken())], ["open", ["ping"]]);
  }
  sleep();
  assert.equal(client.state, "waiting");
});

test("a page that is seen again asks at once, and judges by the answer to that alone", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { visibility, signals } = page(t);
  const { client, socket } = await opened();
  visibility("hidden");
  assert.deepEqual(socket.inbox, []);
  t.mock.timers.tick(30_000);
  t.mock.timers.tick(9_000);
  assert.deepEqual(types(socket.taken()), ["ping"]);
  visibility("visible");
  assert.deepEqual(types(socket.taken()), ["ping"]);
  t.mock.timers.tick(9_999);
  assert.equal(client.state, "open");
  socket.ack();
  socket.say({ type: "pong" });
  t.mock.timers.tick(1);
  assert.equal(client.state, "open");
  visibility("visible");
  t.mock.timers.tick(10_000);
  assert.equal(client.state, "waiting");
  client.close();
  assert.deepEqual(signals.map((s) => s.aborted), [true, true], "a closed client listens to the page no more");
});

test("offline: no attempts; online: one at once", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { network } = page(t);
  const { client, socket, sockets, last, states } = await opened();
  network(false);
  assert.deepEqual([client.state, types(socket.ack())], ["open", ["ping"]], "what still works is kept");
  socket.end(1006);
  assert.deepEqual(states.at(-1), { state: "offline", closeCode: 1006, reason: "" });
  t.mock.timers.tick(120_000);
  await turn();
  assert.equal(sockets.length, 1);
  network(true);
  await reopen({ last });
  assert.deepEqual([client.state, sockets.length], ["open", 2]);
  last().end(1006);
  network(false); // while waiting
  assert.equal(client.state, "offline");
  t.mock.timers.tick(60_000);
  await turn();
  assert.equal(sockets.length, 2);
  network(true);
  network(true);
  await turn();
  assert.equal(sockets.length, 3);
  last().end(1006);
  assert.equal(client.state, "waiting");
  network(true); // does not wait for the rest of the delay
  await turn();
  assert.equal(sockets.length, 4);
});

test("a client made offline waits; one of this very machine does not", async (t) => {
  page(t).network(false);
  const far = dial();
  const near = ["ws://localhost:1/ws", "ws://127.0.0.1:1/ws", "ws://[::1]:1/ws"].map((url) => dial({}, url));
  await turn();
  assert.deepEqual([far.client.state, far.sockets.length], ["offline", 0]);
  for (const { client, sockets } of near) assert.deepEqual([client.state, sockets.length], ["connecting", 1]);
});
