import assert from "node:assert/strict";
import {
  type Expiry,
  type Records,
  type Search,
  type StoredRecord,
  compareBytes,
  systemEnvironment,
} from "@waymark/core/adapter";
import { hostileTexts, makeEntry, makeJson, makeRow, numbers } from "../generate.js";
import type { Case, Level } from "../level.js";
import { assertSame } from "../same.js";
import type { World } from "../world.js";

const { newId } = systemEnvironment;

const missing = (facet: string): never => assert.fail(`the adapter has no \`${facet}\``);
const recordsOf = ({ records }: { readonly records?: Records | undefined }): Records =>
  records ?? missing("records");
const searchOf = ({ adapter }: World): Search => adapter.search ?? missing("search");
const expiryOf = ({ adapter }: World): Expiry => adapter.expiry ?? missing("expiry");

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

const recordCases: readonly Case[] = [
  {
    promise: "P4",
    name: "records: a put and a delete are done from the revision that was seen, once",
    todo: "`put` and `delete` compare the revision in the write itself; null stands for no record.",
    async run(world) {
      const [records, other] = [recordsOf(world.adapter), recordsOf(world.other)];
      const scope = world.newId();
      const first = makeRecord(scope, "k", { value: makeJson(world.random) });
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
      const rivals = numbers(1, 8).map((n) => makeRecord(scope, "race", { value: n }));
      const won = await Promise.all(
        rivals.map((record, n) => (n % 2 === 0 ? records : other).put(record, null)),
      );
      assert.equal(won.filter(Boolean).length, 1, "how many of 8 puts at once were done");
      assertSame(await records.get(scope, "race"), rivals[won.indexOf(true)], "the record of the winner");
    },
  },
  {
    promise: "P3",
    name: "records: keys and scopes are in the order of their bytes, page by page",
    todo: "Order keys by their UTF-8 bytes, and begin a page after `after`, exclusive.",
    async run(world) {
      const records = recordsOf(world.adapter);
      const scope = world.newId();
      const keys = [...new Set(hostileTexts)].filter((key) => key !== "");
      for (const key of world.random.shuffle(keys)) await records.put(makeRecord(scope, key), null);
      await records.put(makeRecord(`${scope}x`, "other"), null);
      for (const limit of [1, 7, 100]) {
        assertSame(
          await keysOf(recordsOf(world.other), scope, limit),
          keys.toSorted(compareBytes),
          `keys in pages of ${limit}`,
        );
      }
      const scopes = await records.scopes({ after: scope, limit: 1 });
      assertSame(scopes, [`${scope}x`], "the scope after one");
      assert.equal(await records.deleteScope(scope), keys.length, "how many records of a scope were deleted");
      assert.equal(await records.deleteScope(scope), 0, "how many, repeated");
      assertSame(await keysOf(records, `${scope}x`, 9), ["other"], "the records of another scope");
    },
  },
  {
    promise: "P5",
    name: "records: an unconditional write wins by its stamp, whatever the order of arrival",
    todo: "`apply` leaves a record with a higher or equal stamp as it is; a null value deletes.",
    async run(world) {
      const records = recordsOf(world.adapter);
      const scope = world.newId();
      const write = (stamp: string, value: StoredRecord["value"]) =>
        records.apply([{ scope, key: "k", value, stamp, revision: newId() }]);
      await write("2", "two");
      await write("1", "one");
      await write("2", "two again");
      assert.equal((await records.get(scope, "k"))?.value, "two", "the value of the highest stamp");
      await write("1", null);
      assert.equal(
        (await records.get(scope, "k"))?.value,
        "two",
        "the value after a delete with a lower stamp",
      );
      await write("a", "letters come after digits");
      assert.equal((await records.get(scope, "k"))?.stamp, "a", "stamps are compared as bytes");
      await write("b", null);
      assert.equal(await records.get(scope, "k"), null, "a record that was deleted by a null value");
    },
  },
];

async function say(
  world: World,
  userId: string,
  texts: readonly string[],
): Promise<{ id: string; life: string; revision: string }> {
  const row = makeRow(world.newId(), { userId, last: texts.length });
  await world.adapter.sessionRepository.create(row);
  await world.adapter.messageRepository.insert(
    texts.map((content, index) =>
      makeEntry(row.id, row.life, index + 1, { content, userId, createdAt: 1000 + index }),
    ),
  );
  return row;
}

const searchCases: readonly Case[] = [
  {
    promise: "P7",
    name: "search: finds what was said, in the sessions that were asked for, and nobody else's",
    todo: "Bind `userId` and `sessionId` as conditions of the query, and leave out what was deleted.",
    async run(world) {
      const word = `w${newId().replaceAll(/[^a-z0-9]/gi, "x")}`.toLowerCase();
      const [ann, bob] = [world.newId(), world.newId()];
      const one = await say(world, ann, [`the ${word} is red`, "nothing", `a ${word} again`]);
      const two = await say(world, bob, [`${word} of bob`]);
      const hits = async (query: object) => {
        const found: string[] = [];
        let cursor: string | undefined;
        do {
          const page = await searchOf(world).query({
            text: word,
            limit: 2,
            ...query,
            ...(cursor === undefined ? {} : { cursor }),
          });
          found.push(...page.items.map(({ sessionId, sequence }) => `${sessionId} ${sequence}`));
          cursor = page.next ?? undefined;
        } while (cursor !== undefined);
        return found.toSorted();
      };
      const ofAnn = [`${one.id} 1`, `${one.id} 3`];
      assertSame(await hits({}), [...ofAnn, `${two.id} 1`].toSorted(), "hits in the whole store");
      assertSame(await hits({ userId: ann }), ofAnn, "hits of one user");
      assertSame(await hits({ sessionId: two.id }), [`${two.id} 1`], "hits in one session");
      assertSame(await hits({ sessionId: two.id, userId: ann }), [], "hits in a session of somebody else");
      assertSame(await hits({ userId: ann, from: 1001 }), [`${one.id} 3`], "hits from a time");
      assertSame(await hits({ text: `${word}none` }), [], "hits of a word that nobody said");
      await world.adapter.messageRepository.deleteBySessionId(one.id, { log: one.life });
      await world.adapter.sessionRepository.delete(one.id, one.revision);
      assertSame(await hits({}), [`${two.id} 1`], "hits after a session was deleted");
    },
  },
];

const expiryCases: readonly Case[] = [
  {
    promise: "P8",
    name: "expiry: removes whole sessions whose time is over, no more than it may, and no other",
    todo: "`sweep` takes `limit` sessions with `expiresAt` up to `now`, with their messages and records.",
    async run(world) {
      const opened = await world.openStore();
      const adapter = await opened.connect();
      const expiry = adapter.expiry ?? expiryOf(world);
      const rows = [
        ...numbers(1, 7).map((n) => makeRow(`over ${n}`, { expiresAt: n })),
        makeRow("later", { expiresAt: 1000 }),
        makeRow("never", { expiresAt: null }),
      ];
      for (const row of rows) {
        await adapter.sessionRepository.create(row);
        await adapter.messageRepository.insert([makeEntry(row.id, row.life, 1)]);
      }
      const left = async () => (await adapter.sessionRepository.find({}, { limit: 100 })).items.length;
      assert.equal(await expiry.sweep({ now: 500, limit: 3 }), 3, "how many of 7 a sweep of up to 3 removed");
      assert.equal(await left(), 6, "rows after a sweep of up to 3");
      assert.equal(await expiry.sweep({ now: 500, limit: 100 }), 4, "how many the next sweep removed");
      assert.equal(await expiry.sweep({ now: 500, limit: 100 }), 0, "how many a sweep of nothing removed");
      assert.equal(await left(), 2, "rows whose time is not over");
      for (const row of rows) {
        const range = { log: row.life, from: 1, to: 9 };
        const isOver = row.expiresAt !== null && row.expiresAt <= 500;
        assert.equal(
          (await adapter.messageRepository.findBySessionId(row.id, range)).length,
          isOver ? 0 : 1,
          `messages of ${row.id}`,
        );
      }
    },
  },
];

export const facets: Level = {
  name: "facets",
  runs: "once",
  cases: ({ expects }) => [
    ...(expects.records ? recordCases : []),
    ...(expects.search ? searchCases : []),
    ...(expects.expiry ? expiryCases : []),
  ],
};
