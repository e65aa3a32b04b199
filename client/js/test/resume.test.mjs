// A session goes on in another connection.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { opened, record, refusal, reopen, turn } from "./kit.mjs";

/** @typedef {import("./kit.mjs").Socket} Socket @typedef {import("../roomcast.js").Room} Room */

const first = { resume: "r1", session_ttl_ms: 60_000 };
const second = { connection: "c2", session: "s2", resume: "r2", session_ttl_ms: 60_000 };
const place = (/** @type {number} */ offset, epoch = "e1") => ({ epoch, offset });
const message = (/** @type {number} */ offset, /** @type {any} */ data, room = "kitchen") => ({
  type: "message", room, ...place(offset), from: { connection: "c9" }, data,
});
const resumed = (/** @type {any} */ { id }, more = {}) => ({
  type: "resumed", id, resumed: true, session: "s1", connection: "c1", resume: "r3", ...more,
});

/** A client that can be resumed, in some rooms. @param {import("node:test").TestContext} t @param {Record<string, any>} rooms */
async function settled(t, rooms, options = {}) {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const dialed = await opened(options, first);
  const joined = Object.entries(rooms).map(([name, at]) => {
    const room = dialed.client.room(name);
    room.join();
    dialed.socket.say({ type: "ack", id: dialed.socket.taken()[0].id, ...at });
    return room;
  });
  const back = async (/** @type {any} */ hello = second) => {
    t.mock.timers.tick(60_000);
    return reopen(dialed, hello);
  };
  return { ...dialed, joined, room: /** @type {Room} */ (joined[0]), back };
}

test("a resume comes first, with what is known of each room; those that are not restored are joined", async (t) => {
  const { client, socket, back, joined, room } = await settled(t, { kitchen: place(57), hall: {}, board: place(3), gone: place(9) });
  const events = joined.map((r) => record(r, "joined", "message", "left"));
  const hellos = record(client, "hello");
  socket.say(message(58, "a"), message(58, "again"), message(57, "older"));
  socket.end(1006);
  assert.equal(client.connection, null);
  const next = await back();
  assert.deepEqual([client.state, client.connection, client.session, hellos.length], ["open", "c1", "s1", 1], "who we were counts");
  const [resume, ...none] = next.taken();
  assert.deepEqual(none, [], "no join before the answer");
  assert.deepEqual(resume, {
    type: "resume", id: resume.id, resume: "r1",
    rooms: [{ room: "kitchen", ...place(58) }, { room: "board", ...place(3) }, { room: "gone", ...place(9) }],
  });
  next.say({ type: "joined", room: "kitchen", ...place(58), recovered: true }, message(59, "b"), message(59, "twice"));
  assert.deepEqual([room.joined, joined[1]?.joined], [true, false]);
  next.say({ type: "joined", room: "hall", recovered: false }, { type: "joined", room: "board", ...place(1, "e2"), recovered: false });
  assert.deepEqual(next.taken(), []);
  next.say(resumed(resume));
  assert.deepEqual([client.connection, client.session], ["c1", "s1"]);
  const [join, ...others] = next.taken();
  assert.deepEqual([join, others], [{ type: "join", id: join.id, room: "gone", since: place(9) }, []]);
  next.say({ type: "ack", id: join.id, ...place(9), recovered: true }, message(10, "g", "gone"));
  const data = events.map((all) => all.map(([type, e]) => (type === "message" ? e.data : e)));
  assert.deepEqual(data, [
    ["a", { again: true, recovered: true }, "b"], [{ again: true, recovered: false }], [{ again: true, recovered: false }],
    [{ again: true, recovered: true }, "g"],
  ]);
  assert.deepEqual(joined.map((r) => r.position), [place(59), null, place(1, "e2"), place(10)]);

  next.end(1006);
  const third = await back({ connection: "c5", session: "s5", resume: "r5" });
  assert.deepEqual(third.taken().map((m) => m.resume), ["r3"], "the secret of the answer counts from then on");
});

test("another client goes on with the identity of an earlier one", async (t) => {
  const { client, room } = await settled(t, { kitchen: place(57) });
  const { identity } = client;
  assert.deepEqual(identity, { connection: "c1", session: "s1", resume: "r1" });
  client.close();
  const later = await opened({ identity }, second);
  const [resume] = later.socket.taken();
  assert.deepEqual(resume, { type: "resume", id: resume.id, resume: "r1", rooms: [] });
  assert.deepEqual([later.client.connection, later.client.session], ["c1", "s1"]);
  later.socket.say({ type: "joined", room: "kitchen", ...place(57) }, resumed(resume));
  assert.deepEqual([room.joined, later.client.room("kitchen").joined], [false, true]);
  assert.deepEqual(later.client.identity, { connection: "c1", session: "s1", resume: "r3" });
});

test("the requests are written as docs/protocol.md shows them", async (t) => {
  const read = (/** @type {string} */ name) => JSON.parse(
    readFileSync(new URL(`../../../internal/server/protocol/testdata/client/${name}.json`, import.meta.url), "utf8"),
  );
  const shown = read("resume");
  const rooms = Object.fromEntries(shown.rooms.map((/** @type {any} */ r) => [r.room, { epoch: r.epoch, offset: r.offset }]));
  const { socket, back } = await settled(t, rooms);
  socket.end(1006);
  const [sent] = (await back()).taken();
  assert.deepEqual(sent, { ...shown, id: sent.id, resume: "r1" });
});

test("a session that is over keeps its ids, and its rooms are joined with what is known of them", async (t) => {
  const { client, socket, back, room } = await settled(t, { kitchen: place(57), hall: {} });
  socket.end(1001);
  const next = await back();
  next.say(resumed(next.taken()[0], { resumed: false }));
  const joins = next.taken();
  assert.deepEqual(joins.map((m) => [m.type, m.room, m.since]), [["join", "kitchen", place(57)], ["join", "hall", undefined]]);
  const events = record(room, "joined", "message");
  next.say({ type: "ack", id: joins[0].id, ...place(2, "e2"), recovered: false }, message(3, "x"));
  assert.deepEqual([client.connection, client.session, events[0]], ["c1", "s1", ["joined", { again: true, recovered: false }]]);
  assert.deepEqual(events.length, 2, "another epoch: its offsets begin anew");
});

test("a secret that does not count: another session, and no error of anybody's", async (t) => {
  const { client, socket, back } = await settled(t, { kitchen: place(57) });
  const errors = record(client, "error");
  socket.end(1006);
  const next = await back();
  next.say({ type: "error", id: next.taken()[0].id, code: "forbidden", message: "no" });
  assert.deepEqual(next.taken().map((m) => [m.type, m.since]), [["join", place(57)]]);
  assert.deepEqual([client.connection, client.session, errors], ["c2", "s2", []]);
  next.end(1006);
  assert.deepEqual((await back()).taken().map((m) => m.resume), ["r2"]);
});

test("a resume that cannot be done yet is repeated, and no join passes it", async (t) => {
  const { client, socket, back } = await settled(t, { kitchen: place(57) });
  socket.end(1006);
  const next = await back();
  const refuse = (/** @type {any} */ more) => next.say({ type: "error", id: next.taken()[0].id, message: "", ...more });
  refuse({ code: "throttled", retry_after_ms: 250 });
  client.room("hall").join();
  t.mock.timers.tick(249);
  assert.deepEqual(next.inbox, []);
  t.mock.timers.tick(1);
  refuse({ code: "unavailable" });
  t.mock.timers.tick(500);
  const [resume] = next.taken();
  assert.equal(resume.type, "resume");
  next.say({ type: "joined", room: "kitchen", ...place(57), recovered: true }, resumed(resume));
  assert.deepEqual(next.taken().map((m) => m.room), ["hall"]);
});

test("without an answer the next connection asks again, for what is known then", async (t) => {
  const { socket, back, room } = await settled(t, { kitchen: place(57) });
  const events = record(room, "joined", "left");
  socket.end(1006);
  const next = await back();
  next.say({ type: "joined", room: "kitchen", ...place(57), recovered: true }, message(58, "x"));
  next.end(1006);
  const [resume] = (await back()).taken();
  assert.deepEqual([resume.resume, resume.rooms], ["r1", [{ room: "kitchen", ...place(58) }]]);
  assert.deepEqual(events, [["joined", { again: true, recovered: true }]]);
});

test("a server that has just begun, whose hello has no secret, is asked until it knows", async (t) => {
  const { client, socket, back } = await settled(t, { kitchen: place(57) });
  socket.end(1006);
  const next = await back({ connection: "c2", session: "s2" });
  const [resume, ...none] = next.taken();
  assert.deepEqual([resume.type, resume.resume, none], ["resume", "r1", []]);
  next.say({ type: "error", id: resume.id, code: "unavailable", message: "" });
  t.mock.timers.tick(500);
  const [again] = next.taken();
  next.say({ type: "joined", room: "kitchen", ...place(57), recovered: true }, resumed(again));
  assert.deepEqual([client.connection, client.session, next.taken()], ["c1", "s1", []]);
  assert.deepEqual(client.identity, { connection: "c1", session: "s1", resume: "r3" });
});

test("a server that resumes nothing is asked once", async (t) => {
  const { client, socket, back } = await settled(t, { kitchen: place(57) });
  socket.end(1006);
  const next = await back({ connection: "c2", session: "s2" });
  next.say({ type: "error", id: next.taken()[0].id, code: "forbidden", message: "" });
  assert.deepEqual(next.taken().map((m) => [m.type, m.since]), [["join", place(57)]]);
  assert.equal(client.connection, "c2");
  next.end(1006);
  assert.deepEqual((await back({ connection: "c3", session: "s3" })).taken().map((m) => m.type), ["join"], "nor is the one after it asked, with an old secret");
});

test("what was left in between has no meaning for a later session", async (t) => {
  const { client, socket, back, room } = await settled(t, { kitchen: place(57) });
  socket.end(1006);
  room.leave();
  const next = await back();
  next.say({ type: "error", id: next.taken()[0].id, code: "forbidden", message: "" }, { type: "joined", room: "kitchen", ...place(60) });
  assert.deepEqual([room.joined, next.taken(), client.session], [true, [], "s2"]);
});

test("where the backend had put us we are again, or out if the session is over", async (t) => {
  const { client, socket, back } = await settled(t, {});
  socket.say({ type: "joined", room: "hall", ...place(4) }, { type: "joined", room: "cellar" });
  const [hall, cellar] = [client.room("hall"), client.room("cellar")];
  const events = [hall, cellar].map((r) => record(r, "joined", "left"));
  const put = record(client, "joined");
  socket.end(1006);
  assert.deepEqual([events, hall.joined], [[[], []], false]);
  const next = await back();
  const [resume] = next.taken();
  assert.deepEqual(resume.rooms, [{ room: "hall", ...place(4) }]);
  hall.send("waits");
  const lost = cellar.send("in vain");
  assert.deepEqual(next.taken(), []);
  next.say({ type: "joined", room: "hall", ...place(4), recovered: true }, { type: "joined", room: "attic" }, resumed(resume));
  const sends = next.taken();
  assert.deepEqual([hall.joined, sends.map((m) => [m.type, m.data])], [true, [["send", "waits"], ["send", "in vain"]]]);
  next.say({ type: "error", id: sends[1].id, code: "not_joined", message: "join first" });
  assert.equal((await refusal(lost)).code, "not_joined");
  assert.deepEqual(put, [["joined", client.room("attic")]], "of a room that is new to us, the client tells");
  assert.deepEqual(events, [[["joined", { again: true, recovered: true }]], [["left", { reason: "the connection ended" }]]]);
});

test("a room that was left between two connections is not entered again", async (t) => {
  const { client, socket, back, room } = await settled(t, { kitchen: place(57), hall: place(1), attic: place(8) });
  const events = record(room, "joined", "message");
  const unanswered = client.room("attic").leave();
  socket.taken();
  socket.end(1006);
  await Promise.all([room.leave(), unanswered]);
  const next = await back();
  const [resume, ...none] = next.taken();
  assert.deepEqual([resume.rooms.map((/** @type {any} */ r) => r.room), none], [["hall"], []]);
  client.room("hall").leave(); // before it is known whether we are in it
  assert.deepEqual(next.taken(), []);
  for (const name of ["kitchen", "hall", "attic"]) next.say({ type: "joined", room: name, ...place(57) }, message(58, 1, name));
  assert.deepEqual(next.ack().map((m) => [m.type, m.room]), [["leave", "kitchen"], ["leave", "hall"], ["leave", "attic"]]);
  next.say(resumed(resume));
  assert.deepEqual([next.taken(), events], [[], []]);
  room.join();
  assert.deepEqual(next.taken().map((m) => [m.type, m.since]), [["join", undefined]], "who comes back later begins anew");
});

test("a room that is left and joined again while the session is resumed is in it", async (t) => {
  const { socket, back, room } = await settled(t, { kitchen: place(57) });
  socket.end(1006);
  const next = await back();
  const [resume] = next.taken();
  room.leave();
  const joining = room.join();
  next.say({ type: "joined", room: "kitchen", ...place(57) });
  await joining;
  next.say(resumed(resume));
  assert.deepEqual([next.taken(), room.joined], [[], true]);
  room.leave();
  room.join();
  next.say({ type: "joined", room: "kitchen", ...place(57) }); // from before the leave
  const [leave, join] = next.taken();
  next.say({ type: "ack", id: leave.id });
  assert.equal(room.joined, false);
  next.say({ type: "ack", id: join.id, ...place(60) });
  assert.deepEqual([room.joined, room.position], [true, place(60)]);
});

test("what has come since the backend has put us into a room does not come again when the session is restored there", async (t) => {
  const { socket, back, room } = await settled(t, { kitchen: place(57) });
  const events = record(room, "joined", "message");
  socket.end(1006);
  const next = await back();
  const [resume] = next.taken();
  next.say({ type: "joined", room: "kitchen", ...place(59) }, message(60, "put in"));
  next.say({ type: "joined", room: "kitchen", ...place(57), recovered: true }, ...[58, 59, 60, 61].map((n) => message(n, n)), resumed(resume));
  assert.deepEqual(events.map(([, e]) => e.data ?? e), [{ again: true, recovered: false }, "put in", { again: false }, 61]);
});

test("without users, what may be stored twice waits until it is known which session we are", async (t) => {
  const { socket, back, room } = await settled(t, { kitchen: place(57) });
  room.send("lost");
  const [before] = socket.taken();
  socket.end(1006);
  const next = await back();
  const [resume] = next.taken();
  next.say({ type: "joined", room: "kitchen", ...place(58) }); // the backend's doing, to the new session
  next.say({ type: "error", id: resume.id, code: "unavailable", message: "" });
  room.leave();
  assert.deepEqual(next.ack().map((m) => m.type), ["leave"]);
  t.mock.timers.tick(1_000);
  next.say(resumed(next.taken()[0]));
  assert.deepEqual(next.taken(), [before]);
});

test("a room that the backend has taken it out of while it was away is not joined again", async (t) => {
  const { socket, back, room } = await settled(t, { kitchen: place(57) });
  const events = record(room, "joined", "left");
  socket.end(1006);
  const next = await back();
  const [resume] = next.taken();
  next.say({ type: "left", room: "kitchen", reason: "enough" }, resumed(resume));
  assert.deepEqual([next.taken(), room.joined, events], [[], false, [["left", { reason: "enough" }]]]);
});

test("more rooms than fit into one message: the others are not recovered, and it is said", async (t) => {
  const rooms = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`r${i}`, place(i)]));
  const { socket, back, joined } = await settled(t, rooms);
  const events = joined.map((r) => record(r, "joined"));
  socket.end(1006);
  const next = await back({ ...second, limits: { message_bytes: 500 } });
  const [resume] = next.taken();
  assert.ok(resume.rooms.length > 0 && resume.rooms.length < 20 && JSON.stringify(resume).length <= 500);
  const listed = new Set(resume.rooms.map((/** @type {any} */ r) => r.room));
  for (const { name } of joined) next.say({ type: "joined", room: name, ...place(40), ...(listed.has(name) && { recovered: true }) });
  assert.deepEqual(events.map((e) => e[0]?.[1].recovered), joined.map((r) => listed.has(r.name)));
});

test("a join that was on its way is done, or asked for again, and is nobody else's doing", async (t) => {
  const { client, socket, back } = await settled(t, {});
  const put = record(client, "joined");
  const [kitchen, hall] = [client.room("kitchen"), client.room("hall")];
  const joining = [kitchen.join({ since: place(5) }), hall.join({ since: place(6) })];
  const events = record(kitchen, "joined");
  socket.end(1006);
  const next = await back();
  const [resume] = next.taken();
  assert.deepEqual(resume.rooms, [{ room: "kitchen", ...place(5) }, { room: "hall", ...place(6) }]);
  next.say({ type: "joined", room: "kitchen", ...place(5), recovered: true }, resumed(resume));
  await joining[0];
  assert.deepEqual([put, events], [[], [["joined", { again: false, recovered: true }]]]);
  assert.deepEqual(next.ack().map((m) => [m.type, m.room, m.since]), [["join", "hall", place(6)]]);
  await joining[1];
});

test("close() ends the session, a break does not, and a session that goes on elsewhere closes the client", async (t) => {
  const { client, socket, last, back } = await settled(t, { kitchen: {} });
  for (const ms of [30_000, 10_000]) t.mock.timers.tick(ms);
  assert.equal(socket.closedWith, 4000, "no pong: others keep us in the room meanwhile");
  await back();
  client.close();
  assert.equal(last().closedWith, 1000);
  const other = await opened({}, first);
  other.socket.end(3004, "elsewhere");
  assert.deepEqual([other.client.state, other.client.error?.code], ["closed", "superseded"]);
  assert.equal((await refusal(other.client.ready())).closeCode, 3004);
});

test("a handler may close the client when a room is lost with its session", async (t) => {
  for (const resumes of [true, false]) {
    t.mock.timers.reset();
    const { client, socket, back, sockets, states } = await settled(t, {});
    socket.say({ type: "joined", room: "hall" });
    client.room("hall").on("left", () => client.close());
    client.room("kitchen").join();
    socket.taken();
    socket.end(1006);
    const next = await back();
    const [resume, ...none] = next.taken();
    next.say(resumes ? resumed(resume, { resumed: false }) : { type: "error", id: resume.id, code: "forbidden", message: "" });
    await turn();
    assert.deepEqual([client.state, states.at(-1).state, sockets.length, none], ["closed", "closed", 2, []]);
  }
});
