// chromium.mjs: the browser for the tests. Run by itself it prints where that is, or exits with 1.

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const PLACES = ["/usr/bin", ...(process.env.PATH ?? "").split(delimiter)].filter((p) => p !== "");
const MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-quic"];

/** @returns {string} the executable, or "" when there is none */
export function findChromium() {
  if (process.env.CHROMIUM) return runnable(process.env.CHROMIUM) ? process.env.CHROMIUM : "";
  const candidates = [...NAMES.flatMap((name) => PLACES.map((place) => join(place, name))), MAC];
  return candidates.find(runnable) ?? "";
}

/** Starts it, without anything that goes out to the network by itself. @param {string[]} args of Chromium */
export async function launch(...args) {
  const executablePath = findChromium();
  if (!executablePath) throw new Error('no Chromium: run "make setup", or set CHROMIUM to a Chromium or Chrome');
  const { chromium } = await import("playwright-core");
  return chromium.launch({ executablePath, args: [...ARGS, ...args] });
}

/** @param {string} path */
function runnable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const found = findChromium();
  if (found) console.log(found);
  else process.exit(1);
}
