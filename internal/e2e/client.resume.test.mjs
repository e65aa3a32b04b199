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

  test("who comes for the first time reads what was said before, page by page", options, async () => {
    const texts = numbered("page", 25);
    await publish(server, "log/pages", texts);
    const ann = await member(server, "ann", "log/here");
    const room = ann.client.room("log/pages");
    const read = [];
    for (let page = await room.history({ limit: 10 }); page.epoch; page = await room.history({ limit: 10, before: page.messages[0] })) {
      read.unshift(page.messages.map((m) => m.data));
    }
    assert.deepEqual([read.map((page) => page.length), read.flat()], [[5, 10, 10], texts]);
    const rest = await room.history({ since: (await room.history({ limit: 4 })).messages[1] });
    assert.deepEqual(rest.messages.map(({ data, from, offset }) => [data, from, offset]), [["page 23", {}, 24], ["page 24", {}, 25]]);
  });

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
