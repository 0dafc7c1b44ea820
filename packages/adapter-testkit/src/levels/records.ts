import assert from "node:assert/strict";
import { PersistenceManager, type SavedRecord, isWaymarkError } from "@waymark/core";
import {
  type Commit,
  type NewRecord,
  type PersistenceAdapter,
  type RecordWrite,
  type Records,
  type StoredRecord,
  compareBytes,
  sessionScope,
  systemEnvironment,
  userScope,
} from "@waymark/core/adapter";
import { hostileTexts, makeJson, makeRow, numbers } from "../generate.js";
import type { Case, Level } from "../level.js";
import { readAmong } from "../read-among.js";
import { assertSame, show } from "../same.js";
import { stoppedAt } from "../stopped.js";
import { again, appendTo, creation, patience, rowOf, turnOn } from "../turn-client.js";
import type { World } from "../world.js";

const { newId } = systemEnvironment;

const recordsOf = ({ records }: PersistenceAdapter): Records =>
  records ?? assert.fail("the adapter has no `records`");

function makeRecord(scope: string, key: string, fields: Partial<StoredRecord> = {}): StoredRecord {
  return { scope, key, value: { key }, revision: newId(), stamp: "1", ...fields };
}

async function keysOf(records: Records, scope: string, limit: number): Promise<string[]> {
  const keys: string[] = [];
  for (;;) {
    const after = keys.at(-1);
    const page = await records.list(scope, { limit, ...(after === undefined ? {} : { after }) });
    assert.ok(page.length <= limit, `a page of ${limit} has ${page.length} records`);
    if (page.length === 0) return keys;
    keys.push(...page.map(({ key }) => key));
  }
}

/** What a reader with nothing in memory finds in a session, page by page. */
async function found(adapter: PersistenceAdapter, sessionId: string, limit = 100): Promise<SavedRecord[]> {
  const records = new PersistenceManager({ adapter }).records({ sessionId });
  const all: SavedRecord[] = [];
  for (let after: string | undefined; ;) {
    const page = await records.list({ limit, after });
    all.push(...page);
    if (page.next === null) return all;
    after = page.next;
  }
}

const pairs = (list: readonly { readonly key: string; readonly value: unknown }[]) =>
  list.map(({ key, value }) => [key, value]);

async function assertFound(
  world: World,
  id: string,
  expected: readonly unknown[],
  what: string,
): Promise<void> {
  for (const adapter of [world.adapter, world.other])
    assertSame(pairs(await found(adapter, id)), expected, what);
}

async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    return `no error but ${show(await work())}`;
  } catch (error) {
    return isWaymarkError(error) ? error.code : String(error);
  }
}

const noKeys: readonly unknown[] = [
  "",
  "\0",
  "a\0b",
  "\ud800",
  "a\udc00",
  "x".repeat(257),
  5,
  null,
  undefined,
  {},
];

const facetCases: readonly Case[] = [
  {
    promise: "P4",
    name: "records: a put and a delete are done from the revision that was seen, once",
    todo: "`put` and `delete` compare the revision in the write itself; null stands for no record.",
    async run(world) {
      const [records, other] = [recordsOf(world.adapter), recordsOf(world.other)];
      const scope = userScope(world.newId());
      const first = makeRecord(scope, "k", { value: makeJson(world.random) ?? 1 });
      assert.equal(await records.get(scope, "k"), null, "a record that is not there");
      assert.equal(await records.put(first, "never"), false, "a put that saw a record where there is none");
      assert.equal(await records.put(first, null), true, "a put of a new record");
      assertSame(await other.get(scope, "k"), first, "the record");
      assert.equal(
        await records.put(makeRecord(scope, "k"), null),
        false,
        "a put over a record that was not seen",
      );
      const second = makeRecord(scope, "k", { value: [null, { deep: {} }] });
      assert.equal(await other.put(second, first.revision), true, "a put from the revision that is there");
      assert.equal(
        await records.put(makeRecord(scope, "k"), first.revision),
        false,
        "a put from a stale revision",
      );
      assert.equal(await records.delete(scope, "k", first.revision), false, "a delete from a stale revision");
      assertSame(await records.get(scope, "k"), second, "the record");
      assert.equal(
        await records.delete(scope, "k", second.revision),
        true,
        "a delete from the revision that is there",
      );
      assert.equal(await records.delete(scope, "k", second.revision), false, "a delete, repeated");
      assert.equal(await other.get(scope, "k"), null, "a record that was deleted");
      for (const seen of ["nothing", "a record"]) {
        const key = `race on ${seen}`;
        const before = seen === "nothing" ? null : makeRecord(scope, key);
        if (before !== null) await records.put(before, null);
        const rivals = numbers(1, 8).map((n) => makeRecord(scope, key, { value: n }));
        const won = await Promise.all(
          rivals.map((record, n) => (n % 2 === 0 ? records : other).put(record, before?.revision ?? null)),
        );
        assert.equal(won.filter(Boolean).length, 1, "how many of 8 puts at once were done");
        assertSame(await records.get(scope, key), rivals[won.indexOf(true)], "the record of the winner");
      }
    },
  },
  {
    promise: "P3",
    name: "records: keys and scopes are in the order of their bytes, page by page",
    todo: "Order keys and scopes by their UTF-8 bytes, and begin a page after `after`, exclusive.",
    async run(world) {
      const records = recordsOf(world.adapter);
      const scope = userScope(world.newId());
      const keys = [...new Set(hostileTexts)].filter((key) => key !== "");
      for (const key of world.random.shuffle(keys)) await records.put(makeRecord(scope, key), null);
      // U+FFFF stands before what UTF-16 writes with surrogates, which are smaller.
      const others = ["x", "\uffff", "😀"].map((end) => scope + end);
      for (const one of world.random.shuffle(others)) await records.put(makeRecord(one, "other"), null);
      for (const limit of [1, 7, 100, 1000]) {
        assertSame(
          await keysOf(recordsOf(world.other), scope, limit),
          keys.toSorted(compareBytes),
          `keys in pages of ${limit}`,
        );
      }
      assertSame(await records.scopes({ after: scope, limit: 1 }), others.slice(0, 1), "the scope after one");
      assertSame(await records.scopes({ after: scope, limit: 3 }), others, "three scopes after one");
      assert.equal(await records.deleteScope(scope), keys.length, "how many records of a scope were deleted");
      assert.equal(await records.deleteScope(scope), 0, "how many, repeated");
      for (const one of others)
        assertSame(await keysOf(records, one, 9), ["other"], "records of another scope");
    },
  },
  {
    promise: "P5",
    name: "records: an unconditional write wins by its stamp, whatever the order of arrival",
    todo: "`apply` leaves a record with a higher or equal stamp as it is, and what is left of one that a null value removed.",
    async run(world) {
      const records = recordsOf(world.adapter);
      const other = recordsOf(world.other);
      const scope = sessionScope(world.newId(), newId());
      const writes = ["1", "2", "3", "10", "a"].map((stamp): RecordWrite => ({
        ...{ scope, key: "k", stamp, revision: newId() },
        value: stamp === "3" ? null : stamp,
      }));
      const sorted = writes.toSorted((a, b) => compareBytes(a.stamp, b.stamp));
      for (let round = 0; round < 20; round++) {
        const arrived: RecordWrite[] = [];
        for (const write of [...world.random.shuffle(writes), ...world.random.shuffle(writes)]) {
          await world.random.pick([records, other]).apply([write]);
          arrived.push(write);
          const newest = sorted.findLast((one) => arrived.includes(one));
          assertSame(
            (await records.get(scope, "k"))?.value ?? null,
            newest?.value ?? null,
            `after the stamps ${arrived.map(({ stamp }) => stamp).join(", ")}`,
          );
        }
        await records.deleteScope(scope);
      }
      const together = ["x", "y"].map((key) => makeRecord(scope, key));
      await records.apply(together);
      assertSame(await records.list(scope, { limit: 9 }), together, "two records at once");
      await records.apply([
        makeRecord(scope, "x", { stamp: "0" }),
        makeRecord(scope, "y", { stamp: "2", value: 2 }),
      ]);
      assertSame(
        pairs(await records.list(scope, { limit: 9 })),
        [
          ["x", { key: "x" }],
          ["y", 2],
        ],
        "one older and one newer at once",
      );
    },
  },
  {
    promise: "P5",
    name: "records: what a null value removed is no record, and gone with its scope",
    todo: "What keeps the stamp is not shown by `get`, `list`, `scopes` and the count of `deleteScope`, which removes it.",
    async run(world) {
      const records = recordsOf(world.adapter);
      const scope = sessionScope(world.newId(), newId());
      const write = (key: string, stamp: string, value: StoredRecord["value"]) =>
        records.apply([{ scope, key, value, stamp, revision: newId() }]);
      await write("never", "5", null);
      await write("a", "1", 1);
      await write("a", "5", null);
      await write("a", "4", "late");
      await write("never", "4", "late");
      for (const key of ["a", "never"])
        assert.equal(await records.get(scope, key), null, "a record that was removed");
      assertSame(await records.list(scope, { limit: 9 }), [], "records that were removed");
      const after = scope.slice(0, -1);
      const scopes = await records.scopes({ after, limit: 1000 });
      assert.ok(!scopes.includes(scope), "a scope without records is among those that hold some");
      await write("b", "6", 1);
      assertSame(
        await keysOf(recordsOf(world.other), scope, 1),
        ["b"],
        "keys beside those that were removed",
      );
      await write("a", "6", "new");
      assert.equal((await records.get(scope, "a"))?.value, "new", "a record that was written again");
      assert.equal(await records.deleteScope(scope), 2, "how many records a scope had");
      await write("never", "1", "another");
      assert.equal(
        (await records.get(scope, "never"))?.value,
        "another",
        "a record after its scope was deleted",
      );
    },
  },
  {
    promise: "P7",
    name: "records: scopes that look alike are apart, and a delete takes the whole of one",
    todo: "Compare scope and key byte by byte, as two values, and remove all of a scope however many there are.",
    async run(world) {
      const records = recordsOf(world.adapter);
      const id = world.newId();
      const scopes = ["", "x", "/", "%", "_", "*", " ", "'", ":k", "é", "e\u0301", "\u200b"].map((end) =>
        userScope(`a${id}${end}`),
      );
      scopes.push(
        userScope(`A${id}`),
        sessionScope(id, "life"),
        sessionScope(id, "lif"),
        sessionScope(`e/${id}`, "lif"),
      );
      for (const scope of scopes) await records.put(makeRecord(scope, "k", { value: scope }), null);
      for (const scope of scopes)
        assert.equal((await recordsOf(world.other).get(scope, "k"))?.value, scope, `the record of ${scope}`);
      const [scope = ""] = scopes;
      await records.apply(numbers(1, 999).map((n) => makeRecord(scope, `n${n}`)));
      assert.equal(await records.deleteScope(scope), 1000, "how many records of a scope were deleted");
      assertSame(await records.list(scope, { limit: 1000 }), [], "records of a scope that was deleted");
      for (const other of scopes.slice(1))
        assert.equal((await records.get(other, "k"))?.value, other, `the record of ${other}, after a delete`);
    },
  },
  {
    promise: "P6",
    name: "records: values come back equal, and what is no key is refused on every path",
    todo: "Store values as JSON, whatever is in them, and check keys and scopes with `checkRecordKey` before the driver sees them.",
    async run(world) {
      const { random } = world;
      const records = recordsOf(world.adapter);
      const scope = userScope(world.newId());
      const values = [
        ...[0, -1.5, 1e300, true, false, "", [], {}, [null], { "": null }, "\u0001", "x".repeat(100_000)],
        ...Array.from({ length: 60 * world.scale }, () => makeJson(random)),
        ...hostileTexts,
      ].filter((value) => value !== null);
      for (const [n, value] of values.entries()) {
        const record = makeRecord(scope, `k${n}`, { value });
        if (n % 2 === 0) await records.put(record, null);
        else await records.apply([record]);
        assertSame(
          await recordsOf(world.other).get(scope, record.key),
          record,
          `a record with ${show(value)}`,
        );
      }
      for (const bad of noKeys) {
        const text = bad as string;
        for (const [scopeOf, key] of [[scope, text] as const, [text, "k"] as const]) {
          const calls = {
            get: () => records.get(scopeOf, key),
            put: () => records.put(makeRecord(scopeOf, key), null),
            apply: () => records.apply([makeRecord(scopeOf, key)]),
            delete: () => records.delete(scopeOf, key, "r"),
            ...(scopeOf === text
              ? {
                  list: () => records.list(text, { limit: 1 }),
                  deleteScope: () => records.deleteScope(text),
                }
              : {}),
          };
          for (const [name, call] of Object.entries(calls))
            assert.equal(await codeOf(call), "INVALID_ID", `${name} of ${show([scopeOf, key])}`);
        }
      }
    },
  },
];

const turnCases: readonly Case[] = [
  {
    promise: "P1",
    name: "the records of a turn are there with it, for another process too",
    todo: "Write `records` of what `applyCommit` gives in the same step as the row, also those of a session's first turn.",
    async run(world) {
      const client = world.client();
      const id = world.newId();
      const value = { text: "a value", list: [1, null, { deep: true }] };
      const made = await client.create(id, {
        messages: ["hello"],
        records: [
          { key: "b", value },
          { key: "a", value: 1 },
          { key: "never", value: null },
        ],
      });
      await assertFound(
        world,
        id,
        [
          ["a", 1],
          ["b", value],
        ],
        "the records of a first turn",
      );
      const second = await client.stored(
        turnOn(id, made.version, {
          state: { n: 1 },
          messages: ["again"],
          records: [
            { key: "a", value: null },
            { key: "c", value: "new" },
          ],
        }),
      );
      await assertFound(
        world,
        id,
        [
          ["b", value],
          ["c", "new"],
        ],
        "the records of two turns",
      );
      const appended = await client.stored({ ...appendTo(id), records: [{ key: "b", value: 2 }] });
      assert.equal(appended.version, second.version, "the version after a turn of records alone");
      assert.deepEqual(
        [appended.operations, appended.last],
        [3, 2],
        "operations and messages after a turn of records alone",
      );
      await assertFound(
        world,
        id,
        [
          ["b", 2],
          ["c", "new"],
        ],
        "the records of three turns",
      );
      await client.store.drain(id, patience());
      const stored = await recordsOf(world.other).list(sessionScope(id, made.life), { limit: 9 });
      assertSame(
        stored.map(({ key, stamp }) => [key, stamp]),
        [
          ["b", "0000000000000003"],
          ["c", "0000000000000002"],
        ],
        "stamps are the number of the operation, in 16 digits",
      );
    },
  },
  {
    promise: "P1",
    name: "a turn that is refused stores no record",
    todo: "Records are guarded by all that guards the turn: write them only where the row was written.",
    async run(world) {
      const client = world.client();
      const id = world.newId();
      const records: NewRecord[] = [{ key: "k", value: "refused" }];
      const made = await client.create(id, {
        set: { userId: "ann" },
        operation: { id: "first", digest: "a" },
        records: [{ key: "k", value: "first" }],
      });
      const { version } = await client.stored(turnOn(id, made.version, { state: { n: 1 } }));
      const refused: readonly (readonly [string, Commit])[] = [
        ["conflict", turnOn(id, made.version, { state: { n: 2 }, records })],
        ["exists", creation(id, { records })],
        ["mismatch", turnOn(id, version, { operation: { id: "first", digest: "b" }, records })],
        ["absent", { ...appendTo(id), owner: "bob", records }],
        ["absent", turnOn(id, `${newId()}.1`, { state: {}, records })],
        ["conflict", { ...appendTo(id), expect: { kind: "append", operations: 1 }, records }],
      ];
      for (const [status, commit] of refused) {
        assert.equal((await client.commit(commit)).status, status, "a turn that has to be refused");
        await assertFound(
          world,
          id,
          [["k", "first"]],
          `the records after a turn that was refused (${status})`,
        );
      }
      const exact = { ...appendTo(id), expect: { kind: "append", operations: 2 } as const };
      await client.stored({ ...exact, records: [{ key: "k", value: "second" }] });
      await client.stored({ ...appendTo(id), set: { status: "completed" } });
      assert.equal((await client.commit({ ...appendTo(id), records })).status, "closed");
      await assertFound(world, id, [["k", "second"]], "the records after a turn on a closed session");
      const absent = world.newId();
      assert.equal((await client.commit({ ...appendTo(absent), records })).status, "absent");
    },
  },
  {
    promise: "P1",
    name: "a turn with records that stops at any write is there with them or not at all",
    todo: "One write decides: the statement of `turns.commit`, or the `update` that carries messages and records as pending.",
    async run(world) {
      for (const fate of ["stopped before", "stopped after"] as const) {
        for (let write = 1; ; write++) {
          const id = world.newId();
          const { version } = await world.client().create(id, {
            state: { n: 0 },
            records: [{ key: "gone", value: 0 }],
          });
          await world.client().store.drain(id, patience());
          const turn = turnOn(id, version, {
            state: { n: 1 },
            messages: ["1"],
            records: [
              { key: "gone", value: null },
              { key: "n", value: 1 },
            ],
          });
          const isStopped = await stoppedAt(world.adapter, write, fate, (client) => client.commit(turn));
          const row = await rowOf(world.other, id);
          const expected = row.last === 1 ? [["n", 1]] : [["gone", 0]];
          await assertFound(world, id, expected, `records of a turn that ${fate} write ${write}`);
          const fresh = world.client(world.other);
          await fresh.commit({ ...turn, retry: { since: 1 } });
          await fresh.stored(appendTo(id, "2"));
          await fresh.store.drain(id, patience());
          await assertFound(world, id, [["n", 1]], "records in the end");
          if (!isStopped) break;
        }
      }
    },
  },
  {
    promise: "P1",
    name: "a reader among writers sees a turn and its records together",
    todo: "Row and records become visible at once; a record that is read after the row is not older than it.",
    async run(world) {
      const writer = world.client();
      const id = world.newId();
      let { version } = await writer.create(id, { state: { n: 0 }, records: [{ key: "n", value: 0 }] });
      const reader = new PersistenceManager({ adapter: world.other });
      const numberIn = async () => Number((await reader.records({ sessionId: id }).get("n"))?.value);
      const rowNumber = async () => Number(Reflect.get(Object((await rowOf(world.other, id)).state), "n"));
      const read = async () => {
        const [before, record, after] = [await rowNumber(), await numberIn(), await rowNumber()];
        assert.ok(record >= before, `the row has turn ${before} and the record, read after it, ${record}`);
        assert.ok(after >= record, `the record has turn ${record} and the row, read after it, ${after}`);
      };
      await readAmong(read, 25 * world.scale, async (n) => {
        const turn = turnOn(id, version, { state: { n }, records: [{ key: "n", value: n }] });
        ({ version } = await writer.stored(turn));
      });
    },
  },
  {
    promise: "P5",
    name: "a turn that is sent again, and one that is delivered late, bring no older record back",
    todo: "A replay writes nothing; a turn keeps the stamp of what it removes, as `apply` does.",
    async run(world) {
      const [client, other] = [world.client(), world.client(world.other)];
      const id = world.newId();
      const made = await client.create(id, {
        records: [
          { key: "a", value: 1 },
          { key: "b", value: 1 },
        ],
      });
      const first = turnOn(id, made.version, { state: { n: 1 }, records: [{ key: "a", value: 2 }] });
      const { version } = await client.stored(first);
      await client.store.drain(id, patience());
      await client.store.flush();
      const scope = sessionScope(id, made.life);
      const late = await recordsOf(world.adapter).list(scope, { limit: 9 });
      assert.equal(late.length, 2, "records that were delivered");
      await other.stored(
        turnOn(id, version, {
          records: [
            { key: "a", value: 3 },
            { key: "b", value: null },
          ],
        }),
      );
      assert.equal((await client.commit(again(first))).status, "replayed", "a turn that was sent again");
      await assertFound(world, id, [["a", 3]], "the records after a replay");
      await other.store.drain(id, patience());
      await other.store.flush();
      await recordsOf(world.adapter).apply(late);
      await assertFound(world, id, [["a", 3]], "the records after an old delivery arrived late");
    },
  },
  {
    promise: "P8",
    name: "records end with their session, and no later life has any of them",
    todo: "`deleteScope` removes all of a scope. The scope names the life, so nothing of another life is seen.",
    async run(world) {
      const [client, other] = [world.client(), world.client(world.other)];
      const id = world.newId();
      const lives: string[] = [];
      for (const end of ["delete", "prune", "delete"]) {
        const records = numbers(1, 120).map((n) => ({ key: `k${n}`, value: n }));
        const made = await client.create(id, { messages: [end], records });
        lives.push(made.life);
        await client.stored({ ...appendTo(id), records: [{ key: "k1", value: null }] });
        assert.equal((await found(world.other, id, 50)).length, 119, "records of a new life");
        if (end === "prune") {
          await client.store.drain(id, patience());
          assert.equal(await other.store.prune(await rowOf(world.other, id)), true, "a prune");
        } else assert.equal(await other.store.delete(id, undefined, patience()), true, "a delete");
        await client.store.flush();
        await other.store.flush();
        await assertFound(world, id, [], "the records of a session that was deleted");
        for (const life of lives)
          assertSame(
            await recordsOf(world.adapter).list(sessionScope(id, life), { limit: 9 }),
            [],
            "records of a life that is over",
          );
      }
      await client.create(id);
      await assertFound(world, id, [], "the records of a session that was made again");
    },
  },
  {
    promise: "P8",
    name: "who is erased loses their records, and nobody else does",
    todo: "`deleteScope` of the user's scope, compared byte by byte.",
    async run(world) {
      const manager = new PersistenceManager({ adapter: world.adapter });
      const [ann, bob] = [world.newId(), world.newId()];
      for (const userId of [ann, bob, `${ann}x`])
        for (const key of ["a", "b"]) await manager.records({ userId }).put(key, userId);
      const { id, life } = makeRow(world.newId());
      await world.client().stored({
        ...creation(id, { set: { userId: ann }, records: [{ key: "k", value: 1 }] }),
        expect: { kind: "create", life, createdAt: 1 },
      });
      const { records } = await manager.eraseUser(ann);
      assert.equal(records, 2, "records of the user, in the report");
      assertSame(await manager.records({ userId: ann }).list(), [], "records of a user who was erased");
      assert.equal((await found(world.other, id)).length, 0, "records of a session of the user");
      for (const userId of [bob, `${ann}x`])
        assert.equal((await manager.records({ userId }).list()).length, 2, "records of another user");
    },
  },
  {
    promise: "P3",
    name: "a session's records are listed in order, in pages of any size",
    todo: "`list` answers keys greater than `after` in the order of their bytes.",
    async run(world) {
      const client = world.client();
      const id = world.newId();
      const keys = [...new Set(hostileTexts)].filter((key) => key !== "");
      const toRecords = (list: readonly string[]) => list.map((key) => ({ key, value: key }));
      const [some, others] = [keys.filter((_, n) => n % 2 === 0), keys.filter((_, n) => n % 2 === 1)];
      await client.create(id, { records: toRecords(world.random.shuffle(some)) });
      await client.stored({ ...appendTo(id), records: toRecords(world.random.shuffle(others)) });
      for (const limit of [1, 3, 10, 100]) {
        const list = await found(world.other, id, limit);
        assertSame(
          pairs(list),
          keys.toSorted(compareBytes).map((key) => [key, key]),
          `in pages of ${limit}`,
        );
      }
    },
  },
];

const refusals: readonly Case[] = [
  {
    promise: "P9",
    name: "an adapter that keeps no records is named, and nothing is written",
    todo: "This is core's to do; an adapter that keeps records has them as `records`, and declares it in `expects`.",
    async run(world) {
      const client = world.client();
      const id = world.newId();
      await client.create(id, { messages: ["a"] });
      await client.store.flush();
      const before = await rowOf(world.other, id);
      const manager = new PersistenceManager({ adapter: world.adapter });
      const calls = {
        "a turn": () => client.commit({ ...appendTo(id), records: [{ key: "k", value: 1 }] }),
        put: () => manager.records({ sessionId: id }).put("k", 1),
        "put of a user": () => manager.records({ userId: "ann" }).put("k", 1),
        get: () => manager.records("application").get("k"),
      };
      for (const [name, call] of Object.entries(calls))
        assert.equal(await codeOf(call), "CAPABILITY_MISSING", `${name} where there are no records`);
      assertSame(await rowOf(world.other, id), before, "the row");
    },
  },
];

export const records: Level = {
  name: "records",
  runs: "each path",
  cases: ({ expects }, path) => {
    if (!expects.records) return refusals;
    // The facet is the same on each path.
    const isFirst = path === "with whole turns" || !expects.turns;
    return isFirst ? [...facetCases, ...turnCases] : turnCases;
  },
};
