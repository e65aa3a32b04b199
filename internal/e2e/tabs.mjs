// tabs.mjs: what the tests of the page share: servers, a browser, and what a person does in its tabs and sees there.

import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import { Binary } from "./binary.mjs";
import { launch } from "./chromium.mjs";

/** @typedef {import("playwright-core").Page} Page @typedef {import("playwright-core").BrowserContextOptions} ContextOptions */

export const binary = process.argv[2] ?? "../../bin/roomcast";
export const options = { timeout: 120_000 };
export const SECRET = "a-secret-for-this-test-of-32-bytes-and-more";

export const server = new Binary(binary);
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {string[]} what pages complained about: must stay empty */
let complaints = [];
/** @type {Binary[]} */
let others = [];

before(async () => {
  await server.start();
  browser = await launch();
}, options);

after(async () => {
  await browser?.close();
  await server.stop();
});

afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  for (const o of others) await o.stop("SIGKILL");
  const seen = complaints;
  [others, complaints] = [[], []];
  assert.deepEqual(seen, [], "errors in the console of a page");
});

/** A server of one's own. @param {...string} args */
export async function another(...args) {
  const own = new Binary(binary, ...args);
  others.push(own);
  return own.start();
}

/** A browser of its own, with nothing remembered. @param {ContextOptions} settings */
export async function freshTab(settings = {}) {
  const context = await browser.newContext({ locale: "en-GB", viewport: { width: 1280, height: 800 }, ...settings });
  context.setDefaultTimeout(45_000);
  context.on("page", watch);
  return context.newPage();
}

/** What a test has caused on purpose. @param {string} text */
export function expected(text) {
  complaints = complaints.filter((c) => !c.includes(text));
}

/** @param {Page} page */
function watch(page) {
  page.on("console", (m) => {
    const expected = /WebSocket connection to .* failed/.test(m.text()); // tests stop servers
    if (["error", "warning"].includes(m.type()) && !expected) complaints.push(m.text());
  });
  page.on("pageerror", (e) => complaints.push(String(e)));
}

/** Opens a link to a room. @param {string} room @param {string} name @param {ContextOptions & { url?: string }} [settings] */
export async function member(room, name, { url = server.url, ...settings } = {}) {
  const page = await freshTab(settings);
  await page.goto(`${url}?${new URLSearchParams({ room, name })}`);
  await state(page, "open");
  return page;
}

/** @param {Page} page @param {string} kind */
export const state = (page, kind) => page.locator(`#state[data-kind=${kind}]`).waitFor();

/** Waits for a line of the log that is shown. @param {Page} page @param {string} className @param {string | RegExp} text */
export async function line(page, className, text) {
  const found = page.locator(`#logs .logbox:visible .line.${className}`, { hasText: text }).last();
  await found.waitFor();
  return found;
}

/** Waits until exactly these are in the list, in whatever order. @param {Page} page @param {string[]} names */
export const roster = (page, ...names) =>
  page.waitForFunction((expected) => {
    const shown = [...document.querySelectorAll("#people .called")].map((n) => n.textContent);
    return JSON.stringify(shown.sort()) === JSON.stringify(expected.sort());
  }, names);

/** @param {Page} page @param {string} text */
export async function say(page, text) {
  await page.locator("#send:enabled").waitFor();
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
}

/** @param {Page} page */
export const said = (page) => page.locator("#logs .logbox:visible .say .text").allTextContents();

/** The frames of a line, as it shows them when it is asked. @param {import("playwright-core").Locator} line */
export async function frames(line) {
  await line.getByRole("button", { name: "JSON" }).click();
  const text = await line.locator(".frames").textContent();
  return (text ?? "").trim().split("\n").map((f) => {
    const [, way, json] = /^([→←]) (?:sent|received) (.*)$/.exec(f) ?? [];
    return { way, ...JSON.parse(json ?? "null") };
  });
}

/** What the backend does. @param {string} path @param {any} body @param {Binary} [to] */
export async function post(path, body, to = server) {
  const answer = await fetch(`${to.url}v1/${path}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  assert.equal(answer.status, 200, `POST ${path}: ${await answer.text()}`);
}

