// client.browser.test.mjs: the JavaScript client, as the built server serves it, in Chromium.
//
//   node client.browser.test.mjs ../../bin/roomcast

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { numbered, publish } from "./breaks.mjs";
import { launch } from "./chromium.mjs";
import { Door } from "./door.mjs";
import { mint, RoomcastServer, SECRET } from "./roomcastserver.mjs";

/** @typedef {import("playwright-core").Page} Page @typedef {import("./roomcastserver.mjs").Endpoint} Endpoint */

const options = { timeout: 90_000 };
// Not localhost: that needs no network, so to be offline means nothing there.
const HOST = "rooms.test";

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {RoomcastServer | undefined} */
let server;

before(async () => void (browser = await launch(`--host-resolver-rules=MAP ${HOST} 127.0.0.1`, "--no-proxy-server")), options);
after(() => browser?.close());
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await server?.clear();
});

/** Starts a server for one test. @param {string[]} args */
async function serve(...args) {
  server = new RoomcastServer("--allow-anonymous", ...args); // or it takes HOST for a name that was rebound to this machine
  return server.start();
}

/** A page with a client. @param {Endpoint} server @param {() => string} [token] */
async function client(server, token) {
  const context = await browser.newContext();
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  if (token) await page.exposeFunction("token", token);
  return open(page, server, token !== undefined);
}

/**
 * Loads a page of the server's own origin, with a client, in `window.client`, that has joined the room "kitchen": `window.room`. All that comes
 * from them is in `window.story`. The page remembers how far it has come.
 * @param {Page} page @param {Endpoint} server @param {boolean} authenticated
 */
async function open(page, server, authenticated) {
  await page.goto(`http://${HOST}:${server.port}/healthz`); // an empty page, more or less
  await page.evaluate(async (authenticated) => {
    const all = /** @type {any} */ (window);
    const { connect } = await import(/** @type {any} */ ("/roomcast.js"));
    all.story = [];
    // A tenth of the usual delays: what is tested is that it comes back, not how long that takes.
    all.client = connect("/ws", { random: () => Math.random() / 10, ...(authenticated && { token: all.token }) });
    all.room = all.client.room("kitchen");
    for (const type of ["state", "draining", "throttled", "error"]) all.client.on(type, (/** @type {any} */ e) => all.story.push([type, { ...e, code: e.code, on: all.client.connection }]));
    all.room.on("joined", (/** @type {any} */ e) => all.story.push(["joined", e]));
    all.room.on("gap", (/** @type {any} */ e) => all.story.push(["gap", e]));
    all.room.on("message", (/** @type {any} */ { data, from }) => all.story.push(["message", data instanceof Uint8Array ? { bytes: [...data] } : data, from]));
    all.room.on("message", () => localStorage.setItem("position", JSON.stringify(all.room.position)));
    await all.room.join({ since: JSON.parse(localStorage.getItem("position") ?? "null") });
  }, authenticated);
  return page;
}

/** @param {Page} page @param {any} data @param {any} [how] */
const send = (page, data, how) => page.evaluate(([data, how]) => /** @type {any} */ (window).room.send(data, how).then(() => null, (/** @type {any} */ e) => ({ ...e })), [data, how]);

/** Waits for something in the story of a page, and returns it. @param {Page} page @param {string} type @param {Record<string, any>} [like] */
const story = (page, type, like = {}) =>
  page.waitForFunction(([type, like]) => {
    const fits = (/** @type {any} */ e) => Object.entries(/** @type {any} */ (like)).every(([name, value]) => e?.[name] === value);
    return /** @type {any} */ (window).story.find((/** @type {any} */ [t, e]) => t === type && fits(e));
  }, /** @type {const} */ ([type, like])).then((found) => found.jsonValue());

/** @param {Page} page @returns {Promise<any[]>} */
const heard = (page) => page.evaluate(() => /** @type {any} */ (window).story.filter((/** @type {any} */ e) => e[0] === "message").map((/** @type {any} */ e) => e[1]));

/** The rest of the story is another one. @param {Page} page */
const turnPage = (page) => page.evaluate(() => void (/** @type {any} */ (window).story.length = 0));

test("join, send, echo off, bytes, direct, members", options, async () => {
  const s = await serve();
  const [ann, bob] = [await client(s), await client(s)];
  await send(ann, { text: "grüße 👋" });
  await send(ann, "to the others", { echo: false });
  await ann.evaluate(() => /** @type {any} */ (window).room.send(new Uint8Array([0, 128, 255])));
  const members = await bob.evaluate(() => /** @type {any} */ (window).room.members());
  const ids = await Promise.all([ann, bob].map((page) => page.evaluate(() => /** @type {any} */ (window).client.connection)));
  assert.deepEqual([members.count, new Set(members.members.map((/** @type {any} */ m) => m.connection))], [2, new Set(ids)]);
  assert.deepEqual(await heard(bob), [{ text: "grüße 👋" }, "to the others", { bytes: [0, 128, 255] }]);
  assert.deepEqual(await heard(ann), [{ text: "grüße 👋" }, { bytes: [0, 128, 255] }]);
  const direct = bob.evaluate(() => new Promise((done) => /** @type {any} */ (window).client.on("direct", done)));
  await bob.evaluate(() => null); // the handler is attached
  await ann.evaluate((connection) => /** @type {any} */ (window).client.direct({ connection }, "psst"), ids[1]);
  assert.deepEqual(await direct, { from: { connection: ids[0] }, data: "psst" });
});

test("the server is killed, and started again; then it drains, and is started again", options, async () => {
  const s = await serve("--drain=2s");
  const page = await client(s);
  await s.end("SIGKILL");
  await story(page, "state", { state: "waiting", closeCode: 1006 });
  const sent = send(page, "while it is away");
  await s.start();
  await story(page, "joined", { again: true, recovered: false });
  assert.equal(await sent, null);
  assert.deepEqual(await heard(page), ["while it is away"]);

  await turnPage(page);
  assert.equal(await s.end("SIGTERM"), 0);
  const [, { reconnectAfter }] = await story(page, "draining");
  await story(page, "state", { state: "waiting", closeCode: 1001, delay: reconnectAfter });
  await s.start();
  await story(page, "joined", { again: true, recovered: false });
});

test("with a history nothing is missed: after a break, and after the page was loaded again", options, async () => {
  const s = await serve("--history", "kitchen=1000");
  const door = await new Door(s).open();
  try {
    const page = await client(door);
    const until = (/** @type {string} */ last) => page.waitForFunction((last) => /** @type {any} */ (window).story.at(-1)?.[1] === last, last);
    const id = await page.evaluate(() => /** @type {any} */ (window).client.connection);
    await send(page, "silently", { echo: false });
    await door.break(() => publish(s, "kitchen", numbered("meanwhile", 20)));
    await story(page, "joined", { again: true, recovered: true });
    await send(page, "back again");
    await until("back again");
    assert.deepEqual(await heard(page), [...numbered("meanwhile", 20), "back again"]);
    assert.equal(await page.evaluate(() => /** @type {any} */ (window).client.connection), id);

    await page.goto("about:blank");
    await publish(s, "kitchen", numbered("while away", 5));
    await open(page, door, false);
    await story(page, "joined", { again: false, recovered: true });
    await until("while away 4");
    assert.deepEqual(await heard(page), numbered("while away", 5));
  } finally {
    door.clear();
  }
});

test("offline, it does not try; back online, it comes at once", options, async () => {
  const s = await serve();
  const page = await client(s);
  await page.context().setOffline(true);
  await s.end("SIGKILL");
  await story(page, "state", { state: "offline" });
  const sent = send(page, "while offline");
  await s.start();
  await turnPage(page);
  assert.equal(await page.evaluate(() => navigator.onLine), false);
  await page.context().setOffline(false);
  await story(page, "joined", { again: true, recovered: false });
  const states = await page.evaluate(() => /** @type {any} */ (window).story.filter((/** @type {any} */ e) => e[0] === "state").map((/** @type {any} */ e) => e[1].state));
  assert.deepEqual(states, ["connecting", "open"], "one attempt, and no waiting");
  assert.equal(await sent, null);
  assert.deepEqual(await heard(page), ["while offline"]);
});

test("a token is refreshed before it expires; one that is not ends with 3200, and a fresh one brings the client back", options, async () => {
  const s = await serve("--token-secret", SECRET, "--token-leeway=0s");
  let calls = 0;
  const page = await client(s, () => {
    if (++calls === 3) throw new Error("the backend is away");
    return mint({ sub: "ann", rooms: { "**": ["join", "send"] } }, [4, 2][calls - 1] ?? 600);
  });
  const before = await page.evaluate(() => /** @type {any} */ (window).client.connection);
  const [, failed] = await story(page, "error", { code: "token_failed" }); // the third call is for the second token's sake
  assert.equal(failed.on, before, "the second was shown on the live connection");
  await story(page, "joined", { again: true, recovered: false });
  assert.equal(calls, 4);
  assert.equal(await send(page, "with a fresh one"), null);
  assert.deepEqual((await story(page, "message"))[2].user, "ann");
});

test("throttled, kicked", options, async () => {
  const s = await serve("--max-message-rate=5");
  const page = await client(s);
  const errors = (await page.evaluate(() => Promise.allSettled(Array.from({ length: 50 }, (_, i) => /** @type {any} */ (window).room.send(i))).then((all) =>
    all.flatMap((o) => (o.status === "rejected" ? [{ code: o.reason.code, retryAfter: o.reason.retryAfter }] : [])))));
  assert.ok(errors.length > 0 && errors.length <= 45, `${errors.length} of 50 refused, and 5 may come at once`);
  for (const { code, retryAfter } of errors) assert.ok(code === "throttled" && retryAfter > 0 && retryAfter <= 200, `${code}, ${retryAfter}`);

  const id = await page.evaluate(() => /** @type {any} */ (window).client.connection);
  await s.api("DELETE", `/v1/connections/${id}`);
  await story(page, "error", { code: "kicked", closeCode: 3003 });
  assert.equal(await page.evaluate(() => /** @type {any} */ (window).client.state), "closed");
});
