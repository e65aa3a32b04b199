// client.node.test.mjs: the JavaScript client in Node against the built server.
//
//   node client.node.test.mjs ../../bin/roomcast

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { mint, next, record, rejection, RoomcastServer, SECRET } from "./roomcastserver.mjs";

/** @typedef {import("./roomcastserver.mjs").Client} Client */

const options = { timeout: 90_000 };

/** A test with a server of its own. @param {string} name @param {string[]} args @param {(server: RoomcastServer) => Promise<void>} body */
function served(name, args, body) {
  test(name, options, async () => {
    const server = new RoomcastServer(...args);
    try {
      await body(await server.start());
    } catch (error) {
      console.log(`the log of the server:\n${server.log.join("\n")}`);
      throw error;
    } finally {
      await server.clear();
    }
  });
}

/** @param {Client} client @param {string} name */
async function joined(client, name) {
  const room = client.room(name);
  const heard = record(room, "message");
  await room.join();
  return { room, heard };
}

// At the same time: what takes time here is waiting.
describe("in Node, against the built server", { concurrency: true }, () => {
  served("join, send, echo off, bytes, members, leave", [], async (server) => {
    const ann = server.dial(), bob = server.dial();
    const a = await joined(ann, "küche/1"), b = await joined(bob, "küche/1");
    const from = { connection: ann.connection };
    await a.room.send({ text: "grüße 👋", n: 12.5 });
    await a.room.send("to the others", { echo: false });
    await a.room.send(new Uint8Array([0, 1, 128, 255]));
    await a.room.send(null);
    await b.room.members(); // whatever was sent before comes before this answer
    const all = [{ text: "grüße 👋", n: 12.5 }, "to the others", Uint8Array.of(0, 1, 128, 255), null];
    assert.deepEqual(b.heard, all.map((data) => ({ room: "küche/1", from, data })));
    assert.deepEqual(a.heard.map((m) => m.data), all.filter((data) => data !== "to the others"), "its echo comes before the ack");

    const { count, members } = await a.room.members();
    assert.equal(count, 2);
    assert.deepEqual(new Set(members.map((m) => m.connection)), new Set([ann.connection, bob.connection]));
    await b.room.leave();
    await a.room.send("without bob");
    assert.equal((await bob.room("küche/1").members()).count, 1);
    assert.equal(b.heard.length, all.length);
    const refused = await rejection(bob.room("küche/1").send("from outside"));
    assert.deepEqual([refused.code, refused.room], ["not_joined", "küche/1"]);
    assert.equal((await rejection(ann.room("").join())).code, "bad_room");
    assert.equal((await rejection(ann.room("x".repeat(256)).join())).code, "bad_room");
  });

  served("direct messages", ["--token-secret", SECRET], async (server) => {
    const of = (/** @type {string} */ sub) => mint({ sub, direct: true, rooms: {} }, 600);
    const ann = server.dial({ token: of("ann") });
    const bob = server.dial({ token: () => of("bob") });
    const bobs = [bob, server.dial({ token: async () => of("bob") })];
    await Promise.all([ann, ...bobs].map((c) => c.ready()));
    const got = bobs.map((bob) => next(bob, "direct"));
    await ann.direct({ user: "bob" }, { text: "psst" });
    const from = { connection: ann.connection, user: "ann" };
    assert.deepEqual(await Promise.all(got), bobs.map(() => ({ from, data: { text: "psst" } })));
    const bytes = next(bob, "direct");
    await ann.direct({ connection: bob.connection ?? "" }, Uint8Array.of(7).buffer);
    assert.deepEqual((await bytes).data, Uint8Array.of(7));
    assert.equal((await rejection(ann.direct({ user: "cem" }, 1))).code, "not_found");
    assert.equal((await rejection(ann.room("kitchen").join())).code, "forbidden");
  });

  served("the server is killed and started again on its port", [], async (server) => {
    const ann = server.dial(), bob = server.dial();
    const a = await joined(ann, "kitchen"), b = await joined(bob, "kitchen");
    const before = ann.connection;
    const waiting = [ann, bob].map((c) => next(c, "state", (e) => e.state === "waiting"));
    await server.end("SIGKILL");
    for (const { closeCode } of await Promise.all(waiting)) assert.equal(closeCode, 1006);
    assert.equal(a.room.joined, false);
    const sent = a.room.send("while it is away");
    const back = [a, b].map(({ room }) => next(room, "joined"));
    await server.start();
    for (const { again } of await Promise.all(back)) assert.equal(again, true);
    await sent; // it may have left before bob was back
    await a.room.send("hello again");
    await b.room.members();
    assert.equal(b.heard.at(-1).data, "hello again");
    assert.deepEqual(a.heard.map((m) => m.data), ["while it is away", "hello again"]);
    assert.notEqual(ann.connection, before);
  });

  served("a token is refreshed before it expires", ["--token-secret", SECRET, "--token-leeway=0s"], async (server) => {
    let calls = 0;
    let third = () => {};
    const calledThrice = new Promise((done) => (third = () => done(null)));
    const token = () => {
      if (++calls === 3) third();
      return mint({ sub: "ann", rooms: { "**": ["join", "send"] } }, 5);
    };
    const ann = server.dial({ token });
    const { room, heard } = await joined(ann, "kitchen");
    const { connection } = ann;
    const began = Date.now();
    await calledThrice;
    await room.send("still here"); // behind the second refresh: the first token has expired
    assert.ok(Date.now() - began > 5_000, "a refresh is due at four fifths of the time, twice");
    assert.deepEqual([ann.connection, ann.user, heard.length, server.closeCodes], [connection, "ann", 1, []]);
  });

  served("a token that is not refreshed ends the connection with 3200, and a fresh one brings it back", ["--token-secret", SECRET, "--token-leeway=0s"], async (server) => {
    let calls = 0;
    const token = () => {
      if (++calls === 2) throw new Error("the backend is away");
      return mint({ sub: "ann", rooms: { "**": ["join", "send"] } }, calls === 1 ? 1.5 : 600);
    };
    const ann = server.dial({ token });
    const complaint = next(ann, "error");
    const states = record(ann, "state");
    const { room, heard } = await joined(ann, "kitchen");
    const before = ann.connection;
    const again = await next(room, "joined", (e) => e.again);
    assert.deepEqual([again, (await complaint).code, calls, server.closeCodes], [{ again: true, recovered: false }, "token_failed", 3, [3200]]);
    await room.send("with a fresh one");
    assert.deepEqual([heard.length, states.map((s) => s.state)], [1, ["open", "connecting", "open"]], "at once: it does not wait");
    assert.equal(ann.connection, before, "the session goes on");
  });

  served("who sends too much is throttled and told for how long", ["--max-message-rate=5"], async (server) => {
    const { room, heard } = await joined(server.dial(), "kitchen");
    const outcomes = await Promise.allSettled(Array.from({ length: 100 }, (_, i) => room.send(i)));
    const refused = outcomes.flatMap((o, i) => (o.status === "rejected" ? [{ i, error: o.reason }] : []));
    assert.ok(refused.length > 0 && refused.length <= 95, `${refused.length} of 100 refused, and 5 may come at once`);
    for (const { error } of refused) {
      assert.deepEqual([error.code, error.room], ["throttled", "kitchen"]);
      assert.ok(error.retryAfter > 0 && error.retryAfter <= 200, `retryAfter ${error.retryAfter}: there are 5 in a second`);
    }
    const told = new Set(refused.map(({ i }) => i));
    assert.deepEqual(heard.map((m) => m.data), outcomes.map((_, i) => i).filter((i) => !told.has(i)), "what was not refused was done");
    for (let error; (error = await room.send("later").then(() => null, (e) => e)); ) {
      assert.equal(error.code, "throttled");
      await new Promise((done) => setTimeout(done, error.retryAfter));
    }
    assert.equal(heard.at(-1).data, "later");
  });

  served("who does not read is told what it missed, and where", ["--slow", "drop/**=drop-oldest", "--outbox=64KiB"], async (server) => {
    const SENT = 4_000;
    const bob = server.dial();
    const b = await joined(bob, "drop/1");
    const [socket] = server.sockets;
    const ann = server.dial();
    const a = await joined(ann, "drop/1");
    /** @type {({ missed: number } | { n: number })[]} */
    const story = [];
    b.room.on("message", ({ data }) => story.push({ n: data.n }));
    b.room.on("gap", (gap) => story.push(gap));
    const end = next(b.room, "message", (m) => m.data.n === SENT - 1);
    socket?.pause();
    const pad = "x".repeat(8_000);
    for (let n = 0; n < SENT; n += 10) await Promise.all(Array.from({ length: 10 }, (_, i) => a.room.send({ n: n + i, pad }, { echo: false })));
    socket?.resume();
    await end;
    const gaps = story.flatMap((s) => ("missed" in s ? [s.missed] : []));
    assert.ok(gaps.length > 0, "32 MB fit into no buffer on the way");
    let expected = 0; // where the gaps are is where the numbers jump
    for (const s of story) {
      if ("missed" in s) expected += s.missed;
      else assert.equal(s.n, expected++);
    }
    assert.equal(expected, SENT, "received and missed are what was sent");
    assert.deepEqual([a.heard.length, bob.state], [0, "open"]);
  });

  served("who does not read where nothing may be missing is closed with 1013, and comes back", ["--outbox=64KiB"], async (server) => {
    const b = await joined(server.dial(), "kitchen");
    const [socket] = server.sockets;
    const a = await joined(server.dial(), "kitchen");
    socket?.pause();
    const pad = "x".repeat(8_000);
    for (let n = 0, failed = 0; failed === 0; n++) ({ failed } = await server.api("POST", "/v1/rooms/kitchen/messages", { data: { n, pad } }));
    const back = next(b.room, "joined");
    socket?.resume();
    assert.deepEqual([await back, server.closeCodes], [{ again: true, recovered: false }, [1013]]);
    assert.ok(b.heard.length > 0);
    b.heard.forEach((m, i) => assert.equal(m.data.n, i, "nothing is missing before the end"));
    await a.room.send("hello again");
    await b.room.members();
    assert.equal(b.heard.at(-1)?.data, "hello again");
  });

  served("a server that drains says so, closes with 1001, and the client is back when it was told to come", ["--drain=2s"], async (server) => {
    const ann = server.dial();
    const a = await joined(ann, "kitchen");
    const draining = next(ann, "draining"), waiting = next(ann, "state", (e) => e.state === "waiting");
    const back = next(a.room, "joined");
    assert.equal(await server.end("SIGTERM"), 0);
    const { reconnectAfter } = await draining;
    assert.ok(reconnectAfter > 0 && reconnectAfter <= 1_500, `${reconnectAfter}: three quarters of the drain are for coming back`);
    assert.deepEqual(await waiting, { state: "waiting", delay: reconnectAfter, closeCode: 1001, reason: "server going away" });
    await server.start();
    assert.deepEqual(await back, { again: true, recovered: false });
    await a.room.send("hello again");
    assert.equal(a.heard.at(-1).data, "hello again");
  });

  served("who is kicked stays away", [], async (server) => {
    const ann = server.dial(), bob = server.dial();
    const a = await joined(ann, "kitchen"), b = await joined(bob, "kitchen");
    const states = record(ann, "state");
    const closed = next(ann, "error");
    assert.deepEqual(await server.api("DELETE", `/v1/connections/${ann.connection}?reason=enough`), { disconnected: 1 });
    const error = await closed;
    assert.deepEqual([error.code, error.closeCode, ann.state, ann.error, states.map((s) => s.state)], ["kicked", 3003, "closed", error, ["closed"]]);
    assert.match(error.message, /enough/);
    assert.equal((await rejection(a.room.send("no"))).code, "kicked");
    await b.room.send("yes");
    assert.deepEqual([b.heard.length, server.sockets.length, (await b.room.members()).count], [1, 2, 1]);
  });

  served("the backend puts a client into a room, publishes, and takes it out", [], async (server) => {
    const ann = server.dial();
    await ann.ready();
    const put = next(ann, "joined");
    assert.deepEqual(await server.api("PUT", `/v1/connections/${ann.connection}/rooms/orders%2F7`), { joined: 1 });
    const room = await put;
    assert.deepEqual([room.name, room.joined], ["orders/7", true]);
    const message = next(room, "message"), left = next(room, "left");
    assert.equal((await server.api("POST", "/v1/rooms/orders%2F7/messages", { data: "paid" })).delivered, 1);
    assert.deepEqual(await message, { room: "orders/7", from: {}, data: "paid" });
    assert.deepEqual(await server.api("DELETE", `/v1/connections/${ann.connection}/rooms/orders%2F7?reason=done`), { left: 1 });
    assert.deepEqual(await left, { reason: "done" });
    assert.equal(room.joined, false);
  });
});
