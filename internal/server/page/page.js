// @ts-check
// page.js: a chat between the pages that are open in one room.
//
// The server relays every message to the other members as it is and adds nothing of its own, so the pages agree among
// themselves on a small convention. Each message is one JSON text:
//
//   {"v":1,"type":"hello","id":…,"name":…}             I have just come in (or come back): who is here?
//   {"v":1,"type":"here", "id":…,"name":…}             I am here: the answer to a hello, and again every 20 seconds
//   {"v":1,"type":"say",  "id":…,"name":…,"text":…}    somebody says something
//   {"v":1,"type":"bye",  "id":…,"name":…}             I am leaving
//
// id is drawn anew whenever a page joins and tells two people of the same name apart; name has 1–40 characters. Whoever
// was not heard for 45 seconds counts as gone. Everything else in the room comes from some other program and is shown
// as what it is: raw text, or a number of bytes. Nothing here is proof of who somebody is.

import { addressOf, endpointOf, readAddress, recallName, rememberName, roomError } from "./address.js";
import { Link, describe } from "./link.js";
import { Log, avatar, make } from "./log.js";
import { People } from "./people.js";

/** @typedef {{ v: 1, type: "hello" | "here" | "say" | "bye", id: string, name: string, text?: string }} Message */

const TYPES = new Set(["hello", "here", "say", "bye"]);
const HERE_EVERY = 20_000;
const TICK = 1_000;
const ASLEEP = 10_000; // a tick this late: the browser let this tab sleep

/** @template {HTMLElement} T @param {string} id @param {{ new (): T }} type @returns {T} */
function byId(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`page.html has no ${type.name} "${id}"`);
  return found;
}

const ui = {
  announce: byId("announce", HTMLElement),
  roomTitle: byId("room-title", HTMLElement),
  state: byId("state", HTMLElement),
  stateText: byId("state-text", HTMLElement),
  leave: byId("leave", HTMLButtonElement),
  door: byId("door", HTMLFormElement),
  room: byId("room", HTMLInputElement),
  name: byId("name", HTMLInputElement),
  people: byId("people", HTMLUListElement),
  count: byId("count", HTMLElement),
  link: byId("link", HTMLElement),
  endpoint: byId("endpoint", HTMLElement),
  alone: byId("alone", HTMLElement),
  notice: byId("notice", HTMLElement),
  noticeText: byId("notice-text", HTMLElement),
  retry: byId("retry", HTMLButtonElement),
  composer: byId("composer", HTMLFormElement),
  text: byId("text", HTMLTextAreaElement),
  send: byId("send", HTMLButtonElement),
  hint: byId("hint", HTMLElement),
};

const log = new Log(byId("log", HTMLElement), byId("newer", HTMLElement));
const people = new People();
const me = { id: "", name: "", room: "" };
/** @type {Link | null} null: at the door */
let link = null;
let hasBeenIn = false; // this link was connected before: the next time is a return
let saidHereAt = 0;
let tickedAt = Date.now();

// ---- In and out -----------------------------------------------------------------------------------------------------

/** Reads the address and goes straight in if everything needed is known. */
function arrive() {
  const address = readAddress();
  ui.room.value = address?.room || "lobby";
  ui.name.value = address?.name || recallName();
  if (address === null) showError(ui.room, "The room in the address cannot be read. Pick one here.");
  else if (address.room && ui.name.value) return knock(address.room, false);
  (ui.name.value ? ui.room : ui.name).focus();
}

/**
 * Enters if room and name are good; otherwise says at the field what is wrong.
 * @param {string} room @param {boolean} nameForAll remember the name for other tabs too: it was typed, not lent by a link
 */
function knock(room, nameForAll) {
  const name = ui.name.value.trim();
  const roomIsGood = showError(ui.room, roomError(room));
  const nameIsGood = showError(ui.name, name === "" ? "Tell the others what to call you." : "");
  if (!roomIsGood) return ui.room.focus();
  if (!nameIsGood) return ui.name.focus();
  rememberName(name, nameForAll);
  enter(room, name);
}

/** @param {HTMLInputElement} input @param {string} error "" takes it away */
function showError(input, error) {
  byId(`${input.id}-error`, HTMLElement).textContent = error;
  input.setAttribute("aria-invalid", String(error !== ""));
  return error === "";
}

/** @param {string} room @param {string} name */
function enter(room, name) {
  const drawn = crypto.getRandomValues(new Uint8Array(8));
  me.id = Array.from(drawn, (b) => b.toString(16).padStart(2, "0")).join("");
  me.name = name;
  me.room = room;
  history.replaceState(null, "", addressOf(room));
  document.title = `${room} · Roomcast`;
  document.body.dataset.view = "room";
  ui.roomTitle.textContent = room;
  ui.link.textContent = addressOf(room);
  ui.endpoint.textContent = endpointOf(room);
  log.clear();
  people.clear();
  showPeople();
  hasBeenIn = false;
  link = new Link(endpointOf(room), { state: showState, message: receive, lost: noteLost });
  link.open();
  ui.text.focus();
}

/** Says goodbye and ends the connection. */
function depart() {
  tell("bye");
  const leaving = link;
  link = null;
  leaving?.close();
}

function backToDoor() {
  depart();
  document.body.dataset.view = "door";
  document.title = "Roomcast";
}

// ---- Speaking and hearing -------------------------------------------------------------------------------------------

/** @param {Message["type"]} type @param {string} [text] @returns {boolean} false: not connected, nothing was sent */
function tell(type, text) {
  if (type === "hello" || type === "here") saidHereAt = Date.now();
  return link?.send(JSON.stringify({ v: 1, type, id: me.id, name: me.name, text })) ?? false;
}

function say() {
  const text = ui.text.value.trim();
  if (text === "" || !tell("say", text)) return;
  log.say(me.id, me.name, text, "you", true);
  log.toEnd();
  ui.text.value = "";
  fitText();
  showAlone();
}

/** @param {string | ArrayBuffer} data */
function receive(data) {
  // A tab in the background has slow timers, but messages wake it: the 20 seconds are kept here as well.
  if (Date.now() - saidHereAt >= HERE_EVERY) tell("here");
  const m = typeof data === "string" ? parse(data) : null;
  if (m) hear(m);
  else if (typeof data === "string") log.raw(data, "raw text");
  else log.raw(data.byteLength === 1 ? "1 byte" : `${data.byteLength.toLocaleString()} bytes`, "binary");
  showAlone();
}

/** @param {Message} m */
function hear(m) {
  if (m.type === "bye") {
    if (people.left(m.id)) log.event(m.id, m.name, "left");
    return showPeople();
  }
  const nameBefore = people.get(m.id)?.name;
  if (people.heard(m.id, m.name, Date.now())) log.event(m.id, m.name, m.type === "hello" ? "joined" : "is here");
  if (m.type === "say") log.say(m.id, m.name, m.text ?? "", distinction(m.id, m.name));
  if (m.type === "hello") setTimeout(() => tell("here"), Math.random() * Math.min(2_000, 20 * people.count));
  if (nameBefore !== m.name) showPeople();
}

/** @param {string} data @returns {Message | null} null: not of our convention */
function parse(data) {
  let m;
  try {
    m = JSON.parse(data);
  } catch {
    return null;
  }
  if (m === null || typeof m !== "object" || m.v !== 1 || !TYPES.has(m.type)) return null;
  if (typeof m.id !== "string" || m.id === "" || m.id.length > 64 || m.id === me.id) return null;
  if (typeof m.name !== "string" || m.name.trim() === "" || m.name.length > 40) return null;
  if (m.type === "say" && typeof m.text !== "string") return null;
  return m;
}

/** Every second: be heard in time, and notice who is not. */
function tick() {
  const now = Date.now();
  if (now - tickedAt > ASLEEP) people.excuse(now);
  tickedAt = now;
  if (!link?.connected) return;
  if (now - saidHereAt >= HERE_EVERY) tell("here");
  const silent = people.expire(now);
  for (const p of silent) log.event(p.id, p.name, "went silent and counts as gone");
  if (silent.length > 0) showPeople();
}

// ---- What is shown --------------------------------------------------------------------------------------------------

/** @param {import("./link.js").State} state */
function showState(state) {
  const { kind } = state;
  const kindBefore = ui.state.dataset.kind;
  ui.state.dataset.kind = kind;
  ui.send.disabled = kind !== "connected";
  ui.notice.hidden = kind !== "waiting" && kind !== "closed";
  if (kind === "connecting") ui.stateText.textContent = "Connecting…";
  if (kind === "connected") ui.stateText.textContent = "Connected";
  if (kind === "waiting") {
    ui.stateText.textContent = `Reconnecting in ${state.seconds} s`;
    ui.noticeText.textContent = `${describe(state.ending)}. Next try in ${state.seconds} s.`;
  }
  if (kind === "closed") {
    ui.stateText.textContent = state.ending ? `Closed (${state.ending.code})` : "Closed";
    ui.noticeText.textContent = `${state.ending ? describe(state.ending) : "Connection closed: you left"}. It will not be tried again by itself.`;
  }
  if (kind === kindBefore) return; // the seconds go down: seen, not read aloud
  ui.announce.textContent = ui.notice.hidden ? ui.stateText.textContent : ui.noticeText.textContent;
  if (kind === "connected") greet();
  else if (kindBefore === "connected" && link) log.remark("Connection lost");
  ui.hint.textContent =
    kind === "connected" ? "Enter sends, Shift + Enter starts a new line." : "Not connected: what you write stays here until you can send it.";
}

function greet() {
  if (hasBeenIn) {
    people.excuse(Date.now());
    log.remark("Back in the room. What was said in between did not reach you");
  }
  hasBeenIn = true;
  tell("hello");
}

function noteLost() {
  log.remark("The connection broke while sending: your last message may not have arrived");
}

function showPeople() {
  const everyone = [{ id: me.id, name: me.name }, ...people.all];
  const items = everyone.map((p) => {
    const tag = p.id === me.id ? "you" : distinction(p.id, p.name);
    return make("li", p.id === me.id ? "me" : "", avatar(p.id, p.name), make("span", "name", p.name), tag && make("span", "tag", tag));
  });
  ui.people.replaceChildren(...items);
  ui.count.textContent = String(everyone.length);
  const second = addressOf(me.room, freeName(everyone.map((p) => p.name)));
  for (const a of document.querySelectorAll("a[data-do=tab]")) a.setAttribute("href", second);
  showAlone();
}

/** The invitation fills the log until something happens in it. */
function showAlone() {
  ui.alone.hidden = people.count > 0 || !log.isEmpty;
}

/** What to add to a name that two people here have. @param {string} id @param {string} name */
function distinction(id, name) {
  return name === me.name || people.hasNamesake(id, name) ? id.slice(-4) : "";
}

/** A name for a second tab of mine that nobody here has yet. @param {string[]} taken */
function freeName(taken) {
  const base = me.name.replace(/ \d+$/, "").slice(0, 36);
  let n = 2;
  while (taken.includes(`${base} ${n}`)) n++;
  return `${base} ${n}`;
}

function fitText() {
  const { style } = ui.text;
  style.height = "auto";
  style.height = `${ui.text.scrollHeight + ui.text.offsetHeight - ui.text.clientHeight}px`;
}

/** @param {Element} button */
async function copyLink(button) {
  try {
    await navigator.clipboard.writeText(addressOf(me.room));
    ui.announce.textContent = "Link copied";
  } catch {
    ui.announce.textContent = "Copy the address bar"; // no clipboard without HTTPS; the address bar holds the same link
  }
  button.textContent = ui.announce.textContent;
  setTimeout(() => (button.textContent = "Copy link"), 2_000);
}

// ---- What a person does ---------------------------------------------------------------------------------------------

ui.door.addEventListener("submit", (e) => {
  e.preventDefault();
  knock(ui.room.value.trim(), true);
});
ui.leave.addEventListener("click", () => {
  backToDoor();
  history.replaceState(null, "", location.pathname + location.search);
  ui.room.value = me.room;
  ui.name.value = me.name;
  ui.room.focus();
});
ui.composer.addEventListener("submit", (e) => {
  e.preventDefault();
  say();
  ui.text.focus();
});
ui.text.addEventListener("keydown", (e) => {
  if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
  e.preventDefault();
  say();
});
ui.text.addEventListener("input", fitText);
ui.retry.addEventListener("click", () => {
  link?.open();
  ui.text.focus();
});
for (const b of document.querySelectorAll("button[data-do=copy]")) b.addEventListener("click", () => copyLink(b));

addEventListener("hashchange", () => {
  backToDoor();
  arrive();
});
addEventListener("online", () => {
  if (ui.state.dataset.kind === "waiting") link?.open();
});
addEventListener("pagehide", depart);
addEventListener("pageshow", (e) => {
  if (e.persisted && document.body.dataset.view === "room") enter(me.room, me.name);
});

setInterval(tick, TICK);
arrive();
