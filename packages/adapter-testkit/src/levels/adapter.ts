import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { applicationScope, longestId } from "@waymark/core/adapter";
import { makeEntry, makeRow, nextRow } from "../generate.js";
import type { Case, Level } from "../level.js";
import { assertSame, show } from "../same.js";

const cases: readonly Case[] = [
  {
    promise: "P9",
    name: "the adapter is what it is declared to be",
    todo: "Compare `expects` of the harness with the adapter: a facet that is lost is a defect, a new one has to be declared.",
    async run({ adapter, harness, hasNetwork }) {
      const { turns, records, search, durability, name, limits } = adapter;
      const has = (facet: object | undefined) => facet !== undefined;
      const actual = { turns: has(turns), records: has(records), search: has(search) };
      const { network, ...facets } = harness.expects;
      assertSame({ durability, ...actual }, facets, "what the adapter has");
      assert.equal(
        hasNetwork,
        network !== "none",
        `whether the store has \`network\`, where \`expects.network\` is ${network}`,
      );
      assert.ok(name.length > 0, "an adapter has to have a name");
      assert.ok(
        limits.commitBytes >= 65_536,
        `a commit of ${limits.commitBytes} bytes is too small for a turn`,
      );
      const { idBytes = longestId } = limits;
      assert.ok(
        idBytes >= 36 && idBytes <= longestId,
        `ids of ${idBytes} bytes: it has to be 36 to ${longestId}`,
      );
    },
  },
  {
    promise: "P9",
    name: "initialize can be called again, and describe answers",
    todo: "`initialize` checks what is there and creates what is not: it has to do no harm to a store that is in use.",
    async run({ adapter, other, newId }) {
      const row = makeRow(newId());
      await adapter.sessionRepository.create(row);
      await Promise.all([adapter.initialize?.(), other.initialize?.()]);
      await adapter.initialize?.();
      assertSame(
        await adapter.sessionRepository.findById(row.id),
        row,
        "a row after `initialize` was called again",
      );
      const { writable } = (await adapter.describe?.()) ?? { writable: true };
      assert.equal(writable, true, "`describe` of a store that can be written");
    },
  },
  {
    promise: "P1",
    name: "what one adapter has stored, another adapter on the store finds",
    todo: "Nothing that was acknowledged may live in the adapter alone: not in a cache, not in a module's variable.",
    async run({ adapter, other, newId }) {
      const row = makeRow(newId());
      const entry = makeEntry(row.id, row.life, 1);
      await adapter.sessionRepository.create(row);
      await adapter.messageRepository.insert([entry]);
      assertSame(await other.sessionRepository.findById(row.id), row, "the row, for another adapter");
      const next = nextRow(row, { state: { n: 2 } });
      assert.equal(
        await other.sessionRepository.update(next, row.revision),
        true,
        "an update by another adapter",
      );
      assertSame(
        await adapter.sessionRepository.findById(row.id),
        next,
        "the row after another adapter's update",
      );
      const found = await other.messageRepository.findBySessionId(row.id, { log: row.life, from: 1, to: 9 });
      assertSame(found, [entry], "the entries, for another adapter");
    },
  },
  {
    promise: "P7",
    name: "two stores share nothing",
    todo: "What belongs to a store is in the store: `open` has to give one that nobody else uses, and no module keeps state.",
    async run({ adapter, openStore, newId }) {
      const row = makeRow(newId());
      await adapter.sessionRepository.create(row);
      await adapter.messageRepository.insert([makeEntry(row.id, row.life, 1)]);
      const opened = await openStore();
      const elsewhere = await opened.connect();
      assert.equal(await elsewhere.sessionRepository.findById(row.id), null, "another store has the row");
      assert.deepEqual(
        (await elsewhere.sessionRepository.find({}, { limit: 100 })).items,
        [],
        "a new store is not empty",
      );
      const entries = await elsewhere.messageRepository.findBySessionId(row.id, {
        log: row.life,
        from: 1,
        to: 9,
      });
      assert.deepEqual(entries, [], "another store has the entries");
      const record = { scope: applicationScope, key: row.id, value: 1, revision: row.id, stamp: "1" };
      await adapter.records?.put(record, null);
      const found = (await elsewhere.records?.get(applicationScope, row.id)) ?? null;
      assert.equal(found, null, "another store has the record");
      assert.equal(
        await elsewhere.sessionRepository.create(nextRow(row, { state: null })),
        true,
        "a create in another store",
      );
      assertSame(
        await adapter.sessionRepository.findById(row.id),
        row,
        "the row, after another store was written",
      );
    },
  },
  {
    promise: "P9",
    name: "disconnect ends one adapter, and neither its neighbours nor the application's client",
    todo: "Close only what the adapter itself opened. `connect` of the harness gives each adapter a connection of its own.",
    async run({ adapter, connect, newId }) {
      const one = await connect();
      if (one === adapter) return;
      const row = makeRow(newId());
      await one.sessionRepository.create(row);
      await one.disconnect?.();
      assertSame(
        await adapter.sessionRepository.findById(row.id),
        row,
        "a row, after its writer was disconnected",
      );
      const next = await connect();
      assertSame(
        await next.sessionRepository.findById(row.id),
        row,
        "a row, for an adapter that was connected later",
      );
      await one.disconnect?.();
    },
  },
  {
    promise: "P9",
    name: "a disconnected adapter fails, or works, but says nothing that is not so",
    todo: "Where the store cannot be asked, throw: false, null and an empty list say that one has looked. Swallow no error.",
    async run({ openStore, newId }) {
      const opened = await openStore();
      const [one, other] = [await opened.connect(), await opened.connect()];
      const { sessionRepository: sessions, messageRepository: messages } = one;
      const row = makeRow(newId());
      const entry = makeEntry(row.id, row.life, 1);
      await sessions.create(row);
      await messages.insert([entry]);
      await one.disconnect?.();
      const answers: [string, () => Promise<unknown>, unknown][] = [
        ["findById", () => sessions.findById(row.id), row],
        ["find", async () => (await sessions.find({}, { limit: 9 })).items, [row]],
        [
          "findBySessionId",
          () => messages.findBySessionId(row.id, { log: row.life, from: 1, to: 9 }),
          [entry],
        ],
        ["create of what is there", () => sessions.create(row), false],
        [
          "turns.load",
          async () => (one.turns === undefined ? row : (await one.turns.load(row.id, { last: 0 }))?.row),
          row,
        ],
      ];
      for (const [name, ask, expected] of answers) {
        const answer = await ask().catch(() => expected);
        assertSame(answer, expected, `${name} after \`disconnect\` has to throw or be right`);
      }
      const created = makeRow(newId());
      if (await sessions.create(created).catch(() => false))
        assertSame(
          await other.sessionRepository.findById(created.id),
          created,
          "a create that was acknowledged",
        );
      const next = nextRow(row, { state: null });
      const updated = await sessions.update(next, row.revision).catch(() => null);
      if (updated !== null)
        assert.equal(updated, true, "`update` after `disconnect` has to throw or be done");
      const there = updated === true ? next : row;
      assertSame(
        await other.sessionRepository.findById(row.id),
        there,
        `the row after an update that was answered ${show(updated)}`,
      );
      const more = makeEntry(row.id, row.life, 2);
      const isIn = await messages.insert([more]).then(
        () => true,
        () => false,
      );
      const found = await other.messageRepository.findBySessionId(row.id, { log: row.life, from: 2, to: 2 });
      if (isIn) assertSame(found, [more], "an insert that was acknowledged");
      const removed = await sessions.delete(row.id, there.revision).catch(() => null);
      if (removed !== null)
        assert.equal(removed, true, "`delete` after `disconnect` has to throw or be done");
    },
  },
  {
    promise: "P9",
    name: "nothing of a removed store keeps the process alive",
    todo: "`disconnect` and the harness's `remove` have to end every timer, socket and watcher that was opened.",
    async run({ openStore }) {
      const counts: Map<string, number>[] = [];
      for (let round = 0; round < 6; round++) {
        const opened = await openStore();
        const adapter = await opened.connect();
        await adapter.sessionRepository.create(makeRow("s"));
        await opened.close();
        counts.push(await settledResources(counts.at(-1)));
      }
      for (const type of counts.at(-1)?.keys() ?? []) {
        const series = counts.map((count) => count.get(type) ?? 0);
        // A pool may grow once, and something else may end meanwhile; what is left behind is so each time.
        const growths = series.filter((count, index) => index > 0 && count > (series[index - 1] ?? 0)).length;
        const isLeak = growths >= series.length - 2;
        assert.ok(
          !isLeak,
          `each store that was opened and removed leaves a ${type} behind: ${series.join(", ")}`,
        );
      }
    },
  },
];

/** What keeps the event loop running, when it has had a moment to end. */
async function settledResources(
  before: ReadonlyMap<string, number> | undefined,
): Promise<Map<string, number>> {
  for (let wait = 1; ; wait *= 3) {
    await sleep(wait);
    const counts = new Map<string, number>();
    for (const type of process.getActiveResourcesInfo()) counts.set(type, (counts.get(type) ?? 0) + 1);
    const hasGrown = [...counts].some(([type, count]) => count > (before?.get(type) ?? 0));
    if (!hasGrown || wait > 200) return counts;
  }
}

export const adapter: Level = { name: "adapter", runs: "once", cases: () => cases };
