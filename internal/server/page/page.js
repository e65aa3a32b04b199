// @ts-check
// page.js: a playground for the protocol roomcast.v1: rooms, who is in them, and what is said, through the client at /roomcast.js.
// What the pages say to one another is in payload.js.

import { addressOf, drawName, endpoint, readAddress, recallName, rememberName, roomError } from "./address.js";
import { Composer } from "./composer.js";
import { byId } from "./dom.js";
import { Door, complain } from "./door.js";
import { Invite } from "./invite.js";
import { Notice } from "./notice.js";
import { Rooms } from "./rooms.js";
import { Roster } from "./roster.js";
import { Session } from "./session.js";
import { Status, named } from "./status.js";
import { Talk } from "./talk.js";

const PING_EVERY = 5; // seconds
const LOOK_EVERY = 10;

const ui = {
  title: byId("room-title", HTMLElement),
  another: byId("another", HTMLInputElement),
  myName: byId("my-name", HTMLInputElement),
  logs: byId("logs", HTMLElement),
  alone: byId("alone", HTMLElement),
  panel: byId("panel", HTMLButtonElement),
};

/** @type {Map<string, Talk>} */
const talks = new Map();
/** @type {Talk | null} null: at the door */
let current = null;

const status = new Status();
/** @type {Session} */
const session = new Session(endpoint(), {
  begun: (client) => {
    status.wantsToken = false;
    notice.ask("");
    for (const talk of talks.values()) talk.attach(client, true);
  },
  state: (change) => {
    if (change.state !== "open") {
      for (const talk of talks.values()) talk.lost(change.closeCode ? named(change.closeCode, change.reason ?? "") : "");
      page.names.clear(); // connections have other ids next time
    }
    status.show(change);
    refresh();
  },
  hello: (hello) => {
    status.hello(hello);
    notice.ask("");
    refresh();
  },
  direct: (message) => current?.hear(message, true),
  joined: ({ name }) => session.client && add(name).attach(session.client, false),
  notice: (text) => {
    for (const talk of talks.values()) talk.log.remark(text);
    status.say(text);
    refresh();
  },
  token: (why) => {
    status.wantsToken = true;
    status.tick();
    status.say(why);
    notice.ask(why, !session.open);
    refresh();
  },
  latency: (ms) => status.pong(ms),
});
/** @type {import("./talk.js").Page} */
const page = {
  me: "",
  names: new Map(),
  session,
  shows: (talk) => talk === current && document.visibilityState === "visible",
  changed: soon,
};
const door = new Door((room, name) => enter([room], name, true));
const composer = new Composer((data, options) => current?.say(data, options), () => page.me);
const invite = new Invite((told) => status.say(told));
const notice = new Notice({
  again: () => {
    if (session.open) current?.join();
    else session.begin();
    composer.focus();
  },
  token: (token) => {
    status.wantsToken = false;
    session.show(token);
    composer.focus();
  },
});
const rooms = new Rooms({ show, leave });
const roster = new Roster((connection, name) => {
  setPanel(false);
  composer.address(connection, name);
  composer.focus();
});

// ---- In and out -----------------------------------------------------------------------------------------------------

/** Reads the address and goes straight in if it names a room. */
function arrive() {
  const address = readAddress();
  const name = address.name.trim() || recallName() || drawName();
  const bad = address.rooms.find((room) => roomError(room) !== "");
  if (bad !== undefined) door.show(bad, name, roomError(bad));
  else if (address.rooms.length > 0) enter(address.rooms, name, false);
  else door.show("lobby", name);
}

/** @param {string[]} names of rooms @param {string} name @param {boolean} typed remember it for other tabs too */
function enter(names, name, typed) {
  rememberName(name, typed);
  page.me = ui.myName.value = name;
  for (const room of names) add(room);
  session.begin();
  show(talks.get(names[0] ?? ""));
}

/** The room on this page, new if need be. @param {string} name */
function add(name) {
  const known = talks.get(name);
  if (known) return known;
  const talk = new Talk(name, page);
  talks.set(name, talk);
  talk.log.element.hidden = true;
  ui.logs.append(talk.log.element);
  soon();
  return talk;
}

/** @param {Talk | undefined} talk */
function show(talk) {
  if (!talk) return;
  if (talk !== current) composer.address("", "");
  current = talk;
  for (const t of talks.values()) t.log.element.hidden = t !== talk;
  document.body.dataset.view = "room";
  document.title = `${talk.name} · Roomcast`;
  setPanel(false);
  talk.log.toEnd();
  talk.people.refresh();
  refresh();
  composer.focus();
}

/** @param {Talk} talk */
function leave(talk) {
  talk.leave();
  talk.log.element.remove();
  talks.delete(talk.name);
  if (talk !== current) return refresh();
  current = null;
  const next = talks.values().next().value;
  if (next) return show(next);
  session.end();
  history.replaceState(null, "", addressOf([]));
  notice.ask("");
  door.show(talk.name, page.me);
}

/** Says goodbye everywhere and ends the connection. */
function depart() {
  for (const talk of talks.values()) talk.announce(false);
  session.end();
}

// ---- What is shown --------------------------------------------------------------------------------------------------

let planned = false;

/** Refreshes once per picture, however many messages come. */
function soon() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    refresh();
  });
}

function refresh() {
  if (!current) return;
  const { name, out, people, log, joined } = current;
  if (page.shows(current)) current.unread = 0;
  const address = addressOf([name, ...[...talks.keys()].filter((n) => n !== name)]);
  if (address !== location.href) history.replaceState(null, "", address);
  rooms.show(talks.values(), current);
  roster.show(current, session.client?.connection ?? null);
  ui.title.textContent = name;
  invite.show(name, page.me, page.names.values());
  ui.alone.hidden = !(log.empty && joined && people.count <= 1);
  composer.enable(session.open && joined);
  const problem = status.text || (session.open ? out : "");
  notice.show(status.wantsToken ? "" : problem, session.open ? "Join again" : "Connect now");
}

/** On a narrow screen: rooms, people and connection in place of the conversation. @param {boolean} open */
function setPanel(open) {
  document.body.dataset.panel = open ? "open" : "";
  ui.panel.setAttribute("aria-expanded", String(open));
  ui.panel.textContent = open ? "Close" : "Details";
}

/** Every second. @param {number} seconds */
function tick(seconds) {
  if (!current || document.visibilityState !== "visible") return;
  status.tick();
  if (!session.open) return refresh();
  if (seconds % PING_EVERY === 0) session.wire.ping();
  if (seconds % LOOK_EVERY === 0) current.people.refresh();
}

// ---- What a person does ---------------------------------------------------------------------------------------------

byId("join", HTMLFormElement).addEventListener("submit", (e) => {
  e.preventDefault();
  const room = ui.another.value.trim();
  if (!complain(ui.another, roomError(room))) return;
  ui.another.value = "";
  const talk = add(room);
  if (session.client && !talk.joined) talk.attach(session.client, true);
  show(talk);
});
ui.myName.addEventListener("change", () => {
  page.me = ui.myName.value = ui.myName.value.trim() || page.me;
  rememberName(page.me, true);
  for (const talk of talks.values()) talk.announce(true);
  refresh();
});
byId("look", HTMLButtonElement).addEventListener("click", () => current?.people.refresh());
ui.panel.addEventListener("click", () => setPanel(document.body.dataset.panel !== "open"));
addEventListener("visibilitychange", () => refresh());
addEventListener("pagehide", depart);
addEventListener("pageshow", (e) => e.persisted && current && session.begin());

let seconds = 0;
setInterval(() => tick(++seconds), 1_000);
arrive();
