// @ts-check
// address.js: the room and the name in the address bar and in the browser's storage.
//
// An address is #room, or #room&name=… for a tab that is opened under a name of its own; both parts percent-encoded.

/** @returns {{ room: string, name: string } | null} null: the address cannot be read */
export function readAddress() {
  const [room = "", ...rest] = location.hash.slice(1).split("&");
  const name = rest.find((r) => r.startsWith("name="))?.slice("name=".length) ?? "";
  try {
    return { room: decodeURIComponent(room), name: decodeURIComponent(name).slice(0, 40) };
  } catch {
    return null;
  }
}

/** The page's own address with this room (and name) in it. @param {string} room @param {string} [name] */
export function addressOf(room, name) {
  const url = new URL(location.href);
  url.hash = encodeURIComponent(room) + (name ? `&name=${encodeURIComponent(name)}` : "");
  return url.href;
}

/** The WebSocket of a room on the server this page came from. @param {string} room */
export function endpointOf(room) {
  const url = new URL(`rooms/${encodeURIComponent(room)}`, location.href.split("#")[0]);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/** What is wrong with a room's name, or "". The last rule is the browsers', the others are the server's. @param {string} room */
export function roomError(room) {
  if (room === "") return "Give the room a name.";
  if (!isWellFormed(room)) return "This name is not valid Unicode: half of a character is missing.";
  const bytes = new TextEncoder().encode(room).length;
  if (bytes > 255) return `A room's name has at most 255 bytes; this one has ${bytes}.`;
  if (/\p{Cc}/u.test(room)) return "A room's name cannot contain control characters.";
  if (room === "." || room === "..") return `Browsers cannot address a room called “${room}”. Pick another name.`;
  return "";
}

/** @param {string} text */
function isWellFormed(text) {
  try {
    encodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** Keeps a name for this tab, and for the next ones if they are to have it too. @param {string} name @param {boolean} forAll */
export function rememberName(name, forAll) {
  try {
    sessionStorage.setItem("roomcast.name", name);
    if (forAll) localStorage.setItem("roomcast.name", name);
  } catch {
    // Storage is switched off: the page works, and asks again next time.
  }
}

/** The name this tab had, otherwise the one last used in this browser, otherwise "". */
export function recallName() {
  try {
    return sessionStorage.getItem("roomcast.name") ?? localStorage.getItem("roomcast.name") ?? "";
  } catch {
    return "";
  }
}
