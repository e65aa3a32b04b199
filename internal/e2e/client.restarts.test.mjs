// client.restarts.test.mjs: a hundred clients of the built server through three restarts of it.
//
//   node client.restarts.test.mjs ../../bin/roomcast

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { next, RoomcastServer } from "./roomcastserver.mjs";

const CLIENTS = 100;
const server = new RoomcastServer("--drain=2s");
after(() => server.clear());

/** The rooms of a client. @param {number} n */
const roomsOf = (n) => ["all", n % 2 ? "odd" : "even"];

/** A client in two of the rooms, with all it has received: which room, what. @param {number} n */
function one(n) {
  const client = server.dial();
  /** @type {Map<string, string[]>} */
  const received = new Map();
  for (const name of roomsOf(n)) {
    /** @type {string[]} */
    const list = [];
    received.set(name, list);
    client.room(name).on("message", ({ data }) => list.push(data));
    client.room(name).join();
  }
  return { n, client, received, sends: /** @type {{ room: string, text: string, done: Promise<any> }[]} */ ([]) };
}

/** @typedef {ReturnType<typeof one>} One */

/** Waits for an answer of the server that runs now: what was sent to the client before has come. @param {One} who @param {string} name */
async function members({ client }, name) {
  for (;;) {
    try {
      return await client.room(name).members();
    } catch (/** @type {any} */ error) {
      assert.equal(error.code, "disconnected"); // asked the server that is gone
    }
  }
}

/** Every client is in its rooms, by its own account and by the server's. @param {One[]} all */
async function everyoneIsBack(all) {
  await Promise.all(all.map(async (who) => {
    for (const name of roomsOf(who.n)) {
      await members(who, name);
      if (!who.client.room(name).joined) await next(who.client.room(name), "joined"); // the answer may come before, while it is not known whether the session goes on
    }
  }));
  const { rooms } = await server.api("GET", "/v1/rooms");
  assert.deepEqual(rooms, [{ name: "all", members: CLIENTS }, { name: "even", members: CLIENTS / 2 }, { name: "odd", members: CLIENTS / 2 }]);
}

/** Each sender's messages "sender/number" have rising numbers, so none comes twice. @param {string[]} messages @param {string} where */
function inOrder(messages, where) {
  const last = new Map();
  for (const message of messages) {
    const [sender, number] = message.split("/");
    assert.ok(Number(number) > (last.get(sender) ?? 0), `${where}: ${message} after ${sender}/${last.get(sender)}`);
    last.set(sender, Number(number));
  }
}

test("100 clients through three restarts: all are back in their rooms, no message comes twice, the order is kept", { timeout: 120_000 }, async () => {
  await server.start();
  const all = Array.from({ length: CLIENTS }, (_, n) => one(n));
  let round = 0;
  const say = () => {
    round++;
    for (const { n, client, sends } of all) {
      for (const room of roomsOf(n)) sends.push({ room, text: `${n}/${round}`, done: client.room(room).send(`${n}/${round}`) });
    }
  };
  await everyoneIsBack(all);
  say();
  for (const signal of /** @type {const} */ (["SIGKILL", "SIGTERM", "SIGKILL"])) {
    say(); // on its way when the server goes: done or not, but not twice
    assert.equal(await server.end(signal), signal === "SIGTERM" ? 0 : null);
    say(); // while it is away
    await server.start();
    await everyoneIsBack(all);
    say();
  }
  let lost = 0;
  for (const { n, received, sends } of all) {
    for (const { room, text, done } of sends) {
      const error = await done.then(() => null, (e) => e);
      if (error) lost++;
      if (error) assert.equal(error.code, "disconnected", `client ${n}, ${text} to ${room}`);
      else assert.ok(received.get(room)?.includes(text), `client ${n}: ${text} to ${room} was acked, and its echo has not come before`);
    }
  }
  assert.ok(lost > 0, "nothing was on its way when the server was killed: the test shows less than it should");
  await Promise.all(all.flatMap((who) => roomsOf(who.n).map((name) => members(who, name)))); // whatever was sent has come
  for (const { n, received } of all) {
    for (const [room, messages] of received) {
      inOrder(messages, `client ${n}, ${room}`);
      const last = messages.filter((m) => m.endsWith(`/${round}`));
      assert.equal(last.length, room === "all" ? CLIENTS : CLIENTS / 2, `client ${n}, ${room}: after the last restart everything arrives`);
    }
  }
  assert.equal(server.sockets.length - server.closeCodes.length, CLIENTS, "one connection each is left");
  assert.equal(server.closeCodes.filter((code) => code === 1001).length, CLIENTS, "SIGTERM closes everyone with 1001");
});
