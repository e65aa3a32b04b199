// What is sent: once, in order, and with an answer.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { RoomcastError } from "../roomcast.js";
import { dial, opened, refusal, reopen, turn } from "./kit.mjs";

/** @param {import("./kit.mjs").Client} client @param {import("./kit.mjs").Socket} socket */
async function joined(client, socket, name = "kitchen") {
  const room = client.room(name);
  const done = room.join();
  socket.ack();
  await done;
  return room;
}

test("requests are written as docs/protocol.md shows them", async () => {
  const folder = new URL("../../../internal/server/protocol/testdata/client/", import.meta.url);
  const { client, socket } = await opened();
  /** @type {string[]} */
  const frames = [];
  socket.send = (text) => void frames.push(text);
  const room = client.room("kitchen");
  room.join();
  socket.say({ type: "ack", id: 1 });
  room.send({ text: "lunch is ready" });
  room.send(12.5, { echo: false });
  room.send(new Uint8Array([0, 1, 254, 255]));
  client.direct({ connection: "c7Qm2x" }, "psst");
  client.direct({ user: "ann" }, "psst");
  room.send({ text: "lunch is ready" }, { idempotencyKey: "a-17" });
  room.members({ after: "d1Rt9z", limit: 50 });
  room.leave();
  room.join({ since: { epoch: "k3v9", offset: 41 } });
  room.leave();
  room.join({ presence: true });
  const shown = [
    "join", "send", "send-no-echo", "send-base64", "direct-connection", "direct-user", "send-once", "members-page",
    "leave", "join-since", "leave", "join-presence",
  ];
  assert.deepEqual(
    frames.map((f) => f.replace(/,"id":\d+/, "")),
    shown.map((name) => readFileSync(new URL(`${name}.json`, folder), "utf8").trim().replace(/,"id":[^,}]+/, "").replace("12.50", "12.5")),
  );
});

test("the ack settles the send, the error rejects it with all it says", async () => {
  const { client, socket } = await opened();
  const room = await joined(client, socket);
  const sends = [room.send(1), room.send(2), room.send(3, { as: "ann", key: "cursor" })];
  const [one, two, three] = socket.taken();
  assert.deepEqual(three, { type: "send", id: three.id, room: "kitchen", as: "ann", key: "cursor", data: 3 }, "as, key");
  socket.say({ type: "ack", id: one.id }, { type: "ack", id: three.id });
  socket.say({ type: "error", id: two.id, code: "throttled", message: "more than 100", room: "kitchen", retry_after_ms: 250 });
  assert.equal(await sends[0], undefined);
  await sends[2];
  const error = await refusal(/** @type {Promise<void>} */ (sends[1]));
  assert.ok(error instanceof RoomcastError);
  assert.deepEqual([error.code, error.message, error.room, error.retryAfter], ["throttled", "more than 100", "kitchen", 250]);
});

test("any JSON value and any bytes go there and come back", async () => {
  const { client, socket } = await opened();
  const room = await joined(client, socket);
  const all = Uint8Array.from({ length: 20_000 }, (_, i) => i % 256);
  const views = [all, all.buffer, new DataView(all.buffer, 3, 9), all.subarray(5, 5), Buffer.from("grüße")];
  for (const data of views) room.send(data);
  const sent = socket.taken();
  assert.deepEqual(sent.map((m) => Buffer.from(m.base64, "base64")), [
    Buffer.from(all), Buffer.from(all), Buffer.from(all.subarray(3, 12)), Buffer.alloc(0), Buffer.from("grüße"),
  ]);
  /** @type {any[]} */
  const got = [];
  room.on("message", (m) => got.push(m.data));
  for (const { base64 } of sent) socket.say({ type: "message", room: "kitchen", base64 });
  assert.deepEqual(got.map((b) => b.length), [20_000, 20_000, 9, 0, 7]);
  assert.deepEqual(got[0], all);
  for (const data of [null, undefined, 0, "", false, [], { a: [null] }]) room.send(data);
  assert.deepEqual(socket.taken().map((m) => m.data), [null, null, 0, "", false, [], { a: [null] }]);
  const circle = /** @type {any} */ ({});
  circle.self = circle;
  assert.ok((await refusal(room.send(circle))) instanceof TypeError);
  assert.deepEqual(socket.taken(), []);
});

test("the break of a connection rejects what was sent and keeps what was not; nothing is sent twice", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { client, socket, last } = await opened();
  const room = await joined(client, socket);
  const sent = room.send("sent");
  socket.readyState = 2; // closing: a browser would swallow it
  const kept = room.send("kept");
  assert.deepEqual(socket.taken().map((m) => m.data), ["sent"]);
  socket.end(1006);
  const away = [room.send("while"), client.direct({ user: "ann" }, "direct"), room.send("away")];
  const error = await refusal(sent);
  assert.deepEqual([error.code, error.closeCode], ["disconnected", 1006]);
  t.mock.timers.tick(500);
  const again = await reopen({ last });
  const [join, direct, ...none] = again.taken();
  assert.deepEqual([join.type, direct.data, none], ["join", "direct", []], "a room's messages wait until it is joined");
  away.push(room.send("then"));
  again.say({ type: "ack", id: join.id - 1 }); // nothing here waits for it
  assert.deepEqual(again.taken(), []);
  again.say({ type: "ack", id: join.id }, { type: "ack", id: direct.id });
  assert.deepEqual(again.ack().map((m) => m.data), ["kept", "while", "away", "then"]);
  await Promise.all([kept, ...away]);
});

test("what waits leaves in order once its room is joined, before what handlers send", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { client, last } = dial();
  await turn();
  const room = client.room("kitchen");
  room.join();
  room.on("joined", () => room.send("handler"));
  client.on("state", () => client.state === "open" && room.send("state"));
  for (let i = 0; i < 5; i++) room.send(i);
  last().open();
  last().hello();
  const [join, ...none] = last().taken();
  assert.deepEqual([join.type, none], ["join", []]);
  last().say({ type: "ack", id: join.id });
  assert.deepEqual(last().ack().map((m) => m.data), [0, 1, 2, 3, 4, "state", "handler"]);
});

test("one message more than may wait is rejected, and the others stay", async () => {
  const { client, last } = dial({ queue: 2 });
  await turn();
  const room = client.room("kitchen");
  const sends = [room.send(0), room.send(1), room.send(2)];
  const error = await refusal(/** @type {Promise<void>} */ (sends[2]));
  assert.deepEqual([error.code, error.room], ["not_connected", "kitchen"]);
  last().open();
  last().hello();
  assert.deepEqual(last().taken().map((m) => m.data), [0, 1]);
  for (let i = 0; i < 10; i++) room.send(i);
  assert.equal(last().taken().length, 10, "with a connection there is no bound");
});

test("without an option a thousand may wait", async () => {
  const { client } = dial();
  const room = client.room("kitchen");
  /** @type {Promise<any>[]} */
  const sends = [];
  for (let i = 0; i < 1001; i++) sends.push(room.send(i));
  assert.equal((await refusal(/** @type {Promise<any>} */ (sends[1000]))).code, "not_connected");
  client.close();
  assert.equal((await refusal(/** @type {Promise<any>} */ (sends[999]))).code, "closed");
});

test("a message larger than the server takes is rejected here, for it would end the connection for good", async () => {
  const { client, socket } = await opened({}, { limits: { message_bytes: 100 } });
  const room = await joined(client, socket);
  for (const text of ["x".repeat(100), "é".repeat(40)]) {
    const error = await refusal(room.send(text));
    assert.deepEqual([error.code, error.room], ["too_large", "kitchen"]);
  }
  assert.equal((await refusal(client.room("x".repeat(100)).join())).code, "too_large");
  const head = JSON.stringify({ type: "send", id: 5, room: "kitchen", data: "" }).length;
  room.send("x".repeat(100 - head));
  assert.equal(socket.taken().length, 1, "what is just large enough goes");
});

test("what nobody waits for is no uncaught error", async () => {
  /** @type {any[]} */
  const unhandled = [];
  const listen = (/** @type {any} */ reason) => unhandled.push(reason);
  process.on("unhandledRejection", listen);
  const { client, socket } = await opened();
  const room = await joined(client, socket);
  room.send(1);
  client.room("hall").join();
  client.direct({ user: "ann" }, 1);
  client.close();
  room.send(2);
  room.join();
  client.ready();
  await turn();
  await turn();
  process.off("unhandledRejection", listen);
  assert.deepEqual(unhandled, []);
});

test("members are asked for and listed", async () => {
  const { client, socket } = await opened();
  const asked = client.room("kitchen").members();
  const [question] = socket.taken();
  assert.deepEqual(question, { type: "members", id: question.id, room: "kitchen" });
  const members = [{ connection: "c7", user: "ann" }, { connection: "c8" }];
  socket.say({ type: "members", id: question.id, room: "kitchen", count: 2, users: 2, members });
  assert.deepEqual(await asked, { count: 2, users: 2, members });
  const page = client.room("kitchen").members({ after: "c8", limit: 1 });
  const [{ after, limit, id: second }] = socket.taken();
  socket.say({ type: "members", id: second, room: "kitchen", count: 4, users: 3, members: [{ connection: "c9" }], next: "c9" });
  assert.deepEqual([after, limit, await page], ["c8", 1, { count: 4, users: 3, members: [{ connection: "c9" }], next: "c9" }]);
  const refused = client.room("hall").members();
  const [{ id }] = socket.taken();
  socket.say({ type: "error", id, code: "unknown_type", message: "unknown" });
  assert.equal((await refusal(refused)).code, "unknown_type");
});
