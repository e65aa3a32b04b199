// The token: shown first, renewed in time, fetched anew for every connection.

import assert from "node:assert/strict";
import { test } from "node:test";
import { dial, opened, record, refusal, turn } from "./kit.mjs";

/** A callback that returns t1, t2, …, and how often it was called. */
function tokens() {
  const source = { calls: 0, token: async () => `t${++source.calls}` };
  return source;
}

test("the token is the first message, and nothing else is sent before hello", async () => {
  const { client, last } = dial({ token: "secret" });
  client.room("kitchen").join();
  client.direct({ user: "ann" }, 1);
  await turn();
  assert.doesNotMatch(last().url, /secret/);
  last().open();
  const [token, ...none] = last().taken();
  assert.deepEqual([token.type, token.token, none], ["token", "secret", []]);
  last().hello({ user: "ann" });
  last().say({ type: "ack", id: token.id });
  assert.deepEqual(last().taken().map((m) => m.type), ["join", "direct"]);
  assert.equal(client.user, "ann");
});

test("the limits of the last connection say nothing about the token of the next", async () => {
  const { client, socket, last } = await opened({ token: "x".repeat(200) }, { limits: { message_bytes: 100 } });
  socket.end(3200);
  await turn();
  last().open();
  assert.deepEqual([client.state, last().taken()[0].type], ["connecting", "token"]);
});

test("no token is shown when there is none", async () => {
  for (const token of [undefined, () => null]) {
    const { last } = dial({ token });
    await turn();
    last().open();
    assert.deepEqual(last().taken(), []);
  }
});

test("a fresh token is shown at 80 % of the time, as long as it goes on", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const source = tokens();
  const { client, socket } = await opened(source, { token_ttl_ms: 10_000 });
  socket.say({ type: "ack", id: socket.taken()[0].id, token_ttl_ms: 10_000 });
  for (const want of ["t2", "t3"]) {
    t.mock.timers.tick(7_999);
    await turn();
    assert.deepEqual(socket.inbox, []);
    t.mock.timers.tick(1);
    await turn();
    const [token] = socket.taken();
    assert.deepEqual([token.type, token.token], ["token", want]);
    socket.say({ type: "ack", id: token.id, token_ttl_ms: 10_000 });
    await turn();
  }
  assert.deepEqual([client.state, source.calls], ["open", 3]);
  t.mock.timers.tick(8_000);
  await turn();
  socket.ack(); // good for ever
  await turn();
  t.mock.timers.tick(20_000);
  await turn();
  assert.equal(source.calls, 4);
});

test("a renewal that fails is told and tried again while there is time; the expiry then brings a new connection", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  let calls = 0;
  const token = () => {
    if (++calls === 2) throw new Error("backend away");
    return `t${calls}`;
  };
  const { client, socket, sockets } = await opened({ token }, { token_ttl_ms: 10_000 });
  const errors = record(client, "error");
  socket.taken();
  t.mock.timers.tick(8_000);
  await turn();
  assert.deepEqual(errors.map(([, e]) => e.code), ["token_failed"]);
  assert.match(errors[0]?.[1].message, /backend away/);
  t.mock.timers.tick(1_600);
  await turn();
  const [again] = socket.taken();
  assert.equal(again.token, "t3");
  socket.say({ type: "error", id: again.id, code: "forbidden", message: "another user" });
  await turn();
  assert.deepEqual([errors.at(-1)?.[1].code, client.state], ["forbidden", "open"]);
  t.mock.timers.tick(390);
  socket.end(3200);
  await turn();
  assert.deepEqual([sockets.length, calls], [2, 4]);
});

test("a time too long for a timer does not fire at once", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const source = tokens();
  await opened(source, { token_ttl_ms: 365 * 86_400_000 });
  t.mock.timers.tick(1_000);
  await turn();
  assert.equal(source.calls, 1);
});

test("a first token that is refused closes the client; an expired one is fetched anew, at once and then later", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const refuse = (/** @type {any} */ socket, /** @type {string} */ code) => {
    socket.open();
    socket.say({ type: "error", id: socket.taken()[0].id, code, message: "no" });
  };
  for (const [options, code] of /** @type {const} */ ([[tokens(), "unauthorized"], [tokens(), "forbidden"], [{ token: "fixed" }, "token_expired"]])) {
    const { client, last } = dial(options);
    await turn();
    const ready = client.ready();
    refuse(last(), code);
    assert.deepEqual([client.state, client.error?.code], ["closed", code]);
    assert.equal(await refusal(ready), client.error);
  }
  const source = tokens();
  const { client, last, sockets } = dial(source);
  await turn();
  refuse(last(), "token_expired");
  await turn();
  assert.deepEqual([client.state, sockets.length, source.calls], ["connecting", 2, 2]);
  refuse(last(), "token_expired");
  assert.equal(client.state, "waiting");
  t.mock.timers.tick(500);
  await turn();
  refuse(last(), "unavailable");
  assert.equal(client.state, "waiting");
});

test("a callback that throws is told, and asked again later", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  let calls = 0;
  const token = () => {
    if (++calls === 1) throw new Error("not signed in yet");
    return "t";
  };
  const { client, sockets, states } = dial({ token });
  const errors = record(client, "error");
  await turn();
  assert.deepEqual([client.state, sockets.length, errors[0]?.[1].code], ["waiting", 0, "token_failed"]);
  assert.equal(states.at(-1).delay, 500);
  t.mock.timers.tick(500);
  await turn();
  assert.equal(sockets.length, 1);
});

test("a token that comes when the client is closed, or another attempt runs, makes no connection", async () => {
  let give = /** @type {(token: string) => void} */ (() => {});
  const { client, sockets } = dial({ token: () => new Promise((done) => (give = done)) });
  client.close();
  give("late");
  await turn();
  assert.equal(sockets.length, 0);
});
