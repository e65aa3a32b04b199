// @ts-check
// door.js: the form at which one says which room and what name.

import { roomError } from "./address.js";
import { byId } from "./dom.js";

export class Door {
  #room = byId("room", HTMLInputElement);
  #name = byId("name", HTMLInputElement);

  /** @param {(room: string, name: string) => void} enter called when both are good */
  constructor(enter) {
    byId("door", HTMLFormElement).addEventListener("submit", (e) => {
      e.preventDefault();
      const room = this.#room.value.trim();
      const name = this.#name.value.trim();
      const good = [complain(this.#name, name === "" ? "Tell the others what to call you." : ""), complain(this.#room, roomError(room))];
      if (good.every(Boolean)) enter(room, name);
    });
  }

  /** @param {string} room @param {string} name @param {string} [problem] with the room */
  show(room, name, problem = "") {
    document.body.dataset.view = "door";
    document.title = "Roomcast";
    this.#room.value = room;
    this.#name.value = name;
    complain(this.#room, problem);
    this.#room.focus();
  }
}

/** Says at the field what is wrong. @param {HTMLInputElement} input @param {string} error "" takes it away @returns {boolean} whether there is none */
export function complain(input, error) {
  byId(`${input.id}-error`, HTMLElement).textContent = error;
  input.setAttribute("aria-invalid", String(error !== ""));
  if (error) input.focus();
  return error === "";
}
