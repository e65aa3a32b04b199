// roomcastjs.test.mjs: the JavaScript client over real sockets, in Node with npm `ws` and in Chromium, against a server made for it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { chromium } from "playwright-core";
import { WebSocket } from "ws";
import { connect } from "../../client/js/roomcast.js";
import { findChromium } from "./chromium.mjs";
import { FakeServer } from "./fakeserver.mjs";

const options = { timeout: 120_000 };
const CLIENTS = 100;
const ROOMS = ["all", "odd", "even"];
const server = new FakeServer();
/** @type {import("../../client/js/roomcast.js").Client[]} */
let clients = [];

after(async () => {
  for (const client of clients) client.close();
  await server.stop();
});

/** @typedef {{ n: number, received: [string, string][], sends: Promise<void>[], room: (name: string) => import("../../client/js/roomcast.js").Room }} One */

/** A client in two of the rooms, with all it has received: which room, what. @param {number} n @returns {One} */
function one(n) {
  // A tenth of the usual delays: what is tested is that they come back, not how long that takes.
  const client = connect(`http://127.0.0.1:${server.port}/ws`, { WebSocket, random: () => Math.random() / 10 });
  clients.push(client);
  /** @type {[string, string][]} */
  const received = [];
  for (const name of ["all", n % 2 ? "odd" : "even"]) {
    client.room(name).on("message", ({ room, data }) => received.push([room, data]));
    client.room(name).join();
  }
  return { n, received, sends: [], room: (name) => client.room(name) };
}

/** Every client is in its rooms, on the server that runs now. @param {One[]} all */
async function everyoneIsBack(all) {
  await server.joined(2 * CLIENTS);
  for (const { n, room } of all) {
    for (const name of ["all", n % 2 ? "odd" : "even"]) await room(name).members().catch(() => {}); // an answer comes after the join's
    assert.ok(room("all").joined && room(n % 2 ? "odd" : "even").joined, `client ${n}`);
  }
  assert.deepEqual(ROOMS.map((name) => server.rooms.get(name)?.size), [CLIENTS, CLIENTS / 2, CLIENTS / 2]);
  assert.deepEqual(ROOMS.map((name) => server.joins.get(name)), [CLIENTS, CLIENTS / 2, CLIENTS / 2], "each joins once");
}

test("100 clients through three restarts: all are back in their rooms, no message comes twice, the order is kept", options, async () => {
  await server.start();
  const all = Array.from({ length: CLIENTS }, (_, n) => one(n));
  let round = 0;
  const say = () => {
    round++;
    for (const { n, sends, room } of all) for (const name of ["all", n % 2 ? "odd" : "even"]) sends.push(room(name).send(`${n}/${round}`));
  };
  await everyoneIsBack(all);
  say();
  for (const code of [undefined, 1001, undefined]) {
    say(); // on its way when the server goes: done or not, but not twice
    await server.stop(code);
    say(); // while it is away
    await server.start();
    await everyoneIsBack(all);
    say();
  }
  const outcomes = (await Promise.all(all.map((c) => Promise.allSettled(c.sends)))).flat();
  for (const { room } of all) await room("all").members().catch(() => {}); // whatever was sent to a client comes before this answer
  const refused = outcomes.flatMap((o) => (o.status === "rejected" ? [o.reason.code] : []));
  assert.deepEqual([...new Set(refused)].filter((code) => code !== "disconnected"), []);

  for (const room of ROOMS) {
    const sent = server.log.filter((m) => m.room === room).map((m) => m.data);
    assert.equal(new Set(sent).size, sent.length, `${room}: a message reached the server twice`);
    inOrder(sent, room);
  }
  const acked = all.flatMap(({ n }, i) => outcomes.slice(i * round * 2, (i + 1) * round * 2).flatMap((o, j) =>
    o.status === "fulfilled" ? [`${j % 2 ? (n % 2 ? "odd" : "even") : "all"} ${n}/${Math.floor(j / 2) + 1}`] : []));
  const log = new Set(server.log.map((m) => `${m.room} ${m.data}`));
  assert.deepEqual(acked.filter((m) => !log.has(m)), [], "acked, and the server knows nothing of it");
  for (const { n, received } of all) {
    for (const room of ["all", n % 2 ? "odd" : "even"]) {
      const got = received.filter(([name]) => name === room).map(([, data]) => data);
      assert.equal(new Set(got).size, got.length, `client ${n}, ${room}: a message came twice`);
      inOrder(got, `client ${n}, ${room}`);
      const last = got.filter((m) => m.endsWith(`/${round}`));
      assert.equal(last.length, room === "all" ? CLIENTS : CLIENTS / 2, `client ${n}, ${room}: after the last restart everything arrives`);
    }
  }
});

/** Each sender's messages "sender/number" have rising numbers. @param {string[]} messages @param {string} where */
function inOrder(messages, where) {
  const last = new Map();
  for (const message of messages) {
    const [sender, number] = message.split("/");
    assert.ok(Number(number) > (last.get(sender) ?? 0), `${where}: ${message} after ${sender}/${last.get(sender)}`);
    last.set(sender, Number(number));
  }
}

test("in Chromium: the module as it is, a relative URL, messages there and back, and back after a restart", options, async () => {
  if (!server.port) await server.start();
  for (const client of clients) client.close();
  clients = [];
  server.files.set("/", ["text/html", "<!doctype html><title>client</title><link rel=icon href=data:,>"]);
  server.files.set("/roomcast.js", ["text/javascript", readFileSync(new URL("../../client/js/roomcast.js", import.meta.url), "utf8")]);
  const browser = await chromium.launch({ executablePath: findChromium(), args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] });
  try {
    const page = await browser.newPage();
    /** @type {string[]} */
    const complaints = [];
    page.on("pageerror", (e) => complaints.push(String(e)));
    await page.goto(`http://127.0.0.1:${server.port}/`);
    await page.evaluate(async () => {
      const { connect } = await import(/** @type {any} */ ("/roomcast.js"));
      const client = connect("/ws", { random: () => 0.1 });
      const room = client.room("kitchen");
      const seen = /** @type {any[]} */ ([]);
      room.on("message", (/** @type {any} */ m) => seen.push(m.data instanceof Uint8Array ? [...m.data] : m.data));
      Object.assign(window, { client, room, seen });
      await room.join();
      await room.send({ text: "grüße 👋" });
      await room.send(new Uint8Array([0, 128, 255]));
    });
    const seen = () => page.evaluate(() => /** @type {any} */ (window).seen);
    assert.deepEqual(await seen(), [{ text: "grüße 👋" }, [0, 128, 255]]);
    await server.stop();
    await page.evaluate(() => void /** @type {any} */ (window).room.send("while away"));
    await server.start();
    await page.waitForFunction(() => /** @type {any} */ (window).seen.length === 3);
    assert.equal((await seen())[2], "while away");
    await page.evaluate(() => /** @type {any} */ (window).client.close());
    assert.equal(await page.evaluate(() => /** @type {any} */ (window).client.state), "closed");
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
  }
});
