// @ts-check
// address.js: the rooms and the name in the address bar and in the browser's storage.
//
// An address is ?room=kitchen. A tab that is in several rooms has them all in it, the one that is shown first; name=… is for a tab that
// is opened under a name of its own.

const MAX_NAME = 40;

/** @returns {{ rooms: string[], name: string }} */
export function readAddress() {
  const query = new URLSearchParams(location.search);
  const rooms = query.getAll("room").filter((room) => room !== "");
  return { rooms: [...new Set(rooms)], name: (query.get("name") ?? "").slice(0, MAX_NAME) };
}

/** The page's own address with these rooms (and this name) in it. @param {string[]} rooms @param {string} [name] */
export function addressOf(rooms, name) {
  const url = here();
  for (const room of rooms) url.searchParams.append("room", room);
  if (name) url.searchParams.append("name", name);
  return url.href;
}

/** Where the protocol is spoken: on the server this page came from, beside it. */
export function endpoint() {
  const url = new URL("ws", here());
  url.protocol = url.protocol.replace(/^http/, "ws");
  return url.href;
}

function here() {
  const url = new URL(location.href);
  url.search = url.hash = "";
  return url;
}

/** What is wrong with a room's name, or "". @param {string} room */
export function roomError(room) {
  if (room === "") return "Give the room a name.";
  const bytes = new TextEncoder().encode(room).length;
  if (bytes > 255) return `A room's name has at most 255 bytes; this one has ${bytes}.`;
  if (/\p{Cc}/u.test(room)) return "A room's name cannot contain control characters.";
  return "";
}

/** Keeps a name for this tab, and for the next ones if they are to have it too. @param {string} name @param {boolean} forAll */
export function rememberName(name, forAll) {
  try {
    sessionStorage.setItem("roomcast.name", name);
    if (forAll) localStorage.setItem("roomcast.name", name);
  } catch {
    // Storage is switched off: the page works, and draws another name next time.
  }
}

/** The name this tab had, otherwise the one last typed in this browser, otherwise "". */
export function recallName() {
  try {
    return sessionStorage.getItem("roomcast.name") ?? localStorage.getItem("roomcast.name") ?? "";
  } catch {
    return "";
  }
}

const FIRST = ["Amber", "Brisk", "Calm", "Early", "Gentle", "Keen", "Lucky", "Merry", "Quick", "Quiet", "Sunny", "Tidy"];
const SECOND = ["Badger", "Finch", "Fox", "Hare", "Heron", "Lynx", "Marten", "Otter", "Owl", "Robin", "Seal", "Wren"];

/** A name for somebody who has none yet, so that two tabs can talk before anybody has typed. */
export function drawName() {
  const [a = 0, b = 0] = crypto.getRandomValues(new Uint8Array(2));
  return `${FIRST[a % FIRST.length]} ${SECOND[b % SECOND.length]}`;
}
