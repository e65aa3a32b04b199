// @ts-check
// talk.js: one room as this page knows it: whether we are in it, who else is, and what was said.

import { Log } from "./log.js";
import { People } from "./people.js";
import { readPayload } from "./payload.js";

/**
 * @typedef {import("../roomcast.js").Sender} Sender
 * @typedef {import("../roomcast.js").RoomcastError} RoomcastError
 * @typedef {object} Page  What a room needs of its page.
 * @property {string} me  the name we go by
 * @property {Map<string, string>} names  of connections, as far as they have told
 * @property {import("./session.js").Session} session
 * @property {(talk: Talk) => boolean} shows
 * @property {(talk: Talk) => void} changed
 */

const MAX_PAST = 50; // messages from before we came that are shown
const MAX_ANSWERS = 50; // in a room with more people than this, nobody tells a newcomer their name
const NO_ANSWER = new Set(["disconnected", "closed", "left", "not_connected", "too_large"]); // errors of the client, not of the server

export class Talk {
  unread = 0;
  /** Why we are not in the room though the connection is open, or "". */
  out = "";
  /** @type {import("../roomcast.js").Room | null} */ #room = null;
  /** @type {(() => void)[]} */ #detach = [];
  /** @type {import("./log.js").Line[]} what we have sent with an echo that has not come */ #echoes = [];
  /** @type {Set<string>} the connections that were told our name */ #greeted = new Set();
  #entering = {}; // the latest attempt to enter
  #wasIn = false; // the next time is a return
  #live = false; // messages flow

  /** @param {string} name @param {Page} page */
  constructor(name, page) {
    this.name = name;
    this.page = page;
    this.log = new Log(name);
    this.people = new People({
      changed: () => page.changed(this),
      came: (member) => this.#others(member) && this.log.event(this.nameOf(member), "joined"),
      went: (member) => this.#others(member) && this.log.event(this.nameOf(member), "left"),
    });
  }

  get joined() {
    return this.#room?.joined === true;
  }

  /** Joins the room of this client. @param {import("../roomcast.js").Client} client @param {boolean} join false: we are in it already */
  attach(client, join) {
    this.detach();
    const room = client.room(this.name);
    this.#room = room;
    this.#detach = [
      room.on("message", (m) => this.hear(m, false)),
      room.on("joined", ({ recovered }) => this.#in(recovered)),
      room.on("left", ({ reason }) => this.#outOf(reason ? `The server has taken you out of this room: ${reason}.` : "The server has taken you out of this room.")),
      room.on("gap", ({ missed }) => this.log.remark(`Gap: ${missed === 1 ? "1 message is" : `${missed} messages are`} missing here; this page was too slow for them`)),
      room.on("error", (e) => this.#outOf(`The server does not let you into this room: ${e.message} (${e.code}).`)),
    ];
    if (join) this.join();
  }

  detach() {
    this.#entering = {};
    for (const off of this.#detach) off();
    this.#detach = [];
  }

  join() {
    this.out = "";
    this.#enter().catch(() => {}); // the room's error event says it
    this.page.changed(this);
  }

  /** Joins the room, and shows first what was said in it before we came, if it is kept: what follows that comes then. */
  async #enter() {
    const room = this.#room;
    const attempt = (this.#entering = {});
    const past = this.log.empty ? await room?.history({ limit: MAX_PAST }).catch(() => null) : null; // refused: so is join, and says it
    if (attempt !== this.#entering) return; // left meanwhile
    let shown = 0;
    for (const message of past?.messages ?? []) {
      const p = readPayload(message.data);
      if (p.kind === "here") continue;
      this.#show(message.from, p, { past: true }).frame("←", JSON.stringify(message));
      shown++;
    }
    if (shown > 0) this.log.remark("That was said before you came");
    await room?.join({ since: past?.epoch ? { epoch: past.epoch, offset: past.last } : null });
  }

  /** Says goodbye and leaves. */
  leave() {
    this.announce(false);
    this.detach();
    this.#room?.leave();
    this.people.end();
  }

  /** The connection has ended. @param {string} why  its close code and reason, if there are any: later attempts have others */
  lost(why) {
    if (this.#live) this.log.remark(why ? `Connection lost: ${why}` : "Connection lost");
    this.#live = false;
    this.#greeted.clear();
    this.people.end();
  }

  /** Tells the others that we are here, or that we are leaving. @param {boolean} here */
  announce(here) {
    if (this.joined) this.#room?.send({ name: this.page.me, here }, { echo: false }).catch(() => {}); // who may not send is seen all the same
  }

  /** The name a member goes by, as far as we know. @param {Sender} member */
  nameOf({ connection = "", user }) {
    return this.page.names.get(connection) ?? user ?? connection;
  }

  /**
   * Sends what was typed, to the room or to one connection, and shows it.
   * @param {any} data @param {{ echo: boolean, to: string }} options  `to`: a connection, or "" for the room
   */
  say(data, { echo, to }) {
    const { client, wire } = this.page.session;
    if (!client || !this.#room) return;
    const p = readPayload(data);
    const tags = ["you", ...(to ? [`direct to ${this.nameOf({ connection: to })}`] : echo ? [] : ["echo off"])];
    const text = p.kind === "here" ? JSON.stringify(data) : p.text;
    const line = this.log.message({ who: this.page.me, tags: "note" in p ? [...tags, p.note] : tags, text, plain: p.kind === "chat", mine: true });
    if (echo && !to) this.#echoes.push(line);
    const sent = wire.count;
    const at = performance.now();
    const answer = to ? client.direct({ connection: to }, data) : this.#room.send(data, echo ? {} : { echo });
    if (wire.count > sent) line.frame("→", wire.sent);
    const settle = (/** @type {RoomcastError | null} */ e) => {
      if (!e || !NO_ANSWER.has(e.code)) line.frame("←", wire.received);
      this.#echoes = this.#echoes.filter((l) => l !== line);
      line.fate(e ? `${e.message} (${e.code})` : `✓ ${latency(performance.now() - at)}`, !e);
    };
    answer.then(() => settle(null), settle);
    this.page.changed(this);
  }

  /** Somebody has sent something, to the room or to us. @param {{ from: Sender, data: any }} message @param {boolean} direct */
  hear({ from, data }, direct) {
    const { wire } = this.page.session;
    const p = readPayload(data);
    const own = !this.#others(from);
    if ("name" in p && from.connection && !own) this.#named(from.connection, p.name);
    if (!direct && !own && !(p.kind === "here" && !p.here)) this.people.heard(from);
    if (p.kind === "here") return own || direct ? undefined : this.#greet(from, p.here);
    const echo = own && !direct ? this.#echoes.shift() : undefined;
    if (echo) return echo.frame("←", wire.received); // it stands there already
    this.#show(from, p, { direct }).frame("←", wire.received);
    if (!this.page.shows(this)) this.unread++;
    this.page.changed(this);
  }

  /** @param {Sender} from @param {Exclude<import("./payload.js").Payload, { kind: "here" }>} p @param {{ direct?: boolean, past?: boolean }} how */
  #show(from, p, { direct = false, past = false }) {
    const own = !this.#others(from);
    const who = own ? this.page.me : p.kind === "chat" ? p.name : this.nameOf(from) || "The backend";
    const known = [from.user, from.connection].filter((id) => id !== undefined && id !== who);
    const tags = [...(own ? ["you"] : known.length > 0 ? [known.join(" · ")] : []), direct ? "direct" : "", "note" in p ? p.note : ""];
    return this.log.message({ who, tags: tags.filter((t) => t !== ""), text: p.text, plain: p.kind === "chat", mine: own, past });
  }

  /** Not ourselves. @param {Sender} sender */
  #others({ connection }) {
    return connection === undefined || connection !== this.page.session.client?.connection;
  }

  /** @param {string} connection @param {string} name */
  #named(connection, name) {
    const { names } = this.page;
    if (names.get(connection) === name) return;
    if (names.size >= 1_000) names.clear(); // they tell it again with the next thing they say
    names.set(connection, name);
    this.page.changed(this);
  }

  /** Somebody comes or goes, and a newcomer is told who we are. @param {Sender} from @param {boolean} here */
  #greet(from, here) {
    const { connection } = from;
    if (!here) return this.people.left(from);
    if (!connection || this.#greeted.has(connection) || this.people.count > MAX_ANSWERS) return;
    this.#greeted.add(connection);
    const tell = () => this.page.session.client?.direct({ connection }, { name: this.page.me, here: true }).catch(() => {}); // gone, or forbidden
    setTimeout(tell, Math.random() * 20 * this.people.count); // not everybody at once
  }

  /** @param {boolean} [recovered]  what was said while we were away follows */
  #in(recovered) {
    this.out = "";
    if (this.#wasIn) this.log.remark(`Back in the room. What was said in between ${recovered ? "follows" : "did not reach you"}`);
    this.#wasIn = this.#live = true;
    const room = this.#room;
    if (room) this.people.begin(() => room.members());
    this.announce(true);
    this.page.changed(this);
  }

  /** @param {string} why */
  #outOf(why) {
    this.out = why;
    this.#wasIn = this.#live = false;
    this.people.end();
    this.log.remark(why);
    this.page.changed(this);
  }
}

/** @param {number} milliseconds */
export function latency(milliseconds) {
  return milliseconds < 10 ? `${milliseconds.toFixed(1)} ms` : `${Math.round(milliseconds)} ms`;
}
