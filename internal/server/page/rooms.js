// @ts-check
// rooms.js: the list of the rooms this page is in.

import { byId, button, make } from "./dom.js";

/**
 * @typedef {import("./talk.js").Talk} Talk
 * @typedef {object} RoomsEvents
 * @property {(talk: Talk) => void} show
 * @property {(talk: Talk) => void} leave
 */

export class Rooms {
  #list = byId("rooms", HTMLUListElement);
  #events;

  /** @param {RoomsEvents} events */
  constructor(events) {
    this.#events = events;
  }

  /** @param {Iterable<Talk>} talks @param {Talk | null} current */
  show(talks, current) {
    const focused = this.#list.contains(document.activeElement) ? document.activeElement?.getAttribute("data-key") : null;
    this.#list.replaceChildren(...[...talks].map((talk) => this.#item(talk, talk === current)));
    if (focused) /** @type {HTMLElement | null} */ (this.#list.querySelector(`[data-key="${CSS.escape(focused)}"]`))?.focus();
  }

  /** @param {Talk} talk @param {boolean} current */
  #item(talk, current) {
    const { name, unread, out } = talk;
    const badge = unread > 0 ? make("span", "badge", String(unread), make("span", "hidden", " unread")) : "";
    const open = button("open", "", () => this.#events.show(talk), make("span", "room-name", name), out ? make("span", "tag", "out") : badge);
    open.dataset.key = `open ${name}`;
    if (current) open.setAttribute("aria-current", "true");
    const leave = button("leave", `Leave ${name}`, () => this.#events.leave(talk), "×");
    leave.dataset.key = `leave ${name}`;
    leave.title = `Leave ${name}`;
    return make("li", current ? "current" : "", open, leave);
  }
}
