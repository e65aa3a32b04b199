// Who is in a room, and stays in it when the connection is another one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { dial, opened, record, refusal, reopen, turn } from "./kit.mjs";

const message = (/** @type {any} */ data, room = "kitchen") => ({ type: "message", room, from: { connection: "c9" }, data });

test("a join is promised once, sent once, and messages before its ack are delivered", async () => {
  const { client, socket } = await opened();
  const room = client.room("kitchen");
  assert.equal(client.room("kitchen"), room);
  assert.deepEqual([room.name, room.joined], ["kitchen", false]);
  const events = record(room, "message", "joined");
  const both = [room.join(), room.join()];
  const [join, ...none] = socket.taken();
  assert.deepEqual([join.type, join.room, none], ["join", "kitchen", []]);
  socket.say(message(1), { type: "ack", id: join.id }, message(2));
  await Promise.all([...both, room.join()]);
  assert.deepEqual(socket.taken(), []);
  assert.equal(room.joined, true);
  assert.deepEqual(events, [
    ["message", { room: "kitchen", from: { connection: "c9" }, data: 1 }],
    ["joined", { again: false }],
    ["message", { room: "kitchen", from: { connection: "c9" }, data: 2 }],
  ]);
});

test("a room that is wanted is joined after every reconnect, in the order of the rooms, until leave()", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { client, socket, last } = await opened();
  const [a, b, c] = ["a", "b", "c"].map((name) => client.room(name));
  a?.join();
  b?.join();
  socket.ack();
  const pending = c?.join(); // its ack never comes from this connection
  const events = record(a, "joined");
  socket.end(1006);
  assert.deepEqual([a?.joined, b?.joined], [false, false]);
  b?.leave();
  t.mock.timers.tick(500);
  await reopen({ last });
  assert.deepEqual(last().ack().map((m) => [m.type, m.room]), [["join", "a"], ["join", "c"]]);
  await pending;
  assert.deepEqual(events, [["joined", { again: true, recovered: false }]]);
  assert.deepEqual([a?.joined, b?.joined, c?.joined], [true, false, true]);
});

test("leave: acked, nothing is delivered any more, and a late ack of the join changes nothing", async () => {
  const { client, socket } = await opened();
  const room = client.room("kitchen");
  const events = record(room, "message", "joined", "left");
  const joining = room.join();
  const leaving = room.leave();
  assert.equal((await refusal(joining)).code, "left");
  const [join, leave, ...none] = socket.taken();
  assert.deepEqual([join.type, leave.type, none], ["join", "leave", []]);
  socket.say(message(1), { type: "ack", id: join.id }, message(2), { type: "ack", id: leave.id });
  await leaving;
  assert.deepEqual([events, room.joined], [[], false]);
  await room.leave(); // not in it: nothing to say
  assert.deepEqual(socket.taken(), []);
  const again = room.join();
  socket.ack();
  await again;
  const broken = room.leave();
  socket.end(1006);
  await broken; // out in any case
});

test("a leave that is throttled is repeated, unless the room is wanted again", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { client, socket } = await opened();
  const room = client.room("kitchen");
  for (const wanted of [false, true]) {
    room.join();
    socket.ack();
    const leaving = room.leave();
    const [leave] = socket.taken();
    socket.say({ type: "error", id: leave.id, code: "throttled", message: "bytes", retry_after_ms: 250 });
    if (wanted) room.join();
    socket.ack();
    t.mock.timers.tick(250);
    assert.deepEqual(socket.ack().map((m) => m.type), wanted ? [] : ["leave"]);
    await leaving;
    assert.equal(room.joined, wanted);
  }
});

test("leave while there is no connection is at once", async () => {
  const { client, last } = dial();
  const room = client.room("kitchen");
  const joining = room.join();
  await room.leave();
  assert.equal((await refusal(joining)).code, "left");
  await reopen({ last });
  assert.deepEqual(last().taken(), []);
});

test("a join that is refused is rejected, also after a reconnect, and not tried again", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { client, socket, last } = await opened();
  const room = client.room("kitchen");
  const errors = record(room, "error");
  const joining = room.join();
  const held = room.send("x");
  const forbidden = (/** @type {number} */ id) => ({ type: "error", id, code: "forbidden", message: "no", room: "kitchen" });
  socket.say(forbidden(socket.taken()[0].id));
  const error = await refusal(joining);
  assert.deepEqual([error.code, error.room, errors], ["forbidden", "kitchen", [["error", error]]]);
  const [send] = socket.taken();
  socket.say({ type: "error", id: send.id, code: "not_joined", message: "join first" });
  assert.equal((await refusal(held)).code, "not_joined");

  const retry = room.join();
  socket.ack();
  await retry;
  const loop = room[Symbol.asyncIterator]();
  socket.end(1006);
  t.mock.timers.tick(500);
  await reopen({ last });
  last().say(forbidden(last().taken()[0].id));
  assert.deepEqual([errors.length, room.joined], [2, false]);
  assert.equal((await refusal(loop.next())).code, "forbidden");
  last().end(1006);
  t.mock.timers.tick(2_000);
  await reopen({ last });
  assert.deepEqual(last().taken(), []);
});

test("an answer to an earlier join says nothing about a later one", async () => {
  const { client, socket } = await opened();
  const room = client.room("kitchen");
  room.join();
  room.leave();
  const joining = room.join();
  const [first, , second] = socket.taken();
  socket.say({ type: "error", id: first.id, code: "forbidden", message: "no" });
  assert.equal(room.joined, false);
  socket.say({ type: "ack", id: second.id });
  await joining;
});

test("a join that still waits for its turn is not sent once the room is left", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { client, socket } = await opened({}, { limits: { joins_per_second: 1 } });
  for (const name of ["a", "b", "c"]) client.room(name).join();
  await client.room("b").leave();
  for (let i = 0; i < 30; i++) t.mock.timers.tick(100);
  assert.deepEqual(socket.ack().map((m) => [m.type, m.room]), [["join", "a"], ["join", "c"]]);
});

test("joins keep to the server's rate, and a throttled one is repeated after its delay", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { client, socket } = await opened({}, { limits: { joins_per_second: 10 } });
  for (let i = 0; i < 25; i++) client.room(`r${i}`).join();
  assert.equal(socket.ack().length, 10);
  t.mock.timers.tick(99);
  assert.equal(socket.ack().length, 0);
  t.mock.timers.tick(2);
  const [throttled, ...none] = socket.taken();
  assert.deepEqual([throttled.room, none], ["r10", []]);
  socket.say({ type: "error", id: throttled.id, code: "throttled", message: "joins", room: "r10", retry_after_ms: 3000 });
  t.mock.timers.tick(2_990);
  assert.deepEqual(socket.ack(), []);
  for (let i = 0; i < 400; i++) t.mock.timers.tick(10);
  const rooms = socket.ack().map((m) => m.room);
  assert.equal(rooms.length, 15);
  assert.ok(rooms.includes("r10") && client.room("r10").joined);
});

test("without a rate a throttled join waits for its delay, and one for which something is away for a random one", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { client, socket } = await opened();
  const room = client.room("kitchen");
  const joining = room.join();
  const refuse = (/** @type {any} */ more) => socket.say({ type: "error", id: socket.taken()[0].id, message: "", room: "kitchen", ...more });
  refuse({ code: "throttled", retry_after_ms: 250 });
  t.mock.timers.tick(249);
  assert.deepEqual(socket.inbox, []);
  t.mock.timers.tick(2);
  refuse({ code: "unavailable" });
  t.mock.timers.tick(499);
  assert.deepEqual(socket.inbox, []);
  t.mock.timers.tick(2);
  refuse({ code: "unavailable" });
  t.mock.timers.tick(1_001);
  socket.ack();
  await joining;
});

test("the backend puts the connection into a room and takes it out; neither is repeated after a reconnect", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { client, socket, last } = await opened();
  /** @type {any[]} */
  const events = [];
  client.on("joined", (room) => {
    events.push(["put into", room.name]);
    room.on("message", (m) => events.push(m.data));
    room.on("left", (e) => events.push(e));
  });
  socket.say({ type: "joined", room: "hall" }, message(1, "hall"), { type: "left", room: "hall", reason: "closing" }, message(2, "hall"));
  assert.deepEqual(events, [["put into", "hall"], 1, { reason: "closing" }]);
  socket.say({ type: "joined", room: "cellar" });
  const own = client.room("kitchen");
  own.join();
  socket.ack();
  socket.say({ type: "left", room: "kitchen" });
  assert.equal(own.joined, false);
  socket.end(1006);
  assert.deepEqual(events.slice(3), [["put into", "cellar"], { reason: "the connection ended" }]);
  t.mock.timers.tick(500);
  await reopen({ last });
  assert.deepEqual(last().taken(), []);
});

test("a handler may leave a room that the backend has put the connection into", async () => {
  const { client, socket } = await opened();
  client.on("joined", (room) => void room.leave());
  const events = record(client.room("hall"), "joined", "message");
  socket.say({ type: "joined", room: "hall" }, message(1, "hall"));
  assert.deepEqual([socket.taken()[0].type, events, client.room("hall").joined], ["leave", [], false]);
});

test("a join on its way when the server ends the membership is decided by its answer", async () => {
  const { client, socket } = await opened();
  const room = client.room("kitchen");
  const joining = room.join();
  const [{ id }] = socket.taken();
  socket.say({ type: "left", room: "kitchen" }, { type: "ack", id }, message(1));
  await joining;
  assert.equal(room.joined, true);
});

test("a join that comes to the server after the backend has put us in and out again is taken back", async () => {
  const { client, socket } = await opened();
  const room = client.room("kitchen");
  room.join();
  const [join] = socket.taken();
  socket.say({ type: "joined", room: "kitchen" }, { type: "left", room: "kitchen" }, { type: "ack", id: join.id }, message(1));
  assert.deepEqual([room.joined, socket.ack().map((m) => [m.type, m.room])], [false, [["leave", "kitchen"]]]);
  room.join();
  const [again] = socket.taken();
  room.leave();
  socket.say({ type: "ack", id: again.id });
  assert.deepEqual(socket.ack().map((m) => m.type), ["leave"], "one is enough");
});

test("a loop gets every message in order and ends with leave()", async () => {
  const { client, socket } = await opened();
  const room = client.room("kitchen");
  room.join();
  /** @type {any[]} */
  const seen = [];
  const loop = (async () => {
    for await (const { data } of room) seen.push(data);
  })();
  socket.ack();
  socket.say(message(1), message(2));
  await turn();
  socket.say(message(3));
  const other = room[Symbol.asyncIterator]();
  socket.say(message(4));
  room.leave();
  await loop;
  assert.deepEqual(seen, [1, 2, 3, 4]);
  const rest = [await other.next(), await other.next(), await other.next()];
  assert.deepEqual(rest.map((r) => [r.done, r.value?.data]), [[false, 4], [true, undefined], [true, undefined]]);
});

test("a loop that is left with break gets nothing more; one that is too slow throws after what waits", async () => {
  const { client, socket } = await opened({ queue: 2 });
  const room = client.room("kitchen");
  room.join();
  socket.ack();
  const left = (async () => {
    for await (const { data } of room) return data;
  })();
  const slow = room[Symbol.asyncIterator]();
  const reading = [slow.next(), slow.next()];
  socket.say(message(1));
  assert.equal(await left, 1);
  socket.say(message(2));
  assert.deepEqual((await Promise.all(reading)).map((r) => r.value?.data), [1, 2]);
  socket.say(message(3), message(4), message(5), message(6));
  assert.deepEqual([(await slow.next()).value?.data, (await slow.next()).value?.data], [3, 4]);
  const error = await refusal(slow.next());
  assert.deepEqual([error.code, error.room, (await slow.next()).done], ["too_slow", "kitchen", true]);
});

test("loops end with the client: quietly after close(), with its error otherwise", async () => {
  for (const code of [0, 3003]) {
    const { client, socket } = await opened();
    const room = client.room("kitchen");
    room.join();
    const reading = room[Symbol.asyncIterator]().next();
    if (code) socket.end(code);
    else client.close();
    const late = room[Symbol.asyncIterator]().next();
    for (const next of [reading, late]) {
      if (code) assert.equal((await refusal(next)).code, "kicked");
      else assert.equal((await next).done, true);
    }
  }
});
