// @ts-check
// invite.js: the ways to get somebody else into the room: its link, and a second tab.

import { addressOf } from "./address.js";
import { byId } from "./dom.js";

export class Invite {
  #address = "";
  #link = byId("link", HTMLElement);

  /** @param {(what: string) => void} tell has it read aloud */
  constructor(tell) {
    for (const button of document.querySelectorAll("button[data-do=copy]")) {
      button.addEventListener("click", async () => {
        const told = await this.#copy();
        tell(told);
        button.textContent = told;
        setTimeout(() => (button.textContent = "Copy link"), 2_000);
      });
    }
  }

  /** @param {string} room @param {string} name that we go by @param {Iterable<string>} others */
  show(room, name, others) {
    this.#address = addressOf([room]);
    this.#link.textContent = this.#address;
    const second = addressOf([room], freeName(name, new Set([name, ...others])));
    for (const a of document.querySelectorAll("a[data-do=tab]")) a.setAttribute("href", second);
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.#address);
      return "Link copied";
    } catch {
      return "Copy the address bar"; // no clipboard without HTTPS; the address bar has the same room in it
    }
  }
}

/** A name for a second tab of the same person that nobody here has yet. @param {string} name @param {Set<string>} taken */
function freeName(name, taken) {
  const base = name.replace(/ \d+$/, "").slice(0, 36);
  let n = 2;
  while (taken.has(`${base} ${n}`)) n++;
  return `${base} ${n}`;
}
