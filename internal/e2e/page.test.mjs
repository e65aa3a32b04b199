// page.test.mjs: the page in a real browser, in several tabs, against a running server.
//
//   node page.test.mjs http://127.0.0.1:8080 [folder for screenshots]

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { WebSocket } from "ws";
import { launch } from "./chromium.mjs";

/** @typedef {import("playwright-core").Page} Page @typedef {import("playwright-core").BrowserContextOptions} ContextOptions */

const base = new URL("/", process.argv[2] ?? process.env.ROOMCAST_URL ?? "http://127.0.0.1:8080").href;
const pictures = process.argv[3];
const options = { timeout: 120_000 };

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {string[]} what pages complained about: must stay empty */
let complaints = [];
/** @type {WebSocket[]} */
let programs = [];

before(async () => void (browser = await launch()), options);

after(() => browser?.close());

afterEach(async () => {
  for (const p of programs) p.terminate();
  programs = [];
  for (const context of browser.contexts()) await context.close();
  const seen = complaints;
  complaints = [];
  assert.deepEqual(seen, [], "errors in the console of a page");
});

/** A browser of its own, with nothing remembered. @param {ContextOptions} settings */
async function freshTab(settings = {}) {
  const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1280, height: 800 }, ...settings });
  context.setDefaultTimeout(45_000);
  context.on("page", watch);
  return context.newPage();
}

/** @param {Page} page */
function watch(page) {
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && complaints.push(m.text()));
  page.on("pageerror", (e) => complaints.push(String(e)));
}

/** Goes through the door as a person does. @param {Page} page @param {string} room @param {string} name */
async function enter(page, room, name) {
  await page.goto(base);
  await page.getByLabel("Room", { exact: true }).fill(room);
  await page.getByLabel("Your name").fill(name);
  await page.keyboard.press("Enter");
  await connected(page);
}

/** @param {string} room @param {string} name @param {ContextOptions} [settings] */
async function member(room, name, settings) {
  const page = await freshTab(settings);
  await enter(page, room, name);
  return page;
}

/** @param {Page} page */
const connected = (page) => page.locator("#state[data-kind=connected]").waitFor();

/** Waits for a line of the log. @param {Page} page @param {string} className @param {string | RegExp} text */
const line = (page, className, text) => page.locator(`#log .line.${className}`, { hasText: text }).waitFor();

/** Waits until exactly these are in the list, in whatever order. @param {Page} page @param {string[]} names */
const roster = (page, ...names) =>
  page.waitForFunction((expected) => {
    const shown = [...document.querySelectorAll("#people .name")].map((n) => n.textContent);
    return JSON.stringify(shown.sort()) === JSON.stringify(expected.sort());
  }, names);

/** @param {Page} page @param {string} text */
async function say(page, text) {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
}

/** @param {Page} page */
const said = (page) => page.locator("#log .say .text").allTextContents();

/** Some other program in the same room. @param {string} room @returns {Promise<WebSocket>} */
function program(room) {
  const socket = new WebSocket(`${base.replace("http", "ws")}rooms/${encodeURIComponent(room)}`);
  programs.push(socket);
  return new Promise((resolve, reject) => socket.on("error", reject).on("open", () => resolve(socket)));
}

test("two tabs see each other come, talk in order, and see each other go", options, async () => {
  const ada = await member("pair", "Ada");
  await ada.getByRole("heading", { name: "You have the room to yourself." }).waitFor();
  const ben = await member("pair", "Ben");
  await line(ada, "event", "Ben joined");
  await line(ben, "event", "Ada is here");
  await roster(ada, "Ada", "Ben");
  await roster(ben, "Ada", "Ben");
  assert.equal(await ada.locator("#alone").isVisible(), false);

  const script = Array.from({ length: 30 }, (_, i) => `message ${i}`);
  for (const [i, text] of script.entries()) {
    const [from, to] = i % 3 === 0 ? [ben, ada] : [ada, ben];
    await say(from, text);
    await line(to, "say", new RegExp(`${text}$`));
  }
  assert.deepEqual(await said(ada), script);
  assert.deepEqual(await said(ben), script);

  await ben.goto("about:blank");
  await line(ada, "event", "Ben left");
  await roster(ada, "Ada");

  const cem = await member("pair", "Cem");
  await line(ada, "event", "Cem joined");
  await cem.getByRole("button", { name: "Leave" }).click();
  await line(ada, "event", "Cem left");
  assert.equal(await cem.getByLabel("Room", { exact: true }).inputValue(), "pair");
});

test("what others send stays text", options, async () => {
  const hostile = `<img src=x onerror="document.title='owned'"><b>bold</b><script>document.title='owned'</script>`;
  const ada = await member("text", "Ada");
  const eve = await member("text", hostile.slice(0, 40));
  await say(eve, hostile);
  await line(ada, "say", hostile);
  (await program("text")).send(hostile);
  await line(ada, "raw", hostile);
  assert.deepEqual((await said(ada)).at(-1), hostile);
  assert.equal(await ada.locator("#log :is(img, script, .text b), #people img").count(), 0);
  assert.equal(await ada.title(), "text · Roomcast");
});

test("another program in the room is shown as what it is", options, async () => {
  const ada = await member("raw", "Ada");
  const other = await program("raw");
  other.send("temperature=21.5");
  await line(ada, "raw", "temperature=21.5");
  other.send('{"v":2,"type":"say","id":"x","name":"X","text":"not of this version"}');
  await line(ada, "raw", "not of this version");
  other.send(Buffer.alloc(2048));
  await line(ada, "raw", "2,048 bytes");
  other.send("x".repeat(100_000));
  await line(ada, "raw", "(100,000 characters)");
  await roster(ada, "Ada");

  const heard = new Promise((resolve) => other.on("message", (data) => resolve(JSON.parse(String(data)))));
  await say(ada, "hello, machine");
  const { id, ...rest } = await /** @type {Promise<any>} */ (heard);
  assert.match(id, /^[0-9a-f]{16}$/);
  assert.deepEqual(rest, { v: 1, type: "say", name: "Ada", text: "hello, machine" });
});

test("the link opens the room in another tab; the second tab has a name of its own", options, async () => {
  const ada = await member("küche & co", "Ada");
  await ada.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await ada.locator("#alone").getByRole("button", { name: "Copy link" }).click();
  await ada.getByRole("status").filter({ hasText: "Link copied" }).waitFor();
  const link = await ada.evaluate(() => navigator.clipboard.readText());
  assert.equal(link, `${base}#${encodeURIComponent("küche & co")}`);
  assert.equal(ada.url(), link);

  const opened = ada.context().waitForEvent("page");
  await ada.locator("#alone").getByRole("link", { name: "Open a second tab" }).click();
  const second = await opened;
  await roster(ada, "Ada", "Ada 2");
  assert.equal(second.url(), link);
  await second.reload();
  await roster(second, "Ada", "Ada 2");

  const sameName = await ada.context().newPage();
  await sameName.goto(link);
  await roster(ada, "Ada", "Ada", "Ada 2");
  assert.match((await ada.locator("#people li:not(.me)", { hasText: /Ada[0-9a-f]{4}$/ }).allTextContents()).join(), /Ada[0-9a-f]{4}$/);
});

test("a name or a room that cannot be is refused with a reason", options, async () => {
  const page = await freshTab();
  await page.goto(base);
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByText("Tell the others what to call you.").waitFor();
  await page.getByLabel("Your name").fill("Ada");
  for (const [room, reason] of /** @type {const} */ ([
    ["  ", "Give the room a name."],
    ["é".repeat(128), "at most 255 bytes; this one has 256"],
    ["..", "Browsers cannot address"],
  ])) {
    await page.getByLabel("Room", { exact: true }).fill(room);
    await page.keyboard.press("Enter");
    await page.getByRole("alert").filter({ hasText: reason }).waitFor();
  }
  for (const [hash, reason] of /** @type {const} */ ([
    ["a%00b&name=Ada", "control characters"],
    ["a%0Ab&name=Ada", "control characters"],
    ["%E0%A4", "cannot be read"],
  ])) {
    await page.goto(`${base}#${hash}`);
    await page.getByRole("alert").filter({ hasText: reason }).waitFor();
  }
  await page.goto(`${base}#${"x".repeat(255)}&name=Ada`);
  await connected(page);
});

test("who falls silent is gone after 45 seconds, and a page is heard every 20", options, async () => {
  const ada = await freshTab();
  await ada.clock.install();
  await enter(ada, "silence", "Ada");
  const ghost = await program("silence");
  let here = 0;
  ghost.on("message", (data) => (here += JSON.parse(String(data)).type === "here" ? 1 : 0));
  ghost.send(JSON.stringify({ v: 1, type: "hello", id: "ghost", name: "Ghost" }));
  await line(ada, "event", "Ghost joined");
  await ada.clock.runFor(40_000);
  await roster(ada, "Ada", "Ghost");
  await ada.clock.runFor(6_000);
  await line(ada, "event", "Ghost went silent");
  await roster(ada, "Ada");
  const end = new Promise((resolve) => ghost.on("message", (data) => String(data).includes('"end"') && resolve(null)));
  await say(ada, "end"); // the relay keeps the order: with it, all that was sent before it has arrived
  await end;
  assert.ok(here >= 3, `${here} signs of life in 46 seconds and after a hello, want at least 3`);
});

test("a lost connection is seen, waited for and taken up again; nothing is sent into the void", options, async () => {
  const ada = await freshTab();
  /** @type {import("playwright-core").WebSocketRoute[]} */
  const routes = [];
  await ada.routeWebSocket(/\/rooms\//, (route) => {
    route.connectToServer();
    routes.push(route);
  });
  await ada.clock.install({ time: "2026-01-01T12:00:00" });
  await enter(ada, "back", "Ada");
  const ben = await member("back", "Ben");
  await roster(ada, "Ada", "Ben");

  await ada.clock.pauseAt("2026-01-01T12:05:00");
  await routes[0]?.close({ code: 1001, reason: "going away" });
  await ada.locator("#state[data-kind=waiting]", { hasText: /Reconnecting in \d+ s/ }).waitFor();
  await ada.locator("#notice", { hasText: "1001 going away" }).waitFor();
  await say(ada, "kept while away");
  assert.equal(await ada.getByRole("button", { name: "Send" }).isDisabled(), true);
  assert.equal(await ada.getByLabel("Message", { exact: true }).inputValue(), "kept while away");
  assert.deepEqual(await said(ada), []);

  await ada.getByRole("button", { name: "Connect now" }).click();
  await connected(ada);
  await line(ada, "remark", "Back in the room");
  await ada.getByRole("button", { name: "Send" }).click();
  await line(ben, "say", "kept while away");
  assert.deepEqual(await ben.locator("#log .event").allTextContents().then((all) => all.filter((e) => e.includes("joined"))), []);

  await routes[1]?.close({ code: 1001 });
  await ada.locator("#state[data-kind=waiting]").waitFor();
  await ada.clock.runFor(31_000); // by itself, too
  await connected(ada);

  await routes[2]?.close({ code: 1008, reason: "rejected" });
  await ada.locator("#state[data-kind=closed]", { hasText: "Closed (1008)" }).waitFor();
  await ada.locator("#notice", { hasText: "1008 rejected" }).waitFor();
  await ada.clock.runFor(120_000);
  assert.equal(routes.length, 3, "a rejected page must not come back by itself");
});

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  for (const [width, height] of /** @type {const} */ ([[1280, 800], [390, 844]])) {
    test(`it fits and looks right: ${colorScheme}, ${width} pixels wide`, options, async () => {
      const room = `kitchen-${colorScheme}-${width}`;
      const page = await freshTab({ colorScheme, reducedMotion: "reduce", viewport: { width, height } });
      await page.goto(base);
      await picture(page, `door-${colorScheme}-${width}`);
      await enter(page, room, "Ada Lovelace");
      await picture(page, `alone-${colorScheme}-${width}`);
      const grace = await member(room, "Grace Hopper");
      await line(page, "event", "Grace Hopper joined");
      await say(grace, "I opened the link, and here I am. https://roomcast.example/a-rather-long-address-that-nobody-would-type-by-hand");
      await line(page, "say", "here I am");
      await say(page, "That was quick. No account, no install?");
      await line(grace, "say", "no install");
      await say(grace, "None: a room is just a name.");
      await line(page, "say", "just a name");
      (await program(room)).send("temperature=21.5");
      await line(page, "raw", "temperature");
      await grace.goto("about:blank");
      await line(page, "event", "Grace Hopper left");
      await picture(page, `chat-${colorScheme}-${width}`);
    });
  }
}

/** Nothing sticks out, and a picture of it. @param {Page} page @param {string} name */
async function picture(page, name) {
  const outside = await page.evaluate(() =>
    [...document.querySelectorAll("body *")]
      .filter((e) => e.checkVisibility() && !e.closest("#people") && e.getBoundingClientRect().right > innerWidth + 0.5)
      .map((e) => e.outerHTML.slice(0, 80)),
  );
  assert.deepEqual(outside, [], `${name}: beyond the right edge`);
  if (!pictures) return;
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${name}.png`) });
}
