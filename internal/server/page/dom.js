// @ts-check
// dom.js: pieces of the document. Whatever others send is put on the page as text, never as markup.

/** @template {HTMLElement} T @param {string} id @param {{ new (): T }} type @returns {T} */
export function byId(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`page.html has no ${type.name} "${id}"`);
  return found;
}

/** @param {string} tag @param {string} className @param {...(string | Node)} content strings become text nodes */
export function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content.filter((c) => c !== ""));
  return element;
}

/** @param {string} className @param {string} label what it does, for who cannot see it @param {() => void} act @param {...(string | Node)} content */
export function button(className, label, act, ...content) {
  const element = make("button", className, ...content);
  element.setAttribute("type", "button");
  if (label) element.setAttribute("aria-label", label);
  element.addEventListener("click", act);
  return element;
}

/** Initials in a colour of their own; for eyes only, the name stands next to it. @param {string} name */
export function avatar(name) {
  let hash = 0;
  for (const c of name) hash = (hash * 31 + (c.codePointAt(0) ?? 0)) >>> 0;
  const words = name.trim().split(/\s+/);
  const shown = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  const element = make("span", "avatar", shown.map((w) => [...(w ?? "")][0] ?? "").join("").toLocaleUpperCase());
  element.setAttribute("aria-hidden", "true");
  element.style.setProperty("--hue", String((hash % 12) * 30));
  return element;
}

export function clock() {
  const now = new Date();
  const element = make("time", "", now.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  element.setAttribute("datetime", now.toISOString());
  element.title = now.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
  return element;
}
