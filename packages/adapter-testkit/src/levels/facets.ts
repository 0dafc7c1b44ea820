import assert from "node:assert/strict";
import { type Expiry, type Search, sessionScope, systemEnvironment } from "@waymark/core/adapter";
import { makeEntry, makeRow, numbers } from "../generate.js";
import type { Case, Level } from "../level.js";
import { assertSame } from "../same.js";
import type { World } from "../world.js";

const { newId } = systemEnvironment;

const missing = (facet: string): never => assert.fail(`the adapter has no \`${facet}\``);
const searchOf = ({ adapter }: World): Search => adapter.search ?? missing("search");
const expiryOf = ({ adapter }: World): Expiry => adapter.expiry ?? missing("expiry");

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
        const scope = sessionScope(row.id, row.life);
        await adapter.records?.apply([{ scope, key: "k", value: 1, stamp: "1", revision: newId() }]);
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
        const record = await adapter.records?.get(sessionScope(row.id, row.life), "k");
        if (adapter.records !== undefined) assert.equal(record !== null, !isOver, `a record of ${row.id}`);
      }
    },
  },
];

export const facets: Level = {
  name: "facets",
  runs: "once",
  cases: ({ expects }) => [...(expects.search ? searchCases : []), ...(expects.expiry ? expiryCases : [])],
};
