// page.test.mjs: what the page does, in a real browser, in several tabs, with running servers.
//
//   node page.test.mjs path/to/roomcast

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { afterEach, test } from "node:test";
import { WebSocket } from "ws";
import { connect } from "../../client/js/roomcast.js";
import { another, binary, expected, frames, freshTab, line, member, options, post, roster, said, say, SECRET, server, state } from "./tabs.mjs";

/** @type {import("../../client/js/roomcast.js").Client[]} */
let programs = [];

afterEach(() => {
  for (const p of programs) p.close();
  programs = [];
});

/** Some other program in the same room. @param {string} room */
async function program(room) {
  const client = connect(`${server.url}ws`, { WebSocket });
  programs.push(client);
  await client.room(room).join();
  return client;
}

test("two tabs of one link chat without anything typed but what is said", options, async () => {
  const one = await freshTab();
  await one.goto(`${server.url}?room=pair`);
  const two = await freshTab();
  await two.goto(`${server.url}?room=pair`);
  await say(one, "hello?");
  await line(two, "say", "hello?");
  await say(two, "hello!");
  await line(one, "say", "hello!");
  const name = await one.locator("#people .me .called").textContent();
  assert.match(name ?? "", /^[A-Z][a-z]+ [A-Z][a-z]+$/);
  await two.locator("#people button", { hasText: name ?? "" }).waitFor();
  await one.reload();
  await one.locator("#people .me .called", { hasText: name ?? "" }).waitFor();
});

test("two people see each other come, talk in order, and see each other go", options, async () => {
  const ada = await member("people", "Ada");
  await ada.getByRole("heading", { name: "You have the room to yourself." }).waitFor();
  const ben = await member("people", "Ben");
  await line(ada, "event", "Ben joined");
  await roster(ada, "Ada", "Ben");
  await roster(ben, "Ada", "Ben");
  assert.equal(await ada.locator("#alone").isVisible(), false);

  const script = Array.from({ length: 30 }, (_, i) => `message ${i}`);
  for (const [i, text] of script.entries()) {
    const [from, to] = i % 3 === 0 ? [ben, ada] : [ada, ben];
    await say(from, text);
    await line(to, "say", new RegExp(`${text}$|${text}[^0-9]`));
  }
  assert.deepEqual(await said(ada), script);
  assert.deepEqual(await said(ben), script);

  await ben.goto("about:blank");
  await line(ada, "event", "Ben left");
  await roster(ada, "Ada");
  const cem = await member("people", "Cem");
  await line(ada, "event", "Cem joined");
  await cem.getByRole("button", { name: "Leave people" }).click();
  await line(ada, "event", "Cem left");
  assert.equal(await cem.getByLabel("Room", { exact: true }).inputValue(), "people");
  assert.equal(cem.url(), server.url);
});

test("what was sent and received is shown as JSON, with the time the answer took; without echo nothing comes back", options, async () => {
  const ada = await member("frames", "Ada");
  const ben = await member("frames", "Ben");
  await roster(ada, "Ada", "Ben");
  await say(ada, "with an echo");
  const loud = await line(ada, "mine", /✓ [\d.]+ ms/);
  const [sent, echo, ack] = await frames(loud);
  assert.deepEqual([sent?.way, sent?.type, sent?.room, sent?.data], ["→", "send", "frames", { name: "Ada", text: "with an echo" }]);
  assert.deepEqual([echo?.way, echo?.type, echo?.data], ["←", "message", sent?.data]);
  assert.deepEqual(ack, { way: "←", type: "ack", id: sent?.id });

  await ada.getByLabel("Echo").uncheck();
  await say(ada, "without");
  const quiet = await line(ada, "mine", /echo off.*without.*✓/);
  assert.deepEqual((await frames(quiet)).map((f) => [f.type, f.echo]), [["send", false], ["ack", undefined]]);
  await line(ben, "say", "without");
  const heard = await frames(await line(ben, "say", "with an echo"));
  assert.equal(heard.length, 1);
  assert.equal(heard[0]?.from.connection, echo?.from.connection);
  assert.deepEqual(await said(ada), ["with an echo", "without"]);
});

test("several rooms: each has its own log, unread messages are counted, and the address has them all", options, async () => {
  const ada = await member("kitchen", "Ada");
  await ada.getByLabel("Join another room").fill("cellar & co");
  await ada.keyboard.press("Enter");
  await ada.getByRole("heading", { name: "You have the room to yourself." }).waitFor();
  await say(ada, "it is dark here");
  const ben = await member("kitchen", "Ben");
  await say(ben, "lunch is ready");
  await say(ben, "come!");
  const open = (/** @type {string} */ name) => ada.locator("#rooms .open", { hasText: name });
  await open("kitchen").filter({ hasText: "2 unread" }).waitFor();
  assert.deepEqual(await said(ada), ["it is dark here"]);
  await open("kitchen").click();
  await line(ada, "say", "come!");
  assert.deepEqual(await said(ada), ["lunch is ready", "come!"]);
  await ada.locator("#rooms .badge").waitFor({ state: "detached" });

  await ada.waitForFunction(() => new URLSearchParams(location.search).getAll("room").join() === "kitchen,cellar & co");
  await ada.reload();
  await open("cellar & co").click();
  await ada.waitForFunction(() => document.title === "cellar & co · Roomcast");
  await roster(ada, "Ada");
  await ada.getByRole("button", { name: "Leave cellar & co" }).click();
  await roster(ada, "Ada", "Ben");
  assert.equal(await ada.locator("#rooms li").count(), 1);
});

test("who comes later sees what was said before, where it is kept, and then what follows", options, async () => {
  const own = await another("--history=later=1000");
  const ada = await member("later", "Ada", { url: own.url });
  for (const text of ["first", "second"]) await say(ada, text);
  await line(ada, "mine", /second.*✓/); // it is kept
  await post("rooms/later/messages", { data: { celsius: 180 } }, own);
  await line(ada, "data", "180");
  const ben = await member("later", "Ben", { url: own.url });
  await line(ben, "remark", "That was said before you came");
  assert.deepEqual(await said(ben), ["first", "second", '{"celsius":180}']);
  const first = await line(ben, "say", "first");
  assert.match((await first.textContent()) ?? "", /Ada/);
  assert.equal(await first.locator("time").count(), 0, "nobody knows when it was");
  await say(ada, "third");
  await line(ben, "say", "third");
  await ada.reload();
  await line(ada, "remark", "That was said before you came");
  assert.deepEqual(await said(ada), ["first", "second", '{"celsius":180}', "third"]);
});

test("a direct message reaches one alone", options, async () => {
  const [ada, ben, cem] = [await member("direct", "Ada"), await member("direct", "Ben"), await member("direct", "Cem")];
  await roster(ada, "Ada", "Ben", "Cem");
  await ada.getByRole("button", { name: "Ben" }).click();
  await ada.locator("#recipient", { hasText: "Only to Ben" }).waitFor();
  await say(ada, "psst");
  await line(ada, "mine", /direct to Ben.*psst.*✓/);
  assert.equal((await frames(await line(ben, "say", /direct.*psst/)))[0]?.type, "direct");
  await ada.getByRole("button", { name: "Write to the room" }).click();
  await say(ada, "to all");
  await line(cem, "say", "to all");
  assert.deepEqual(await said(cem), ["to all"]);

  await ada.getByRole("button", { name: "Cem" }).click();
  await cem.context().close(); // so fast that nobody says goodbye
  await say(ada, "still there?");
  await line(ada, "mine", "(not_found)");
});

test("members: a program is seen when one asks or after ten seconds, and its data as what it is", options, async () => {
  const ada = await freshTab();
  await ada.clock.install();
  await ada.goto(`${server.url}?room=data&name=Ada`);
  await ada.locator("#send:enabled").waitFor();
  const sensor = await program("data");
  const id = sensor.connection ?? "";
  await ada.getByRole("button", { name: "Refresh" }).click();
  await roster(ada, "Ada", id);
  await line(ada, "event", `${id} joined`);
  const room = sensor.room("data");
  await room.send({ celsius: 21.5 });
  await line(ada, "data", /JSON.*\{"celsius":21.5\}/);
  await room.send(new Uint8Array([0, 255, 122]));
  await line(ada, "data", /3 bytes.*00 ff 7a/);
  await room.send("x".repeat(100_000));
  await line(ada, "data", "(100,002 characters)");
  await post("rooms/data/messages", { data: [1, 2], user: "oven" });
  await line(ada, "data", /oven.*\[1,2\]/);
  await post("rooms/data/messages", { data: null });
  await line(ada, "data", /The backend.*null/);

  const heard = new Promise((resolve) => room.on("message", ({ data }) => data instanceof Uint8Array && resolve([...data])));
  await ada.getByLabel("Format").selectOption("Bytes");
  await say(ada, "7");
  await ada.getByRole("alert").filter({ hasText: "pairs of the digits" }).waitFor();
  await say(ada, "07 ff");
  assert.deepEqual(await heard, [7, 255]);
  await ada.getByLabel("Format").selectOption("JSON");
  await say(ada, "{");
  await ada.getByRole("alert").filter({ hasText: "This is not JSON" }).waitFor();
  sensor.close();
  await ada.clock.runFor(11_000);
  await line(ada, "event", `${id} left`);
  await roster(ada, "Ada");
});

test("what others send stays text: messages, names, rooms, data", options, async () => {
  const hostile = `<img src=x onerror="document.title='owned'"><b>bold</b><script>document.title='owned'</script>`;
  const room = `<b>${hostile}`;
  const ada = await member(room, "Ada");
  const eve = await member(room, hostile.slice(0, 40));
  await roster(ada, "Ada", hostile.slice(0, 40));
  await say(eve, hostile);
  await line(ada, "say", hostile);
  const other = await program(room);
  await other.room(room).send({ [hostile]: hostile });
  await line(ada, "data", "onerror");
  await other.room(room).send({ name: hostile, text: hostile }); // too long for a name: data
  await line(ada, "data", "name");
  await other.direct({ connection: (await ada.locator("#c-connection").textContent()) ?? "" }, { name: "<i>x</i>", text: hostile });
  await frames(await line(ada, "say", "<i>x</i>"));
  await post(`rooms/${encodeURIComponent(room)}/messages`, { data: 1, user: hostile });
  await line(ada, "data", hostile);
  assert.equal(await ada.locator("main :is(img, script, i:not(.mark, .frames i)), .text b, #rooms b, #people b, #room-title *").count(), 0);
  assert.equal(await ada.title(), `${room} · Roomcast`);
});

test("the link opens the room in another tab; the second tab has a name of its own", options, async () => {
  const ada = await member("küche & co", "Ada");
  await ada.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await ada.locator("#alone").getByRole("button", { name: "Copy link" }).click();
  await ada.getByRole("status").filter({ hasText: "Link copied" }).waitFor();
  const link = await ada.evaluate(() => navigator.clipboard.readText());
  assert.equal(new URL(link).searchParams.get("room"), "küche & co");
  assert.equal(ada.url(), link);

  const opened = ada.context().waitForEvent("page");
  await ada.locator("#alone").getByRole("link", { name: "Open a second tab" }).click();
  const second = await opened;
  await roster(ada, "Ada", "Ada 2");
  await second.waitForURL(link);
  await second.reload();
  await roster(second, "Ada", "Ada 2");
  await second.getByLabel("Your name").last().fill("Bea");
  await second.keyboard.press("Enter");
  await roster(ada, "Ada", "Bea");
});

test("a name or a room that cannot be is refused with a reason", options, async () => {
  const page = await freshTab();
  await page.goto(server.url);
  await page.getByLabel("Your name").first().fill(" ");
  await page.getByRole("button", { name: "Join the room" }).click();
  await page.getByText("Tell the others what to call you.").waitFor();
  await page.getByLabel("Your name").first().fill("Ada");
  for (const [room, reason] of /** @type {const} */ ([["  ", "Give the room a name."], ["é".repeat(128), "at most 255 bytes; this one has 256"]])) {
    await page.getByLabel("Room", { exact: true }).fill(room);
    await page.keyboard.press("Enter");
    await page.getByRole("alert").filter({ hasText: reason }).waitFor();
  }
  await page.goto(`${server.url}?room=a%0Ab`);
  await page.getByRole("alert").filter({ hasText: "control characters" }).waitFor();
  await page.goto(`${server.url}?room=${"x".repeat(255)}`);
  await state(page, "open");
});

test("a server that stops, is away and comes back is seen at every step", options, async () => {
  const own = await another("--drain=3s");
  const ada = await member("back", "Ada", { url: own.url });
  const ben = await member("back", "Ben", { url: own.url });
  await roster(ada, "Ada", "Ben");
  await own.stop("SIGTERM");
  await line(ada, "remark", "Draining: the server is about to stop");
  await line(ada, "remark", "Connection lost: 1001 going away");
  await ada.locator("#c-ended", { hasText: /^(1001 going away|1006)/ }).waitFor(); // of the latest attempt
  await ada.locator("#notice", { hasText: "No connection: the server cannot be reached" }).waitFor();
  assert.match((await ada.locator("#state").textContent()) ?? "", /Back in \d+ s|Connecting/);
  await ada.getByLabel("Message", { exact: true }).fill("kept while away");
  assert.equal(await ada.getByRole("button", { name: "Send" }).isDisabled(), true);
  await own.start();
  await ada.getByRole("button", { name: "Connect now" }).click({ timeout: 3_000 }).catch(() => {}); // it may have come back by itself
  await line(ada, "remark", "Back in the room");
  await line(ben, "remark", "Back in the room"); // by itself
  await roster(ada, "Ada", "Ben");
  await say(ada, "kept while away");
  await line(ben, "say", "kept while away");
  assert.equal(await ben.locator("#notice").isVisible(), false);
});

test("notices of the server are shown: gap, throttled, left, closed for good", options, async () => {
  const ada = await freshTab();
  /** @type {import("playwright-core").WebSocketRoute | undefined} */
  let route;
  await ada.routeWebSocket(/\/ws$/, (r) => void (r.connectToServer(), (route = r)));
  await ada.goto(`${server.url}?room=notices&name=Ada`);
  await ada.locator("#send:enabled").waitFor();
  const tell = (/** @type {any} */ m) => route?.send(JSON.stringify(m));
  tell({ type: "gap", room: "notices", missed: 12 });
  await line(ada, "remark", "12 messages are missing here");
  tell({ type: "throttled", retry_after_ms: 250 });
  await line(ada, "remark", "Throttled: the server refuses what is sent for 250 ms");
  tell({ type: "left", room: "notices", reason: "the kitchen is closed" });
  await ada.locator("#notice", { hasText: "taken you out of this room: the kitchen is closed" }).waitFor();
  assert.equal(await ada.getByRole("button", { name: "Send" }).isDisabled(), true);
  await ada.getByRole("button", { name: "Join again" }).click();
  await ada.locator("#send:enabled").waitFor();
  await route?.close({ code: 3003, reason: "kicked" });
  await ada.locator("#state[data-kind=closed]", { hasText: "Closed (3003)" }).waitFor();
  await ada.locator("#notice", { hasText: "3003 kicked. It will not be tried again by itself." }).waitFor();
  await ada.getByRole("button", { name: "Connect now" }).click();
  await state(ada, "open");
});

test("a page that loses its scripts says that something is missing", options, async () => {
  const page = await freshTab();
  await page.route("**/roomcast.js", (r) => r.abort());
  await page.goto(server.url);
  await page.getByText("the server is gone or did not deliver all of this page").waitFor();
  expected("ERR_FAILED");
});

/** A token of the user ann. @param {...string} args */
const token = (...args) => execFileSync(binary, ["token", "--secret", SECRET, "--user", "ann", ...args], { encoding: "utf8" }).trim();

test("a server with keys: the token is asked for, kept in memory only, and asked for again", options, async () => {
  const own = await another(`--token-secret=${SECRET}`, "--token-timeout=30s");
  const page = await freshTab();
  await page.goto(`${own.url}?room=vault&name=Ada`);
  await page.locator("#state", { hasText: "Token needed" }).waitFor();
  const field = page.getByLabel(/asks for a token|refuses this token/);
  await field.fill("nonsense");
  await page.keyboard.press("Enter");
  await page.locator("#token-why", { hasText: "The server refuses this token" }).waitFor();
  await field.fill(token("--room", "vault=join,send"));
  await page.keyboard.press("Enter");
  await state(page, "open");
  await page.locator("#c-user", { hasText: "ann" }).waitFor();
  await page.locator("#people-note", { hasText: "does not let you see who is here" }).waitFor();
  await say(page, "let me in");
  await line(page, "mine", "✓");
  assert.equal(await page.locator("#token-form").isVisible(), false);

  await page.getByLabel("Join another room").fill("other");
  await page.keyboard.press("Enter");
  await page.locator("#notice", { hasText: "(forbidden)" }).waitFor();
  const kept = await page.evaluate(() => JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage), document.cookie, location.href]));
  assert.ok(!kept.includes("eyJ"), kept);
  await page.reload();
  await page.locator("#state", { hasText: "Token needed" }).waitFor();
});

test("a token that expires: a fresh one is asked for in good time, and once more when it is too late", options, async () => {
  const own = await another(`--token-secret=${SECRET}`, "--token-leeway=0s");
  const page = await freshTab();
  await page.clock.install();
  await page.goto(`${own.url}?room=vault&name=Ada`);
  const field = page.locator("#token");
  const show = async (/** @type {string} */ lifetime) => {
    await field.fill(token("--room", "vault=join,send,presence", "--expires", lifetime));
    await field.press("Enter");
  };
  await show("1h");
  await state(page, "open");
  const connection = await page.locator("#c-connection").textContent();
  const soon = async () => {
    await page.clock.fastForward("50:00");
    await page.locator("#token-why", { hasText: "expires soon" }).waitFor();
  };
  await soon();
  await show("1h");
  await say(page, "still here");
  await line(page, "mine", /still here.*✓/); // so the token was answered as well
  assert.equal(await page.locator("#c-connection").textContent(), connection, "the token was renewed on the connection there was");
  await soon();
  await show("3s");
  await page.locator("#token-why", { hasText: "The token has expired; the server asks for a fresh one." }).waitFor();
  await page.locator("#c-ended", { hasText: "3200 token expired" }).waitFor();
  await show("60s");
  await line(page, "remark", "Back in the room");
  await roster(page, "Ada");
});
