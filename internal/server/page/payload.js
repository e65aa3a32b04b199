// @ts-check
// payload.js: what the messages carry. The server passes any payload on as it is, so the pages agree among themselves:
//
//   {"name":"Ada","text":"hello"}   somebody says something
//   {"name":"Ada","here":true}      I am here: to the room when one comes, and straight back to who has come
//   {"name":"Ada","here":false}     I am leaving
//
// Anything else is the data of some other program and is shown as what it is. A name is no proof of who somebody is: the server vouches
// for the connection and the user alone, and both are shown beside it.

/**
 * @typedef {{ kind: "chat", name: string, text: string } | { kind: "here", name: string, here: boolean }
 *   | { kind: "JSON" | "bytes", text: string, note: string }} Payload
 */

const MAX_BYTES = 256; // shown of one message
const ONE_LINE = 72; // characters of JSON that stay on one line

/** @param {any} data @returns {Payload} */
export function readPayload(data) {
  if (data instanceof Uint8Array) return { kind: "bytes", text: hex(data), note: size(data.length) };
  if (data !== null && typeof data === "object" && isName(data.name)) {
    if (typeof data.text === "string") return { kind: "chat", name: data.name, text: data.text };
    if (typeof data.here === "boolean") return { kind: "here", name: data.name, here: data.here };
  }
  const line = JSON.stringify(data);
  return { kind: "JSON", text: line.length > ONE_LINE ? JSON.stringify(data, null, 2) : line, note: "JSON" };
}

/** @param {unknown} name */
function isName(name) {
  return typeof name === "string" && name.trim() !== "" && name.length <= 40;
}

/** What is sent for what was typed. It throws if that is not of the format. @param {string} format @param {string} text @param {string} name */
export function writePayload(format, text, name) {
  if (format === "chat") return { name, text };
  if (format === "bytes") return unhex(text);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`This is not JSON: ${error instanceof Error ? error.message : error}`);
  }
}

/** @param {Uint8Array} bytes */
function hex(bytes) {
  const shown = Array.from(bytes.subarray(0, MAX_BYTES), (b) => b.toString(16).padStart(2, "0"));
  return shown.join(" ") + (bytes.length > MAX_BYTES ? " …" : "");
}

/** @param {string} text */
function unhex(text) {
  const digits = text.replace(/\s/g, "");
  if (!/^([0-9a-f]{2})+$/i.test(digits)) throw new Error("Bytes are pairs of the digits 0–9 and a–f, such as 00 ff 7a.");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** @param {number} bytes */
function size(bytes) {
  return bytes === 1 ? "1 byte" : `${bytes.toLocaleString()} bytes`;
}
