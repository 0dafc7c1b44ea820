import assert from "node:assert/strict";
import { type Search, systemEnvironment } from "@waymark/core/adapter";
import { makeEntry, makeRow } from "../generate.js";
import type { Case, Level } from "../level.js";
import { assertSame } from "../same.js";
import type { World } from "../world.js";

const { newId } = systemEnvironment;

const searchOf = ({ adapter }: World): Search => adapter.search ?? assert.fail("the adapter has no `search`");

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

const cases: readonly Case[] = [
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

export const search: Level = {
  name: "search",
  runs: "once",
  cases: ({ expects }) => (expects.search ? cases : []),
};
