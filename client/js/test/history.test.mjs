// Rooms that keep their messages: where one is in them, and sends that are stored exactly once.

import assert from "node:assert/strict";
import { test } from "node:test";
import { opened, record, refusal, reopen, turn } from "./kit.mjs";

/** @typedef {import("node:test").TestContext} TestContext @typedef {import("../roomcast.js").Room} Room */

const place = (/** @type {number} */ offset, epoch = "e1") => ({ epoch, offset });
const message = (/** @type {number} */ offset, epoch = "e1") => ({ type: "message", room: "kitchen", ...place(offset, epoch), data: offset });

/** A client in a room, with a history unless `at` says otherwise. @param {TestContext} t @param {any} [at] @param {any} [options] */
async function settled(t, at = place(57), options = {}) {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const dialed = await opened(options);
  const room = dialed.client.room("kitchen");
  const joined = room.join();
  dialed.socket.say({ type: "ack", id: dialed.socket.taken()[0].id, ...at });
  await joined;
  const back = async (/** @type {any} */ ack = place(57), hello = {}) => {
    t.mock.timers.tick(60_000);
    const socket = await reopen(dialed, hello);
    socket.say({ type: "ack", id: socket.taken()[0].id, ...ack });
    return socket;
  };
  return { ...dialed, room, back };
}

test("the position is that of the last message, in whatever order the first ones come", async () => {
  const { client, socket } = await opened();
  const room = client.room("kitchen");
  /** @type {any[]} */
  const got = [];
  room.on("message", ({ epoch, offset, data }) => got.push([epoch, offset, data]));
  assert.equal(room.position, null);
  room.join();
  const [join] = socket.taken();
  assert.equal(join.since, undefined);
  socket.say(message(58), { type: "ack", id: join.id, ...place(57) }, message(59), message(59), message(61), message(60));
  assert.deepEqual(got, [["e1", 58, 58], ["e1", 59, 59], ["e1", 61, 61]]);
  socket.say(message(1, "e2"));
  assert.deepEqual([got.length, room.position], [4, place(1, "e2")]);
  const stored = /** @type {any} */ (room.position);
  stored.offset = 7;
  assert.deepEqual(room.position, place(1, "e2"), "what is given away is a copy");
  room.leave();
  assert.deepEqual(room.position, place(1, "e2"), "to be stored after leave(), too");
});

test("an application that comes back with a position gets what followed, or is told that it cannot", async () => {
  const { client, socket } = await opened();
  const room = client.room("kitchen");
  const events = record(room, "joined", "message");
  const join = (/** @type {any} */ options, /** @type {any} */ ack) => {
    room.join(options);
    const [request] = socket.taken();
    socket.say({ type: "ack", id: request.id, ...ack });
    return request.since;
  };
  assert.deepEqual(join({ since: { ...place(41), more: 1 } }, { ...place(41), recovered: true }), place(41));
  socket.say(message(42), message(43));
  room.leave();
  socket.ack();
  assert.deepEqual(join({ since: place(40) }, { ...place(40), recovered: true }), place(40));
  socket.say(message(41));
  room.leave();
  socket.ack();
  assert.deepEqual(join({ since: place(9, "e0") }, { ...place(2), recovered: false }), place(9, "e0"));
  assert.deepEqual(room.position, place(2));
  room.leave();
  socket.ack();
  assert.deepEqual(join({ since: place(1) }, { recovered: false }), place(1));
  assert.equal(room.position, null, "it keeps no history any more");
  room.leave();
  socket.ack();
  assert.equal(join({ since: null }, place(80)), undefined);
  room.leave();
  socket.ack();
  assert.deepEqual(join({ since: place(99) }, { ...place(80), recovered: false }), place(99));
  socket.say(message(81)); // not seen, whatever was believed
  room.leave();
  socket.ack();
  room.join({ since: place(1) });
  room.leave();
  socket.ack();
  assert.equal(join({}, place(90)), undefined);
  const told = events.map(([, e]) => e.data ?? e);
  assert.deepEqual(told, [
    { again: false, recovered: true }, 42, 43, { again: false, recovered: true }, 41, { again: false, recovered: false },
    { again: false, recovered: false }, { again: false }, { again: false, recovered: false }, 81, { again: false },
  ]);
});

test("what join() was asked for is asked for until it is done, presence at every join", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const dialed = await opened();
  const room = dialed.client.room("kitchen");
  room.join({ since: place(41), presence: true });
  dialed.socket.end(1006);
  t.mock.timers.tick(60_000);
  const next = await reopen(dialed);
  const [again] = next.taken();
  assert.deepEqual([again.since, again.presence], [place(41), true]);
  const events = record(room, "presence");
  next.say({ type: "ack", id: again.id, ...place(41), recovered: true }, message(42));
  next.say({ type: "presence", room: "kitchen", count: 900, users: 800, truncated: true }, { type: "presence", room: "nowhere" });
  assert.deepEqual(events, [["presence", { count: 900, users: 800, joined: [], left: [], truncated: true }]]);
  next.end(1006);
  t.mock.timers.tick(60_000);
  const third = await reopen(dialed);
  const [{ since, presence, id }] = third.taken();
  assert.deepEqual([since, presence], [place(42), true]);
  third.say({ type: "ack", id, ...place(42), recovered: true });
  room.leave();
  third.say({ type: "presence", room: "kitchen", count: 1, users: 1 });
  assert.equal(events.length, 1, "after leave() no handler is called");
  third.ack();
  room.join();
  assert.equal(third.taken()[0].presence, undefined);
});

test("what is known of a room lasts over breaks, until it keeps no history any more", async (t) => {
  const { room, socket, last } = await settled(t);
  const rejoin = async () => {
    t.mock.timers.tick(60_000);
    const next = await reopen({ last });
    return next.taken()[0];
  };
  socket.end(1006);
  room.join(); // it is under way
  assert.deepEqual((await rejoin()).since, place(57));
  last().end(1006);
  const { since, id } = await rejoin();
  assert.deepEqual(since, place(57));
  last().say({ type: "ack", id });
  assert.equal(room.position, null);
  last().end(1006);
  assert.equal((await rejoin()).since, undefined);
});

test("in a room with history every message has a key of its own, and the promise its place", async (t) => {
  const { client, socket, room } = await settled(t);
  const sends = [room.send(1), room.send({ a: "}" }, { echo: false }), room.send(3, { idempotencyKey: "mine" })];
  const [one, two, three] = socket.taken();
  assert.deepEqual(two, { type: "send", id: two.id, room: "kitchen", echo: false, data: { a: "}" }, idempotency_key: two.idempotency_key });
  assert.equal(three.idempotency_key, "mine");
  for (const key of [one.idempotency_key, two.idempotency_key]) assert.match(key, /^[a-z0-9]{8,24}-\d+$/);
  assert.notEqual(one.idempotency_key, two.idempotency_key);
  socket.say(...[one, two, three].map(({ id }, i) => ({ type: "ack", id, ...place(60 + i) })));
  assert.deepEqual(await Promise.all(sends), [place(60), place(61), place(62)]);
  assert.deepEqual(room.position, place(57), "of what has come, not of what was sent: others' messages may be on their way");
  const other = await opened();
  other.client.room("kitchen").join();
  other.socket.say({ type: "ack", id: other.socket.taken()[0].id, ...place(57) });
  other.client.room("kitchen").send(1);
  assert.notEqual(other.socket.taken()[0].idempotency_key.split("-")[0], one.idempotency_key.split("-")[0]);
  client.room("hall").join();
  socket.ack();
  client.room("hall").send(1);
  assert.equal(socket.taken()[0].idempotency_key, undefined, "without history it means nothing");
});

test("what was sent and not answered is sent again, in order and with the same key; the promise tells when it is stored", async (t) => {
  const { client, socket, room, back } = await settled(t);
  const hall = client.room("hall");
  hall.join();
  socket.ack();
  const sends = [1, 2, 3].map((n) => room.send(n));
  const lost = hall.send("hall");
  const before = socket.taken();
  socket.say({ type: "ack", id: before[0].id, ...place(58) });
  socket.end(1006);
  assert.equal((await refusal(lost)).code, "disconnected");
  sends.push(room.send(4));
  const next = await back({ ...place(57), recovered: true });
  const again = next.taken().filter((m) => m.type === "send");
  assert.deepEqual(again.slice(0, 2), before.slice(1, 3));
  assert.deepEqual(again.map((m) => m.data), [2, 3, 4]);
  next.say(...again.map(({ id }, i) => ({ type: "ack", id, ...place(59 + i) })));
  assert.deepEqual(await Promise.all(sends), [58, 59, 60, 61].map((n) => place(n)));
});

test("as many as may wait are sent again, those of a room that was left are not, and close() ends it", async (t) => {
  const { client, socket, room, back } = await settled(t, place(57), { queue: 2 });
  const sends = [1, 2, 3].map((n) => room.send(n));
  socket.end(1006);
  assert.equal((await refusal(/** @type {Promise<any>} */ (sends[2]))).code, "disconnected");
  assert.equal((await refusal(room.send(4))).code, "not_connected");
  const next = await back({ ...place(57), recovered: true });
  assert.deepEqual(next.taken().map((m) => m.data), [1, 2]);
  room.leave();
  next.end(1006);
  assert.equal((await refusal(/** @type {Promise<any>} */ (sends[0]))).code, "disconnected");
  room.join();
  const last = await back();
  const closing = room.send(5);
  last.end(1006);
  client.close();
  assert.equal((await refusal(closing)).code, "closed");
});

test("what the server cannot do now is sent again, and the room's other messages wait behind it", async (t) => {
  const { client, socket, room } = await settled(t);
  const sends = [room.send(1), room.send(2)];
  const refuse = (/** @type {any} */ { id }, /** @type {any} */ more) => socket.say({ type: "error", id, message: "", room: "kitchen", ...more });
  const before = socket.taken();
  refuse(before[0], { code: "unavailable" });
  sends.push(room.send(3));
  refuse(before[1], { code: "unavailable" });
  client.direct({ user: "ann" }, "passes");
  assert.deepEqual(socket.ack().map((m) => m.type), ["direct"]);
  t.mock.timers.tick(499);
  assert.deepEqual(socket.inbox, []);
  t.mock.timers.tick(1); // of 1 s, the half
  const again = socket.taken();
  assert.deepEqual([again.slice(0, 2), again[2].data], [before, 3]);
  refuse(again[0], { code: "throttled", retry_after_ms: 250 });
  socket.say({ type: "ack", id: again[1].id, ...place(58) }, { type: "ack", id: again[2].id, ...place(59) });
  t.mock.timers.tick(250);
  const [third] = socket.taken();
  assert.deepEqual(third, before[0]);
  socket.say({ type: "ack", id: third.id, ...place(60) });
  assert.deepEqual(await Promise.all(sends), [place(60), place(58), place(59)]);
  const refused = room.send(4);
  refuse(socket.taken()[0], { code: "forbidden" });
  assert.equal((await refusal(refused)).code, "forbidden", "another answer is the answer");
});

test("a room without history, and a full queue, have no second try", async (t) => {
  const { client, socket, room } = await settled(t, place(57), { queue: 1 });
  const hall = client.room("hall");
  hall.join();
  socket.ack();
  const sends = [hall.send(0, { idempotencyKey: "k" }), room.send(1), room.send(2)];
  const refuse = () => socket.taken().forEach(({ id }) => socket.say({ type: "error", id, code: "unavailable", message: "" }));
  refuse();
  for (const send of [sends[0], sends[2]]) assert.equal((await refusal(/** @type {Promise<any>} */ (send))).code, "unavailable");
  assert.equal((await refusal(room.send(3))).code, "not_connected");
  for (let tries = 0; tries < 5; tries++) {
    t.mock.timers.tick(500 * 2 ** tries - 1);
    assert.equal(socket.inbox.length, 0);
    t.mock.timers.tick(1);
    assert.equal(socket.inbox.length, 1);
    refuse();
  }
  t.mock.timers.tick(16_000);
  socket.say({ type: "ack", id: socket.taken()[0].id, ...place(58) });
  assert.deepEqual(await sends[1], place(58));
  sends[1] = room.send(4);
  refuse();
  t.mock.timers.tick(500);
  assert.equal(socket.taken().length, 1, "what was stored lets the delays begin anew");
  client.close();
  assert.equal((await refusal(/** @type {Promise<any>} */ (sends[1]))).code, "closed");
  t.mock.timers.tick(60_000);
});

test("what waits for another try goes with the next connection", async (t) => {
  const { socket, room, back } = await settled(t);
  const send = room.send(1);
  const [before] = socket.taken();
  socket.say({ type: "error", id: before.id, code: "unavailable", message: "" });
  socket.end(1006);
  const next = await back({ ...place(57), recovered: true });
  assert.deepEqual(next.taken(), [before]);
  next.say({ type: "error", id: before.id, code: "unavailable", message: "" });
  t.mock.timers.tick(1_000);
  const [again] = next.taken();
  assert.deepEqual(again, before);
  next.say({ type: "ack", id: again.id, ...place(58) });
  assert.deepEqual(await send, place(58));
});

test("what may have been stored is not sent again when the server may have forgotten its key", async (t) => {
  const { socket, room, back } = await settled(t);
  const ack = { ...place(57), recovered: true };
  const sends = [room.send(1)];
  const [before] = socket.taken();
  t.mock.timers.tick(180_000);
  socket.end(1006);
  const next = await back(ack);
  assert.deepEqual(next.taken(), [before], "just four minutes later");
  sends.push(room.send(2));
  next.end(1006);
  const last = await back(ack);
  assert.deepEqual(last.taken().map((m) => m.data), [2]);
  assert.equal((await refusal(/** @type {Promise<any>} */ (sends[0]))).code, "disconnected");
});

test("what was throttled was not stored, and is sent again whenever that may be", async (t) => {
  const { socket, room } = await settled(t);
  const refuse = (/** @type {any} */ more) => socket.say({ type: "error", id: socket.taken()[0].id, message: "", ...more });
  const sends = [room.send(1), room.send(2)];
  const [one, two] = socket.inbox;
  refuse({ code: "throttled", retry_after_ms: 300_000 });
  socket.say({ type: "error", id: two.id, code: "unavailable", message: "" });
  t.mock.timers.tick(300_000);
  assert.deepEqual(socket.taken().filter((m) => m.type === "send"), [one]);
  socket.say({ type: "ack", id: one.id, ...place(58) });
  assert.deepEqual(await sends[0], place(58));
  assert.equal((await refusal(/** @type {Promise<any>} */ (sends[1]))).code, "unavailable", "which may have been stored");
});

test("what may have been stored is not sent again as somebody else, whose key is another", async (t) => {
  for (const hello of [{ session: "s2" }, { user: "bob" }]) {
    t.mock.timers.reset();
    const { socket, room, back } = await settled(t);
    const sent = room.send(1);
    socket.taken();
    socket.end(1006);
    assert.deepEqual((await back({ ...place(57), recovered: true }, hello)).taken(), []);
    assert.equal((await refusal(sent)).code, "disconnected");
  }
});

test("what may have been stored is not sent again where the room keeps no history any more, and its refusal does not say that it was not stored", async (t) => {
  for (const ack of [{ recovered: false }, { ...place(57), recovered: true }]) {
    t.mock.timers.reset();
    const { socket, room, back } = await settled(t);
    const sent = room.send(1);
    socket.taken();
    socket.end(1006);
    const next = await back(ack);
    const again = next.taken();
    assert.equal(again.length, ack.recovered ? 1 : 0);
    for (const { id } of again) next.say({ type: "error", id, code: "forbidden", message: "", room: "kitchen" });
    assert.equal((await refusal(sent)).code, "disconnected");
  }
});

test("a user's key is the same in another session", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const dialed = await opened({}, { user: "ann" });
  const room = dialed.client.room("kitchen");
  room.join();
  dialed.socket.say({ type: "ack", id: dialed.socket.taken()[0].id, ...place(57) });
  room.send(1);
  const [before] = dialed.socket.taken();
  dialed.socket.end(1006);
  t.mock.timers.tick(60_000);
  const next = await reopen(dialed, { user: "ann", session: "s2" });
  next.say({ type: "ack", id: next.taken()[0].id, ...place(57), recovered: true });
  assert.deepEqual(next.taken(), [before]);
});

test("what a room keeps is read without joining it, and page by page", async () => {
  const { client, socket } = await opened();
  const room = client.room("kitchen");
  const read = async (/** @type {any} */ options, /** @type {any} */ answer) => {
    const page = room.history(options);
    const [{ id, ...request }] = socket.taken();
    socket.say({ type: "history", id, room: "kitchen", ...answer });
    return [request, await page];
  };
  const messages = [{ offset: 57, from: { user: "ann" }, data: null }, { offset: 58, base64: "AAH+/w==" }];
  const [newest, page] = await read(undefined, { epoch: "e1", first: 56, last: 58, messages });
  assert.deepEqual(newest, { type: "history", room: "kitchen" });
  assert.deepEqual(page, { epoch: "e1", first: 56, last: 58, messages: [
    { room: "kitchen", from: { user: "ann" }, data: null, ...place(57) }, { room: "kitchen", from: {}, data: Uint8Array.of(0, 1, 254, 255), ...place(58) }] });
  assert.equal(room.position, null, "to read is not to be there");
  assert.deepEqual(await read({ before: page.messages[0], limit: 20 }, { messages: [] }),
    [{ type: "history", room: "kitchen", before: place(57), limit: 20 }, { messages: [] }]);
  const gone = room.history({ since: place(3) });
  const [request] = socket.taken();
  assert.deepEqual(request.since, place(3));
  socket.say({ type: "error", id: request.id, code: "history_gone", message: "not kept", room: "kitchen" });
  assert.equal((await refusal(gone)).code, "history_gone");
});

test("one part of a history is asked for at a time, whatever becomes of the one before", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { client, socket, last } = await opened();
  const pages = ["a", "b", "c", "d"].map((name) => client.room(name).history({ limit: 1 }));
  const asked = async (/** @type {import("./kit.mjs").Socket} */ from) => {
    await turn();
    const [request, ...others] = from.taken();
    assert.deepEqual(others, []);
    return request;
  };
  const a = await asked(socket);
  socket.say({ type: "history", id: a.id, room: "a", messages: [] });
  const b = await asked(socket);
  socket.say({ type: "error", id: b.id, code: "forbidden", message: "" });
  const c = await asked(socket);
  socket.end(1006);
  t.mock.timers.tick(60_000);
  const next = await reopen({ last });
  const d = await asked(next);
  next.say({ type: "history", id: d.id, room: "d", messages: [] });
  assert.deepEqual([a, b, c, d].map((m) => m.room), ["a", "b", "c", "d"]);
  const came = await Promise.allSettled(pages);
  assert.deepEqual(came.map((p) => (p.status === "fulfilled" ? p.value.messages : p.reason.code)), [[], "forbidden", "disconnected", []]);
});

test("who leaves a room and joins it again is told nothing from before, and misses nothing after", async () => {
  const { client, socket } = await opened();
  const room = client.room("kitchen");
  const events = record(room, "message", "gap");
  room.join();
  socket.say({ type: "ack", id: socket.taken()[0].id, ...place(57) });
  room.leave();
  room.join({ since: place(57) });
  const [leave, join] = socket.taken();
  socket.say(message(59), { type: "gap", room: "kitchen", missed: 1 }, { type: "ack", id: leave.id });
  socket.say({ type: "ack", id: join.id, ...place(57), recovered: true }, message(58), message(59));
  assert.deepEqual(events.map(([, e]) => e.data), [58, 59]);
});
