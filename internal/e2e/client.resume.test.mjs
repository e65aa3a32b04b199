// client.resume.test.mjs: the JavaScript client and one built server with a history in memory, and connections that break.
//
//   node client.resume.test.mjs ../../bin/roomcast

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { breaks, heardTo, HISTORY, member, numbered, options, publish } from "./breaks.mjs";
import { next, RoomcastServer, SECRET } from "./roomcastserver.mjs";

const server = new RoomcastServer("--token-secret", SECRET, ...HISTORY);

before(() => server.start());
after(() => server.clear());

describe("one server", { concurrency: true }, () => {
  breaks(() => [server]);

  test("a server that is killed forgets: one is told that something is missing, and what was not acked is stored", options, async () => {
    const own = await new RoomcastServer("--token-secret", SECRET, ...HISTORY).start();
    try {
      const ann = await member(own, "ann", "log/new");
      await publish(own, "log/new", numbered("old", 3));
      await heardTo(ann, "old 2");
      const old = ann.room.position;
      const back = next(ann.room, "joined"), away = next(ann.client, "state", (e) => e.state === "waiting");
      await own.end("SIGKILL");
      await away;
      const sent = ann.room.send("while it is away");
      await own.start();
      assert.deepEqual(await back, { again: true, recovered: false });
      const at = await sent;
      assert.notEqual(at?.epoch, old?.epoch);
      assert.equal(at?.offset, 1);
      await publish(own, "log/new", ["new"]);
      assert.deepEqual(await heardTo(ann, "new"), [...numbered("old", 3), "while it is away", "new"]);
    } finally {
      await own.clear();
    }
  });
});
