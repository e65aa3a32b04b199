// breaks.mjs: what a break of the connection must not do to the members of a room with history, with one server and with several: after
// a break the clients come to the next of them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setInterval } from "node:timers/promises";
import { Door } from "./door.mjs";
import { mint, next, record, rejection } from "./roomcastserver.mjs";

/** @typedef {import("./roomcastserver.mjs").Endpoint} Endpoint @typedef {import("../../client/js/roomcast.js").Client} Client */
/** @typedef {import("../../client/js/roomcast.js").Room} Room @typedef {import("../../client/js/roomcast.js").Position} Position */
/** @typedef {import("../../client/js/roomcast.js").Message} Message */

export const HISTORY = ["--history", "log/**=1000,1h"];
export const options = { timeout: 120_000 };

/** @param {string} sub */
export const tokenOf = (sub) => mint({ sub, direct: true, rooms: { "**": ["join", "send", "presence"] } }, 600);

/** A client of this user, in a room with all it hears there. @param {Endpoint} where @param {string} user @param {string} name @param {Parameters<Room["join"]>[0]} [how] */
export async function member(where, user, name, how) {
  const client = where.dial({ token: () => tokenOf(user) });
  const room = client.room(name);
  const m = { client, room, user, heard: record(room, "message"), joins: record(room, "joined"), notices: record(room, "presence") };
  await room.join(how);
  return m;
}
/** @typedef {Awaited<ReturnType<typeof member>>} Member */

/** Waits until it holds. @param {() => Promise<boolean>} holds */
export async function until(holds) {
  for await (const _ of setInterval(50)) if (await holds()) return;
}

/** Waits until this is the last it has heard, and returns all. @param {Member} m @param {any} last @returns {Promise<any[]>} */
export async function heardTo({ heard, room }, last) {
  if (heard.at(-1)?.data !== last) await next(room, "message", (/** @type {Message} */ { data }) => data === last);
  return heard.map(({ data }) => data);
}

/** What the backend does. @param {Endpoint} where @param {string} room @param {any[]} list @param {object} [more] @returns {Promise<void>} */
export async function publish(where, room, list, more) {
  for (const data of list) await where.api("POST", `/v1/rooms/${encodeURIComponent(room)}/messages`, { data, ...more });
}

/** @param {string} what @param {number} n */
export const numbered = (what, n) => Array.from({ length: n }, (_, i) => `${what} ${i}`);

/** Each stands behind the one before. @param {Message[]} heard @param {number} [missing] places that are somebody's own */
export function inPlace(heard, missing = 0) {
  const [first, last] = [heard[0]?.offset ?? NaN, heard.at(-1)?.offset ?? NaN];
  heard.forEach((m, i) => assert.ok(i === 0 || (m.offset ?? NaN) > (heard[i - 1]?.offset ?? NaN), `${m.offset} behind ${heard[i - 1]?.offset}`));
  assert.equal(last - first + 1, heard.length + missing, "places in the history");
}

/** Nobody was said to have left. It waits for the notice that somebody comes now: nothing is held back then. @param {Endpoint} where @param {Member[]} watchers @param {number} count */
export async function nobodyLeft(where, watchers, count) {
  const said = watchers.map(({ room }) => next(room, "presence", (p) => p.joined.some((/** @type {any} */ s) => s.user === "the last")));
  const last = await member(where, "the last", watchers[0]?.room.name ?? "");
  await Promise.all(said);
  for (const { user, notices } of watchers) {
    assert.deepEqual(notices.flatMap((p) => p.left), [], `${user} has seen somebody leave`);
    notices.forEach((p, i) => assert.ok(p.count >= (notices[i - 1]?.count ?? 0), `${user} has seen the room shrink: ${JSON.stringify(notices)}`));
    assert.equal(notices.at(-1).count, count + 1);
  }
  last.client.close();
}

/** Tests of one or several servers. @param {() => Endpoint[]} servers they run when the tests do */
export function breaks(servers) {
  /** @param {string} name @param {(door: Door, other: Endpoint) => Promise<void>} body `other`: the server that `door` leads to last */
  const broken = (name, body) =>
    test(name, options, async () => {
      const door = await new Door(...servers()).open();
      try {
        await body(door, /** @type {Endpoint} */ (servers().at(-1)));
      } finally {
        door.clear();
      }
    });

  broken("what was sent meanwhile comes once and in order, what one sent silently does not, and nobody has seen one leave", async (door, other) => {
    const room = "log/meanwhile";
    const bob = await member(other, "bob", room, { presence: true });
    const ann = await member(door, "ann", room);
    const { connection, session } = ann.client;
    await ann.room.send("here I am");
    await ann.room.send("to the others", { echo: false });
    const meanwhile = numbered("meanwhile", 50);
    const back = next(ann.room, "joined");
    await door.break(async () => {
      await publish(other, room, meanwhile.slice(0, 25));
      await bob.room.send("from bob");
      await publish(other, room, meanwhile.slice(25));
    });
    assert.deepEqual(await back, { again: true, recovered: true });
    await ann.room.send("back again");
    const between = [...meanwhile.slice(0, 25), "from bob", ...meanwhile.slice(25), "back again"];
    assert.deepEqual(await heardTo(ann, "back again"), ["here I am", ...between]);
    assert.deepEqual(await heardTo(bob, "back again"), ["here I am", "to the others", ...between]);
    inPlace(bob.heard);
    inPlace(ann.heard, 1);
    assert.deepEqual([ann.client.connection, ann.client.session], [connection, session]);
    const from = { connection, user: "ann" };
    assert.deepEqual(bob.heard.at(-1).from, from);
    const { count, users, members } = await bob.room.members();
    assert.deepEqual([count, users, members.some((m) => m.connection === connection)], [2, 2, true]);
    await nobodyLeft(other, [bob], 2);
  });

  broken("a message is stored once: the ack is lost, the message is lost, many are on their way", async (door, other) => {
    const room = "log/once";
    const bob = await member(other, "bob", room);
    const ann = await member(door, "ann", room);
    door.hold("from server");
    const acked = ann.room.send("no ack"), silent = ann.room.send("no ack, no echo", { echo: false });
    await heardTo(bob, "no ack, no echo");
    let back = next(ann.room, "joined");
    await door.break();
    assert.deepEqual([await acked, await silent], bob.heard.map(({ epoch, offset }) => ({ epoch, offset })), "the ack says where it was stored first");
    assert.deepEqual(await back, { again: true, recovered: true });

    door.hold("from clients");
    const lost = ann.room.send("lost");
    back = next(ann.room, "joined");
    await door.break();
    await lost;
    await back;
    const many = numbered("many", 200);
    const sent = many.map((data) => ann.room.send(data));
    await heardTo(bob, "many 20"); // some are acked by now, some are stored, and some are not there yet
    await door.break();
    const places = await Promise.all(sent);
    const all = ["no ack", "no ack, no echo", "lost", ...many];
    assert.deepEqual(await heardTo(bob, "many 199"), all);
    assert.deepEqual(await heardTo(ann, "many 199"), all.filter((data) => data !== "no ack, no echo"));
    inPlace(bob.heard);
    assert.deepEqual(places, bob.heard.slice(3).map(({ epoch, offset }) => ({ epoch, offset })));
  });

  broken("after a load of the page join({ since }) goes on from what was stored", async (door, other) => {
    const room = "log/load";
    const before = await member(door, "ann", room);
    await publish(other, room, numbered("seen", 5));
    await heardTo(before, "seen 4");
    const stored = JSON.parse(JSON.stringify(before.room.position));
    before.client.close();
    await publish(other, room, numbered("not seen", 30));
    door.turn++;
    const after = await member(door, "ann", room, { since: stored });
    assert.deepEqual(await heardTo(after, "not seen 29"), numbered("not seen", 30));
    assert.deepEqual(after.joins, [{ again: false, recovered: true }]);
    assert.deepEqual(after.room.position, { epoch: stored.epoch, offset: stored.offset + 30 });

    const elsewhere = await member(door, "cem", room, { since: { epoch: "another", offset: 3 } });
    assert.deepEqual(elsewhere.joins, [{ again: false, recovered: false }]);
    assert.deepEqual(elsewhere.room.position, after.room.position);
    assert.deepEqual((await rejection(after.room.send("x", { idempotencyKey: "k".repeat(65) }))).code, "bad_request");
  });

  broken("a room without history: one is still in it, and is told that something may be missing", async (door, other) => {
    const bob = await member(other, "bob", "plain", { presence: true });
    const ann = await member(door, "ann", "plain", { presence: true });
    const { connection } = ann.client;
    door.hold("from server");
    const unknown = rejection(ann.room.send("done or not"));
    await heardTo(bob, "done or not");
    const back = next(ann.room, "joined");
    await door.break(() => publish(other, "plain", ["missed"]));
    assert.equal((await unknown).code, "disconnected");
    assert.deepEqual(await back, { again: true, recovered: false });
    await ann.room.send("back again");
    assert.deepEqual(await heardTo(ann, "back again"), ["back again"]);
    assert.deepEqual(await heardTo(bob, "back again"), ["done or not", "missed", "back again"]);
    assert.equal(ann.client.connection, connection);
    assert.equal(ann.room.position, null);
    await nobodyLeft(other, [bob, ann], 2);
  });

  broken("what the backend does meanwhile counts: into a room, out of a room", async (door, other) => {
    const dan = door.dial({ token: () => tokenOf("dan") });
    await dan.ready();
    const put = next(dan, "joined");
    await until(async () => (await other.api("GET", "/v1/connections?user=dan")).total > 0); // that takes a moment
    assert.deepEqual(await other.api("PUT", "/v1/users/dan/rooms/log%2Fput"), { joined: 1 });
    const room = await put;
    const heard = record(room, "message"), lefts = record(room, "left");
    await publish(other, "log/put", ["one"]);
    let back = next(room, "joined");
    await door.break(() => publish(other, "log/put", ["two"]));
    assert.deepEqual(await back, { again: true, recovered: true });
    await publish(other, "log/put", ["three"]);
    if (heard.length < 3) await next(room, "message", ({ data }) => data === "three");
    assert.deepEqual(heard.map((m) => m.data), ["one", "two", "three"]);
    const left = next(room, "left");
    await door.break(async () => {
      assert.deepEqual(await other.api("DELETE", `/v1/users/dan/rooms/log%2Fput`), { left: 1 });
      await publish(other, "log/put", ["without dan"]);
    });
    await left;
    assert.deepEqual([room.joined, heard.length, lefts.length], [false, 3, 1]);
  });
}
