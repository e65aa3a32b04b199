// client.cluster.test.mjs: the JavaScript client and three built servers that are a cluster, with NATS embedded; one is killed, and all
// are stopped and started anew one after the other.
//
//   node client.cluster.test.mjs ../../bin/roomcast

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setInterval } from "node:timers/promises";
import { breaks, heardTo, HISTORY, inPlace, member, nobodyLeft, numbered, options, publish, until } from "./breaks.mjs";
import { Door, isReady } from "./door.mjs";
import { next, record, RoomcastServer, SECRET, somePort } from "./roomcastserver.mjs";

/** @typedef {import("./breaks.mjs").Member} Member @typedef {import("./roomcastserver.mjs").Endpoint} Endpoint */

const dir = mkdtempSync(join(tmpdir(), "roomcast-cluster-"));
const servers = await makeCluster();

before(async () => {
  await Promise.all(servers.map((server) => server.start()));
  await Promise.all(servers.map(ready));
}, options);

after(async () => {
  await Promise.all(servers.map((server) => server.clear()));
  rmSync(dir, { recursive: true, force: true });
});

/** @returns {Promise<[RoomcastServer, RoomcastServer, RoomcastServer]>} */
async function makeCluster() {
  const routes = await freePorts(3);
  const node = (/** @type {number} */ i) => {
    const [own, ...peers] = [0, 1, 2].map((n) => `127.0.0.1:${routes[(i + n) % 3]}`);
    const cluster = ["--nats=embedded", "--data", join(dir, `${i}`), "--node", `n${i}`, "--cluster-listen", `${own}`, "--cluster-peers", peers.join()];
    return new RoomcastServer(...cluster, "--token-secret", SECRET, "--drain=2s", ...HISTORY);
  };
  return [node(0), node(1), node(2)];
}

/** Ports that nobody listens on. @param {number} n */
async function freePorts(n) {
  /** @type {Set<number>} */
  const ports = new Set();
  while (ports.size < n) {
    const port = somePort();
    const free = await new Promise((done) => {
      const listener = createServer().once("error", () => done(false));
      listener.listen(port, "127.0.0.1", () => listener.close(() => done(true)));
    });
    if (free) ports.add(port);
  }
  return [...ports];
}

/** @param {Endpoint} server */
const ready = (server) => until(() => isReady(server));

/** What a backend does that wants to be sure: it says it again until it is done. @param {Endpoint} where @param {string} room @param {string} data */
const insist = (where, room, data) =>
  until(() => publish(where, room, [data], { idempotency_key: data }).then(() => true, () => false));

/** All know of as many members. @param {Member[]} members @param {number} count */
const allKnow = (members, count) => until(async () => (await Promise.all(members.map(({ room }) => room.members()))).every((m) => m.count === count));

describe("three servers", { concurrency: true }, () => {
  breaks(() => servers);

  for (const name of ["log/across", "across"]) {
    test(`members, messages, direct messages and kicks across the servers: ${name}`, options, async () => {
      const [ann, bob, cem] = await Promise.all(servers.map((server, i) => member(server, /** @type {string} */ (["ann", "bob", "cem"][i]) + name, name, { presence: true })));
      assert.ok(ann && bob && cem);
      const all = [ann, bob, cem];
      await allKnow(all, 3);
      const ids = all.map((m) => m.client.connection ?? "").sort();
      for (const { room } of all) {
        const { count, users, members, next } = await room.members({ limit: 2 });
        const rest = await room.members({ limit: 2, after: next });
        assert.deepEqual([count, users, [...members, ...rest.members].map((m) => m.connection), rest.next], [3, 3, ids, undefined]);
      }

      await ann.room.send("to all");
      for (const m of all) await heardTo(m, "to all");
      await bob.room.send("to the others", { echo: false });
      for (const m of [ann, cem]) await heardTo(m, "to the others");
      await publish(servers[1], name, ["not to ann"], { except: { connections: [ann.client.connection] } });
      await publish(servers[1], name, ["not to bob"], { except: { sessions: [bob.client.session] } });
      await publish(servers[1], name, ["not to cem"], { except: { users: [cem.user] } });
      await publish(servers[1], name, ["the end"]);
      const [toAnn, toBob, toCem] = await Promise.all(all.map((m) => heardTo(m, "the end")));
      assert.deepEqual(toAnn, ["to all", "to the others", "not to bob", "not to cem", "the end"]);
      assert.deepEqual(toBob, ["to all", "not to ann", "not to cem", "the end"]);
      assert.deepEqual(toCem, ["to all", "to the others", "not to ann", "not to bob", "the end"]);

      const direct = [next(cem.client, "direct"), next(ann.client, "direct")];
      await ann.client.direct({ connection: cem.client.connection ?? "" }, "psst");
      await bob.client.direct({ user: ann.user }, "hey");
      assert.deepEqual(await Promise.all(direct), [
        { from: { connection: ann.client.connection, user: ann.user }, data: "psst" },
        { from: { connection: bob.client.connection, user: bob.user }, data: "hey" },
      ]);

      const kicked = next(cem.client, "error"), left = next(ann.room, "presence", (p) => p.left.length > 0);
      const { connection } = cem.client;
      assert.deepEqual(await servers[0].api("DELETE", `/v1/connections/${connection}`), { disconnected: 1 });
      assert.equal((await kicked).code, "kicked");
      assert.deepEqual((await left).left, [{ connection, user: cem.user }]);
      for (const { client } of all) client.close();
    });
  }
});

test("a server is killed: its clients go on with another, and nobody has seen them leave", options, async () => {
  const room = "log/killed";
  const door = await new Door(...servers).open();
  try {
    const watchers = [await member(servers[1], "dora", room, { presence: true }), await member(servers[2], "eve", room, { presence: true })];
    const movers = await Promise.all(["ann", "bob", "cem"].map((user) => member(door, user, room)));
    const all = [...watchers, ...movers];
    await allKnow(all, 5);
    const connections = movers.map(({ client }) => client.connection);
    const back = movers.map((m) => next(m.room, "joined"));
    await insist(servers[2], room, "before");
    await servers[0].end("SIGKILL");
    const sent = movers.map((m) => m.room.send(m.user));
    for (const data of numbered("meanwhile", 20)) await insist(servers[2], room, data);
    for (const event of await Promise.all(back)) assert.deepEqual(event, { again: true, recovered: true });
    await Promise.all(sent);
    await insist(servers[1], room, "the end");
    const stories = await Promise.all(all.map((m) => heardTo(m, "the end")));
    const [first] = stories;
    assert.deepEqual(first?.filter((data) => !["ann", "bob", "cem"].includes(data)), ["before", ...numbered("meanwhile", 20), "the end"]);
    for (const story of stories) assert.deepEqual(story, first);
    all.forEach(({ heard }) => inPlace(heard));
    assert.deepEqual(movers.map(({ client }) => client.connection), connections);
    await allKnow(all, 5);
    await nobodyLeft(servers[2], watchers, 5);
    all.forEach(({ client }) => client.close());
  } finally {
    door.clear();
  }
  await servers[0].start();
  await ready(servers[0]);
});

test("a rolling upgrade with 30 clients loses nothing, and nobody has seen anybody leave", options, async () => {
  const CLIENTS = 30;
  const room = "log/rolling";
  const door = await new Door(...servers).open();
  door.spread = true;
  let rolling = true;
  /** @type {{ data: string, at: any }[]} */
  const acked = [];
  /** Sends one after the other, at a steady rate. @param {string} who @param {number} pause @param {(data: string) => Promise<any>} send */
  const sends = async (who, pause, send) => {
    let n = 0;
    for await (const _ of setInterval(pause)) {
      if (!rolling) return;
      const data = `${who}/${n++}`;
      acked.push({ data, at: await send(data) });
    }
  };
  try {
    const all = await Promise.all(numbered("user", CLIENTS).map((user) => member(door, user, room, { presence: true })));
    const troubles = all.flatMap((m) => [record(m.room, "gap"), record(m.room, "left"), record(m.room, "error"), record(m.client, "error")]);
    await allKnow(all, CLIENTS);
    const sending = [
      ...all.slice(0, 4).map((m) => sends(m.user, 40, (data) => m.room.send(data))),
      sends("backend", 40, (data) => insist(door, room, data)),
      sends("another backend", 40, (data) => insist(door, room, data)),
    ];
    for (const server of servers) {
      await Promise.all(servers.map(ready)); // as whoever upgrades has to wait
      const ended = server.end("SIGTERM");
      await until(async () => !(await isReady(server)));
      assert.equal(await ended, 0);
      await server.start();
    }
    await Promise.all(servers.map(ready));
    rolling = false;
    await Promise.all(sending);
    await insist(door, room, "the end");
    const [story] = await Promise.all(all.map((m) => heardTo(m, "the end")));
    for (const { user, heard, joins } of all) {
      inPlace(heard);
      assert.deepEqual(heard.map((m) => m.data), story, `what ${user} has heard`);
      assert.deepEqual(joins.slice(1), joins.slice(1).map(() => ({ again: true, recovered: true })), user);
    }
    const places = new Map(all[0]?.heard.map(({ data, epoch, offset }) => [data, { epoch, offset }]));
    assert.equal(places.size, acked.length + 1, "each is there once");
    for (const { data, at } of acked) {
      const place = places.get(data);
      assert.ok(place, `${data} was acknowledged`);
      if (at) assert.deepEqual(at, place, `where ${data} is`);
    }
    const last = new Map();
    for (const data of story?.slice(0, -1) ?? []) {
      const [who, n] = data.split("/");
      assert.equal(Number(n), (last.get(who) ?? -1) + 1, `the order of ${who}`);
      last.set(who, Number(n));
    }
    assert.deepEqual(troubles.flat(), []);
    assert.ok(door.closeCodes.filter((code) => code === 1001).length >= CLIENTS, "every client was on a server that stopped");
    await nobodyLeft(door, all, CLIENTS);
  } finally {
    rolling = false;
    door.clear();
  }
});
