// binary.mjs: the built server, started and stopped by a test.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class Binary {
  #path;
  #args;
  /** @type {import("node:child_process").ChildProcess | null} */ #child = null;
  /** host:port, the same after a restart */
  address = "127.0.0.1:0";

  /** @param {string} path @param {...string} args of `serve` */
  constructor(path, ...args) {
    this.#path = path;
    this.#args = args;
  }

  get url() {
    return `http://${this.address}/`;
  }

  async start() {
    const child = spawn(this.#path, ["serve", "--addr", this.address, ...this.#args], { stdio: ["ignore", "ignore", "pipe"] });
    running.add(child);
    child.on("exit", () => running.delete(child));
    this.#child = child;
    const lines = [];
    for await (const line of createInterface({ input: child.stderr })) {
      lines.push(line);
      const found = /\baddr=(\S+)/.exec(line)?.[1];
      if (!found) continue;
      this.address = found;
      child.stderr.resume(); // what else it says is read, so that it can go on saying it
      return this;
    }
    throw new Error(`the server ended at once:\n${lines.join("\n")}`);
  }

  /** Ends it, as an operator does or as a crash would, and waits until it is gone. @param {"SIGTERM" | "SIGKILL"} [signal] */
  async stop(signal = "SIGTERM") {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }
}
