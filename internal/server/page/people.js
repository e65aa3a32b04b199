// @ts-check
// people.js: who is in the room, as far as this page has heard. No clock, no socket and no document in here.

/** @typedef {{ id: string, name: string, heardAt: number }} Person */

/** How long somebody may be silent before they count as gone, in milliseconds. */
export const GONE_AFTER = 45_000;

/** After a break of our own, how long the others get to show that they are still there. */
const GRACE = 10_000;

export class People {
  /** @type {Map<string, Person>} */
  #byId = new Map();

  /** Everybody, in the order in which they were first heard. */
  get all() {
    return [...this.#byId.values()];
  }

  get count() {
    return this.#byId.size;
  }

  /** @param {string} id */
  get(id) {
    return this.#byId.get(id);
  }

  /**
   * Notes a sign of life and says whether this person is new here.
   * @param {string} id @param {string} name @param {number} now
   */
  heard(id, name, now) {
    const known = this.#byId.get(id);
    this.#byId.set(id, { id, name, heardAt: now });
    return !known;
  }

  /** @param {string} id @returns {Person | undefined} whoever left just now */
  left(id) {
    const person = this.#byId.get(id);
    this.#byId.delete(id);
    return person;
  }

  /** @param {number} now @returns {Person[]} those who were silent too long; they are removed */
  expire(now) {
    const silent = this.all.filter((p) => now - p.heardAt >= GONE_AFTER);
    for (const p of silent) this.#byId.delete(p.id);
    return silent;
  }

  /**
   * We were asleep or offline ourselves and cannot hold the silence against the others: each gets a short grace.
   * @param {number} now
   */
  excuse(now) {
    for (const p of this.#byId.values()) p.heardAt = now - GONE_AFTER + GRACE;
  }

  /** Whether somebody else in the room goes by the same name. @param {string} id @param {string} name */
  hasNamesake(id, name) {
    return this.all.some((p) => p.id !== id && p.name === name);
  }

  clear() {
    this.#byId.clear();
  }
}
