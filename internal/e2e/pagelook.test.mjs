// pagelook.test.mjs: how the page looks, in both themes, wide and narrow: nothing sticks out, and pictures for people to look at.
//
//   node pagelook.test.mjs path/to/roomcast [folder for the pictures]

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { another, freshTab, line, member, options, post, roster, say, SECRET, server } from "./tabs.mjs";

/** @typedef {import("playwright-core").Page} Page */

const pictures = process.argv[3];

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  for (const [width, height] of /** @type {const} */ ([[1280, 800], [390, 844]])) {
    test(`it fits and looks right: ${colorScheme}, ${width} pixels wide`, options, async () => {
      const settings = { colorScheme, reducedMotion: /** @type {const} */ ("reduce"), viewport: { width, height }, deviceScaleFactor: 2 };
      const door = await freshTab(settings);
      await door.goto(server.url);
      await picture(door, `door-${colorScheme}-${width}`);
      await door.context().close();
      const own = await another(); // so that the room is called kitchen, and the connections have small numbers
      const page = await member("kitchen", "Ada Lovelace", { ...settings, url: own.url });
      await page.locator("#alone").waitFor();
      await picture(page, `alone-${colorScheme}-${width}`);
      await chat(page, own);
      await picture(page, `chat-${colorScheme}-${width}`);
      await page.locator(".line.mine .peek").last().click();
      await page.locator("#people button").first().evaluate((/** @type {HTMLElement} */ b) => b.click());
      await picture(page, `frames-${colorScheme}-${width}`);
      if (width < 900) {
        await page.getByRole("button", { name: "Details" }).click();
        await picture(page, `details-${colorScheme}-${width}`);
        await page.getByRole("button", { name: "Close" }).click();
      }
      await own.stop("SIGKILL");
      await page.locator("#notice").waitFor();
      await picture(page, `away-${colorScheme}-${width}`);
      const guarded = await another(`--token-secret=${SECRET}`);
      await page.goto(`${guarded.url}?room=kitchen&name=Ada%20Lovelace`);
      await page.locator("#token-form").waitFor();
      await picture(page, `token-${colorScheme}-${width}`);
    });
  }
}

/** Two people chat, and a program posts what its sensor reads. @param {Page} page @param {import("./binary.mjs").Binary} own */
async function chat(page, own) {
  const grace = await member("kitchen", "Grace Hopper", { url: own.url });
  await line(page, "event", "Grace Hopper joined");
  await roster(grace, "Ada Lovelace", "Grace Hopper");
  await say(grace, "Morning! I opened the link you sent, and here I am.");
  await line(page, "say", "here I am");
  await say(page, "That was quick. No account, nothing to install?");
  await line(grace, "say", "nothing to install");
  await say(grace, "Nothing. A room is just a name, and it is gone when we are.");
  await say(grace, "The oven speaks here too, by the way.");
  await line(page, "say", "by the way");
  await post("rooms/kitchen/messages", { data: { sensor: "oven", celsius: 180 }, user: "oven" }, own);
  await line(page, "data", "celsius");
  await say(page, "Then lunch is on its way.");
  await line(page, "mine", /on its way.*✓/);
}

/** Nothing sticks out, and a picture of it. @param {Page} page @param {string} name */
async function picture(page, name) {
  const outside = await page.evaluate(() =>
    [...document.querySelectorAll("body *")]
      .filter((e) => e.checkVisibility() && !e.closest("#rooms") && e.getBoundingClientRect().right > innerWidth + 0.5)
      .map((e) => e.outerHTML.slice(0, 80)),
  );
  assert.deepEqual(outside, [], `${name}: beyond the right edge`);
  if (!pictures) return;
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${name}.png`) });
}
