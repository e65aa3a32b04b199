// @ts-check
// roster.js: the list of the people in the room that is shown.

import { avatar, byId, button, make } from "./dom.js";

/** @typedef {import("./talk.js").Talk} Talk */

export class Roster {
  #list = byId("people", HTMLUListElement);
  #count = byId("count", HTMLElement);
  #note = byId("people-note", HTMLElement);
  #write;

  /** @param {(connection: string, name: string) => void} write a person wants to write to this member */
  constructor(write) {
    this.#write = write;
  }

  /** @param {Talk} talk @param {string | null} own our own connection */
  show(talk, own) {
    const { people } = talk;
    const others = people.list.filter((m) => m.connection !== own);
    const focused = document.activeElement?.closest("#people button")?.getAttribute("data-connection");
    this.#list.replaceChildren(this.#me(talk, own), ...others.map((m) => this.#member(talk, m)));
    if (focused) /** @type {HTMLElement | null} */ (this.#list.querySelector(`[data-connection="${CSS.escape(focused)}"]`))?.focus();
    this.#count.textContent = people.problem || !talk.joined ? "?" : String(Math.max(people.count, 1));
    const more = people.count - people.list.length;
    this.#note.textContent = people.problem || (more > 0 ? `and ${more.toLocaleString()} more` : "");
  }

  /** @param {Talk} talk @param {string | null} own */
  #me(talk, own) {
    const name = talk.page.me;
    const user = talk.page.session.client?.user;
    const id = make("span", "id", [user, own].filter(Boolean).join(" · "));
    return make("li", "me", make("div", "person", avatar(name), make("span", "name", make("span", "called", name), id), make("span", "tag", "you")));
  }

  /** @param {Talk} talk @param {import("../roomcast.js").Sender} member */
  #member(talk, { connection = "", user }) {
    const name = talk.nameOf({ connection, user });
    const id = make("span", "id", [user, connection].filter((part) => part && part !== name).join(" · "));
    const person = button("person", "", () => this.#write(connection, name), avatar(name), make("span", "name", make("span", "called", name), id));
    person.dataset.connection = connection;
    person.title = `Write to ${name} alone`;
    return make("li", "", person);
  }
}
