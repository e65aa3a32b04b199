// @ts-check
// people.js: who is in a room, as the server lists them. No socket and no document in here.

/**
 * @typedef {import("../roomcast.js").Sender} Sender
 * @typedef {object} PeopleEvents
 * @property {() => void} changed
 * @property {(member: Sender) => void} came
 * @property {(member: Sender) => void} went
 */

export class People {
  /** At most a hundred of them. @type {Sender[]} */ list = [];
  /** How many there are. */
  count = 0;
  /** Why there is no list, or "". */
  problem = "";
  /** @type {(() => Promise<import("../roomcast.js").Members>) | null} null: not in the room */ #ask = null;
  #known = false; // the list has come before: what differs from it is news
  #asking = false;
  #again = false; // somebody came or went while we were asking
  /** @type {Set<string>} who has said goodbye; the server may hear of it after our question */ #gone = new Set();
  #events;

  /** @param {PeopleEvents} events */
  constructor(events) {
    this.#events = events;
  }

  /** We are in the room. @param {() => Promise<import("../roomcast.js").Members>} ask */
  begin(ask) {
    this.end();
    this.#ask = ask;
    this.refresh();
  }

  /** We are out of it. */
  end() {
    this.#ask = null;
    this.#known = false;
    this.#gone.clear();
    this.list = [];
    this.count = 0;
    this.problem = "";
  }

  /** Somebody has sent something to the room, so they are in it. @param {Sender} member */
  heard(member) {
    if (member.connection === undefined || this.problem || has(this.list, member)) return;
    this.#gone.delete(member.connection);
    if (this.count > this.list.length) return; // a large room: not a question for each message
    if (this.#known) this.#replace([...this.list, member], this.count + 1);
    this.refresh();
  }

  /** Somebody has said goodbye. @param {Sender} member */
  left({ connection = "" }) {
    this.#gone.add(connection);
    this.#replace(this.list, this.count);
  }

  /** Asks the server, one question at a time. */
  async refresh() {
    this.#again = true;
    if (this.#asking) return;
    this.#asking = true;
    while (this.#again) {
      this.#again = false;
      const ask = this.#ask;
      if (!ask) break;
      try {
        const { count, members } = await ask();
        if (ask === this.#ask) this.#replace(members, count);
      } catch (error) {
        if (ask === this.#ask) this.#fail(error);
      }
    }
    this.#asking = false;
  }

  /** @param {Sender[]} members @param {number} count */
  #replace(members, count) {
    const before = this.list;
    this.list = members.filter((m) => !this.#gone.has(m.connection ?? ""));
    this.count = count - (members.length - this.list.length);
    this.problem = "";
    if (this.#known && count <= members.length) { // else the list is a sample, and differences mean nothing
      for (const m of this.list) if (!has(before, m)) this.#events.came(m);
      for (const m of before) if (!has(this.list, m)) this.#events.went(m);
    }
    this.#known = true;
    this.#events.changed();
  }

  /** @param {any} error */
  #fail(error) {
    if (error.code === "disconnected" || error.code === "closed") return; // the connection's state says it
    this.list = [];
    this.count = 0;
    this.#known = false;
    this.problem = error.code === "forbidden" ? "This token does not let you see who is here." : `${error.message} (${error.code})`;
    this.#events.changed();
  }
}

/** @param {Sender[]} list @param {Sender} member */
function has(list, member) {
  return list.some((m) => m.connection === member.connection);
}
