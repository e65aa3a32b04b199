// examples.test.mjs: the examples do what they are for.
//
//   node examples.test.mjs ../../bin/roomcast

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import http from "node:http";
import { createInterface } from "node:readline";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "./chromium.mjs";
import { RoomcastServer, SECRET } from "./roomcastserver.mjs";

/** @typedef {import("playwright-core").Page} Page */

const options = { timeout: 90_000 };
const examples = new URL("../../examples/", import.meta.url);
const API_KEY = "correct-horse-battery";

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {(() => any)[]} what a test leaves behind */
let ends = [];
/** @type {string[]} what pages complained about: must stay empty */
let complaints = [];

before(async () => void (browser = await launch()), options);
after(() => browser?.close());
afterEach(async () => {
  for (const end of ends.reverse()) await end();
  ends = [];
  const seen = complaints;
  complaints = [];
  assert.deepEqual(seen, []);
});

/** Serves the page of an example from an origin of its own, with the address of a server for it. @param {string} name @param {string[]} args */
async function serve(name, ...args) {
  let text = readFileSync(new URL(`${name}/index.html`, examples), "utf8");
  const pages = http.createServer((_, response) => void response.setHeader("Content-Type", "text/html; charset=utf-8").end(text));
  await new Promise((done) => pages.listen(0, "127.0.0.1", () => done(null)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (pages.address());
  const server = await new RoomcastServer("--allowed-origin", `http://localhost:${port}`, ...args).start();
  assert.equal(text.split("127.0.0.1:8080").length, 3, "the address of the server: of its client, and of its endpoint");
  text = text.replaceAll("127.0.0.1:8080", `127.0.0.1:${server.port}`);
  ends.push(() => server.clear(), () => { pages.closeAllConnections(); pages.close(); });
  const context = await browser.newContext();
  context.setDefaultTimeout(60_000);
  ends.push(() => context.close());
  return {
    server,
    open: async (/** @type {string} */ hash) => {
      const page = await context.newPage();
      page.on("pageerror", (e) => complaints.push(String(e)));
      await page.goto(`http://localhost:${port}/${hash}`);
      await page.locator("#state", { hasText: "open" }).waitFor();
      return page;
    },
  };
}

/** Waits until so many are in a room. @param {RoomcastServer} server @param {string} room @param {number} count */
async function members(server, room, count) {
  while ((await server.api("GET", `/v1/rooms/${encodeURIComponent(room)}/members`)).total !== count);
}

test("each is less than 100 lines", () => {
  for (const name of ["chat", "cursors", "notifications"]) {
    const folder = new URL(`${name}/`, examples);
    const lines = readdirSync(folder).map((file) => readFileSync(new URL(file, folder), "utf8").split("\n").length - 1);
    assert.ok(lines.length > 0 && lines.reduce((sum, n) => sum + n) < 100, `${name}: ${lines} lines`);
  }
});

test("chat: two pages talk, in the room that the address names", options, async () => {
  const { server, open } = await serve("chat");
  const ann = await open("#kitchen"), bob = await open("#kitchen"), cem = await open("");
  await members(server, "chat/kitchen", 2);
  await members(server, "chat/lobby", 1);
  const say = async (/** @type {Page} */ page, /** @type {string} */ name, /** @type {string} */ what) => {
    await page.getByLabel("Your name").fill(name);
    await page.getByLabel("Message").fill(what);
    await page.keyboard.press("Enter");
  };
  const heard = (/** @type {Page} */ page, /** @type {string} */ what) => page.locator("#log li", { hasText: what }).waitFor();
  const hostile = "<img src=x onerror=alert(1)>";
  await say(ann, "Ann", "lunch is ready");
  await heard(bob, "Annlunch is ready");
  await say(bob, "Bob", hostile);
  await heard(ann, hostile);
  await heard(bob, hostile);
  assert.deepEqual(await ann.locator("#log li").allTextContents(), ["Annlunch is ready", `Bob${hostile}`]);
  assert.equal(await ann.locator("#log img").count() + (await cem.locator("#log li").count()), 0);

  await server.end("SIGKILL");
  await ann.locator("#state", { hasText: /waiting|connecting/ }).waitFor();
  await server.start();
  await heard(ann, "the connection was away");
  await heard(bob, "the connection was away");
  await say(ann, "Ann", "back again");
  await heard(bob, "Annback again");
});

test("cursors: each page shows the other's, where it is", options, async () => {
  const { server, open } = await serve("cursors", "--slow", "cursors/*=keep-latest");
  const ann = await open(""), bob = await open("");
  await members(server, "cursors/lobby", 2);
  for (const [from, to] of /** @type {const} */ ([[ann, bob], [bob, ann]])) {
    await from.bringToFront(); // a page in the background draws no frames
    const { width, height } = await from.evaluate(() => ({ width: innerWidth, height: innerHeight }));
    await from.mouse.move(width / 2, height / 2);
    await from.mouse.move(width / 4, height / 4, { steps: 30 });
    await to.bringToFront();
    await to.waitForFunction(() => {
      const [cursor, ...others] = document.querySelectorAll(".cursor");
      if (!cursor || others.length > 0) return false;
      const { left, top } = cursor.getBoundingClientRect();
      return Math.abs(left - innerWidth / 4) < 2 && Math.abs(top - innerHeight / 4) < 2;
    });
  }
  assert.equal(await bob.locator(".cursor").count(), 1, "one's own is not shown");
});

/** A program of an example, and the lines it prints. @param {string} command @param {string[]} args @param {Record<string, string>} env */
function run(command, args, env) {
  const child = spawn(command, args, { cwd: fileURLToPath(new URL("notifications/", examples)), env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "inherit"] });
  const gone = once(child, "exit");
  ends.push(() => (child.kill("SIGKILL"), gone));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { say: (/** @type {string} */ line) => child.stdin.write(`${line}\n`), line: async () => (await lines.next()).value };
}

test("notifications: from the backend in Python to a user in Node", options, async () => {
  const server = await new RoomcastServer("--token-secret", SECRET, "--api-key", API_KEY).start();
  ends.push(() => server.clear());
  const secrets = { ROOMCAST_URL: server.url(""), ROOMCAST_TOKEN_SECRET: SECRET, ROOMCAST_API_KEY: API_KEY, PORT: "0" };
  const backend = run("python3", ["backend.py"], secrets);
  const BACKEND_URL = /http:\/\/[^/]+/.exec(await backend.line())?.[0] ?? "";
  const receive = (/** @type {string} */ user) => run("node", ["--experimental-websocket", "--no-warnings", "receive.mjs", user], { ROOMCAST_URL: server.url(""), BACKEND_URL });
  const [ann, phone, bob] = [receive("ann"), receive("ann"), receive("bob b/ö?")];
  assert.deepEqual(await Promise.all([ann, phone, bob].map((who) => who.line())), ["ann is connected", "ann is connected", "bob b/ö? is connected"]);

  backend.say("ann your parcel has arrived: grüße");
  assert.deepEqual(await Promise.all([ann, phone].map((who) => who.line())), Array(2).fill("your parcel has arrived: grüße"));
  assert.equal(await backend.line(), "ann has it on 2 connections");
  backend.say("nobody hello");
  assert.equal(await backend.line(), "nobody has it on 0 connections");
  assert.equal((await fetch(`${BACKEND_URL}/token`)).status, 404);
  assert.equal((await fetch(server.url("/v1/rooms"))).status, 401);
  await server.end("SIGKILL");
  backend.say("ann anybody there?");
  assert.match(await backend.line(), /^ann does not have it: /);
  await server.start();
  for (const who of [ann, phone]) assert.equal(await who.line(), "ann is connected");
  backend.say("ann again");
  for (const who of [ann, phone]) assert.equal(await who.line(), "again");
});
