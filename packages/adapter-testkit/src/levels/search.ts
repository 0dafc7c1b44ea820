import assert from "node:assert/strict";
import { PersistenceManager, createSession } from "@waymark/core";
import {
  type SearchHit,
  type SearchQuery,
  type SessionRow,
  compareHits,
  historyLog,
  isWaymarkError,
  systemEnvironment,
} from "@waymark/core/adapter";
import { hostileIds, hostileTexts, makeEntry, makeRow, nextRow, numbers } from "../generate.js";
import type { Case, Level } from "../level.js";
import { assertSame, show } from "../same.js";
import type { World } from "../world.js";

/** A word that nobody has said yet. */
const newWord = () => `w${systemEnvironment.newId().replaceAll(/[^a-z0-9]/gi, "x")}`.toLowerCase();

type Part = Omit<SearchQuery, "limit" | "cursor">;

/** All pages of a search; every rule that holds for each page is looked at. */
async function hits(world: World, query: Part, limit = 100): Promise<SearchHit[]> {
  const { search } = world.adapter;
  const found: SearchHit[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < 1000; pages++) {
    assert.ok(search !== undefined, "the adapter has no `search`");
    const { items, next } = await search.query({
      ...query,
      limit,
      ...(cursor === undefined ? {} : { cursor }),
    });
    assert.ok(items.length <= limit, `a page of ${limit} has ${items.length} hits`);
    found.push(...items);
    if (next === null) return found;
    assert.equal(items.length, limit, "a page that has a next one has to be full");
    assert.notEqual(next, cursor, "a page names itself as the next one");
    cursor = next;
  }
  return assert.fail("the pages have no end");
}

const placesOf = (found: readonly SearchHit[]) =>
  found.map(({ sessionId, sequence }) => `${sessionId} ${sequence}`);

async function places(world: World, query: Part, limit?: number): Promise<string[]> {
  return placesOf(await hits(world, query, limit));
}

/** A session in which these texts were said, a millisecond apart. */
async function say(
  world: World,
  texts: readonly string[],
  { at = 1000, ...fields }: Partial<SessionRow> & { readonly at?: number } = {},
): Promise<SessionRow> {
  const row = makeRow(fields.id ?? world.newId(), { last: texts.length, ...fields });
  await world.adapter.sessionRepository.create(row);
  await world.adapter.messageRepository.insert(
    texts.map((content, index) =>
      makeEntry(row.id, row.life, index + 1, { content, userId: row.userId, createdAt: at + index }),
    ),
  );
  return row;
}

/** Texts that somebody may put into a field for searches. */
const searchTexts: readonly string[] = [
  ...[
    '"',
    '""',
    '"""',
    '"a',
    'a"',
    "'",
    "\\'",
    "- -",
    "-",
    "--",
    '-"',
    '-""',
    "!",
    "!!",
    "&",
    "|",
    "&&",
    "a &",
    "| b",
  ],
  ...[
    "(",
    ")",
    "((",
    "a:*",
    "*",
    "**",
    ":*",
    "<->",
    "a <-> ",
    "<2>",
    "AND",
    "OR",
    "NOT",
    "NEAR",
    "NEAR(a b, 1)",
  ],
  ...[
    "content:a",
    "{a b}: c",
    "^a",
    "a + b",
    "a OR",
    "OR OR",
    "NOT NOT",
    "-not",
    "or",
    "~",
    "?",
    "[a TO b]",
    "/.*/",
  ],
  ...[
    "' OR 1=1 --",
    "'); DELETE FROM agent_messages; --",
    "$$",
    "$1",
    "?1",
    "%",
    "_",
    "\\",
    "E'\\x00'",
    "\n",
    "\t",
  ],
  ...[
    "\0",
    "a\0b",
    "\ud800",
    "\udfff",
    "a\ud800b",
    "\ufffd",
    "\ufeff",
    "\u202e",
    "é",
    "漢字",
    "😀",
    "e\u0301",
  ],
  ...[
    "-nothing",
    '-"not this"',
    "x".repeat(5000),
    "ab ".repeat(3400),
    '"'.repeat(10_240),
    "(".repeat(10_240),
  ],
  ...["😀".repeat(5000), "- ".repeat(5000), "\0".repeat(10_240), `"${"a b ".repeat(2500)}"`],
];

const cases: readonly Case[] = [
  {
    promise: "P7",
    name: "search: finds what was said, in the sessions that were asked for, and nobody else's",
    todo: "Bind `userId` and `sessionId` as conditions of the query; `from` and `to` are both inclusive.",
    async run(world) {
      const word = newWord();
      const [ann, bob] = [world.newId(), world.newId()];
      const one = await say(world, [`the ${word} is red`, "nothing", `a ${word} again`], { userId: ann });
      const two = await say(world, [`${word} of bob`], { userId: bob, at: 900 });
      await say(world, [`${word} of nobody`], { userId: null, at: 800 });
      const found = (query: Partial<SearchQuery>) => places(world, { text: word, ...query });
      const ofAnn = [`${one.id} 3`, `${one.id} 1`];
      assertSame((await found({})).slice(0, 3), [...ofAnn, `${two.id} 1`], "hits in the whole store");
      assertSame((await found({})).length, 4, "hits in the whole store, of which one belongs to nobody");
      assertSame(await found({ userId: ann }), ofAnn, "hits of one user");
      assertSame(await found({ sessionId: two.id }), [`${two.id} 1`], "hits in one session");
      assertSame(await found({ sessionId: two.id, userId: ann }), [], "hits in a session of somebody else");
      assertSame(await found({ userId: ann, from: 1001 }), [`${one.id} 3`], "hits from a time");
      assertSame(await found({ userId: ann, from: 1002 }), [`${one.id} 3`], "hits from that very time");
      assertSame(await found({ userId: ann, to: 1001 }), [`${one.id} 1`], "hits up to a time");
      assertSame(await found({ userId: ann, to: 1000, from: 1000 }), [`${one.id} 1`], "hits of one time");
      assertSame(await found({ text: `${word}none` }), [], "hits of a word that nobody said");
      const [hit] = await hits(world, { text: word, sessionId: two.id });
      const { snippet, ...place } = hit ?? assert.fail("nothing was found");
      const expected = { sessionId: two.id, log: two.life, sequence: 1, role: "user", createdAt: 900 };
      assertSame(place, expected, "what is known of a hit besides its snippet");
      assert.ok(snippet.includes(word), `the snippet ${show(snippet)} lacks the word`);
      await world.adapter.messageRepository.deleteBySessionId(one.id, { log: one.life });
      await world.adapter.sessionRepository.delete(one.id, one.revision);
      assertSame(await found({ userId: ann }), [], "hits after a session was deleted");
    },
  },
  {
    promise: "P7",
    name: "search: all words, in any order and case; those in quotes together; none behind a minus",
    todo: "Read the text as words, groups in double quotes and what is excluded; look up each as text.",
    async run(world) {
      const [a, b, c] = [newWord(), newWord(), newWord()];
      const texts = [
        `${a} ${b}`,
        `${b}, then: ${a.toUpperCase()}!`,
        `${a} ${c}`,
        `x${a}`,
        `${a}\n${b}\t${c}`,
      ];
      const { id: sessionId } = await say(world, texts);
      const expected: readonly (readonly [string, readonly number[]])[] = [
        [a, [5, 3, 2, 1]],
        [a.toUpperCase(), [5, 3, 2, 1]],
        [`${a} ${b}`, [5, 2, 1]],
        [`  ${b}   ${a} `, [5, 2, 1]],
        [`"${a} ${b}"`, [5, 1]],
        [`"${b}" ${a}`, [5, 2, 1]],
        [`${a} -${c}`, [2, 1]],
        [`${a} -"${a} ${b}"`, [3, 2]],
        [`${a} (${b})`, [5, 2, 1]],
        [`"${a}`, [5, 3, 2, 1]],
        [`-${c}`, []],
        ["", []],
        ["-", []],
      ];
      for (const [text, sequences] of expected) {
        const found = (await hits(world, { text, sessionId })).map(({ sequence }) => sequence);
        assertSame(found, sequences, `hits of ${show(text)}`);
      }
    },
  },
  {
    promise: "P8",
    name: "search: pages of every size have each hit once, the newest first, then by session and sequence",
    todo: "Order by `createdAt` descending, the bytes of the session's id, `sequence` descending; page by that position.",
    async run(world) {
      const word = newWord();
      const userId = world.newId();
      for (const id of ["a", "B", "é", "\uff5e", "😀"])
        await say(world, [word, "other", word, word], {
          userId,
          id: `${userId}${id}`,
          at: id === "é" ? 999 : 1000,
        });
      const all = await hits(world, { text: word, userId });
      assert.equal(all.length, 15, "hits in five sessions of three each");
      assertSame(placesOf(all), placesOf(all.toSorted(compareHits)), "the order of hits");
      for (const limit of [1, 2, 3, 7, 14, 15, 16]) {
        assertSame(await places(world, { text: word, userId }, limit), placesOf(all), `pages of ${limit}`);
      }
    },
  },
  {
    promise: "P8",
    name: "search: a page goes on from its place when messages come and go in between",
    todo: "A cursor is a position, not a number of hits to skip, and not by a rank that other messages change.",
    async run(world) {
      const word = newWord();
      const userId = world.newId();
      const rows: SessionRow[] = [];
      for (const n of numbers(1, 8)) rows.push(await say(world, [`${word} ${n}`], { userId, at: 100 - n }));
      const query = { text: word, userId, limit: 3 };
      const first = await world.adapter.search?.query(query);
      const cursor = first?.next ?? assert.fail("a page of 3 of 8 hits has to have a next one");
      for (const { id, life, revision } of rows.slice(1, 4)) {
        await world.adapter.sessionRepository.delete(id, revision);
        await world.adapter.messageRepository.deleteBySessionId(id, { log: life });
      }
      await say(world, [word, word, word], { userId, at: 5000 });
      const second = await world.adapter.search?.query({ ...query, limit: 100, cursor });
      const rest = rows.slice(4).map(({ id }) => `${id} 1`);
      assertSame(placesOf(second?.items ?? []), rest, "the page after messages came and went");
    },
  },
  {
    promise: "P7",
    name: "search: a message that no reader sees is not found",
    todo: "Join the session's row: its life, `first..last`, status and expiry decide, and `state.visible` where it is there.",
    async run(world) {
      const { sessionRepository: sessions, messageRepository: messages } = world.adapter;
      const word = newWord();
      const texts = numbers(1, 6).map((n) => `${word} ${n}`);
      const check = async (
        row: SessionRow,
        expected: readonly number[],
        what: string,
        more: Partial<Part> = {},
      ) => {
        const found = await hits(world, { text: word, sessionId: row.id, ...more });
        assertSame(
          found.map(({ sequence }) => sequence),
          expected,
          what,
        );
      };
      const shown = await say(world, texts);
      await check(shown, [6, 5, 4, 3, 2, 1], "hits in a session as it is");
      await check(await say(world, texts, { first: 4 }), [6, 5, 4], "hits after a trim that is not finished");
      await check(await say(world, texts, { last: 2 }), [2, 1], "hits of messages that came late");
      const expired = await say(world, texts, { expiresAt: 5000 });
      await check(expired, [], "hits in a session at the moment at which it ends", { expiresAfter: 5000 });
      await check(expired, [6, 5, 4, 3, 2, 1], "hits before it ends", { expiresAfter: 4999 });
      const endless = await say(world, texts, { expiresAt: null });
      await check(endless, [6, 5, 4, 3, 2, 1], "hits in a session without an end", { expiresAfter: 5000 });
      const visible = (ranges: SessionRow["state"]) =>
        say(world, texts, { state: { data: {}, visible: ranges } });
      await check(
        await visible([
          [1, 2],
          [5, null],
        ]),
        [6, 5, 2, 1],
        "hits after a rewind",
      );
      await check(await visible([[2, 3]]), [3, 2], "hits in a branch with an end");
      await check(await visible([]), [], "hits where nothing is visible");
      await check(await visible("all"), [6, 5, 4, 3, 2, 1], "hits where `visible` names no ranges");
      const history = await say(world, []);
      await messages.insert([
        makeEntry(history.id, historyLog(history.life), 1, { content: word, role: "route" }),
      ]);
      await check(nextRow(history), [], "hits in the route history");

      // An entry may outlive its session: in a crash of a delete, or when an insert arrives late.
      const ended = await say(world, texts);
      await sessions.update(
        nextRow(ended, { status: "deleting", state: null, revision: "t" }),
        ended.revision,
      );
      await check(ended, [], "hits in a session whose delete has begun");
      await sessions.delete(ended.id, "t");
      await check(ended, [], "hits of a session that is deleted");
      const again = await say(world, [`${word} again`], { id: ended.id, userId: "bob" });
      await check(again, [1], "hits in the next life of the id");
      await messages.deleteBySessionId(shown.id, { log: shown.life, to: 2 });
      await check(shown, [6, 5, 4, 3], "hits after messages were deleted");
    },
  },
  {
    promise: "P7",
    name: "search: no text is an error, a pattern or a query of the store",
    todo: "Hand the words over as data (`websearch_to_tsquery`, quoted strings of FTS5); replace U+0000 and lone surrogates.",
    async run(world) {
      const word = newWord();
      const { id: sessionId } = await say(world, [`${word} stays`]);
      for (const text of [...searchTexts, ...hostileTexts]) {
        const found = await hits(world, { text, sessionId }).catch((error: unknown) =>
          assert.fail(`a search for ${show(text)} failed with ${String(error)}`),
        );
        assertSame(placesOf(found), [], `hits of ${show(text)}, none of whose words was said`);
      }
      assertSame(await places(world, { text: word, sessionId }), [`${sessionId} 1`], "hits after all that");
      for (const userId of hostileIds)
        assertSame(await places(world, { text: word, userId }), [], `hits of ${show(userId)}`);
    },
  },
  {
    promise: "P9",
    name: "search: what cannot be asked is refused",
    todo: "Begin with `checkSearch`, which refuses a wrong text, limit, id or cursor with `INVALID_ARGUMENT` or `INVALID_ID`.",
    async run(world) {
      const wrong: readonly object[] = [
        ...[
          { limit: 0 },
          { limit: 101 },
          { limit: 1.5 },
          { limit: "10" },
          { limit: Number.NaN },
          { limit: undefined },
        ],
        ...[
          { cursor: "" },
          { cursor: "x" },
          { cursor: "1.1" },
          { cursor: "1.x.a" },
          { cursor: "1.1.%" },
          { cursor: 7 },
        ],
        ...[
          { text: undefined },
          { text: null },
          { text: { $ne: null } },
          { text: ["a"] },
          { text: "a".repeat(16_385) },
        ],
        ...[
          { userId: "" },
          { userId: "\0" },
          { userId: { $ne: null } },
          { sessionId: "\ud800" },
          { sessionId: 7 },
        ],
      ];
      for (const part of wrong) {
        const query: SearchQuery = { text: "a", limit: 10, ...part };
        const error: unknown = await world.adapter.search?.query(query).catch((thrown: unknown) => thrown);
        assert.ok(
          isWaymarkError(error) && (error.code === "INVALID_ARGUMENT" || error.code === "INVALID_ID"),
          `a search with ${show(part)} was answered ${show(error)}`,
        );
      }
    },
  },
  {
    promise: "P6",
    name: "search: a snippet is a part of the message, around what was found",
    todo: "Cut the snippet from the stored text: no marks, no escapes, no half characters, at most 1,000 characters.",
    async run(world) {
      const word = newWord();
      const long = "so it goes on and on, ".repeat(400);
      const texts = [
        word,
        `${long}${word}`,
        `${word} ${long}`,
        `${long} ${word} ${long}`,
        `${"😀".repeat(200)} ${word} ${"😀".repeat(200)}`,
      ];
      const ofPeople = hostileTexts.filter((text) => !text.includes("\ufeff"));
      const { id: sessionId } = await say(world, [
        ...texts,
        ...ofPeople.map((text) => `${text} ${word} ${text}`),
      ]);
      const found = await hits(world, { text: word, sessionId });
      assert.equal(found.length, texts.length + ofPeople.length, "the number of hits");
      for (const { sequence, snippet, log } of found) {
        const [entry] = await world.adapter.messageRepository.findBySessionId(sessionId, {
          log,
          from: sequence,
          to: sequence,
        });
        assert.ok(
          entry?.content.includes(snippet) === true,
          `the snippet ${show(snippet)} is no part of its message`,
        );
        assert.ok(snippet.includes(word), `the snippet ${show(snippet)} lacks the word that was looked for`);
        assert.ok(snippet.length <= 1000, `a snippet has ${snippet.length} characters`);
        assert.ok(!/\p{Surrogate}/u.test(snippet), `the snippet ${show(snippet)} has half a character`);
      }
    },
  },
  {
    promise: "P6",
    name: "search: a message of any size and make is stored, and found by a word at its beginning",
    todo: "An index with a limit (a `tsvector` has 1 MiB, a word 2 KiB) gets a part of the message, so that no turn fails by it.",
    async run(world) {
      const word = newWord();
      const many = numbers(1, 200_000).map((n) => `${n.toString(36)}\u{20000}`);
      const texts = [
        `${word} ${many.join(" ")}`,
        `${word} ${many.join("-")}`,
        `${word} ${"x".repeat(2_000_000)}`,
        `${word} ${"漢".repeat(500_000)}`,
        `${word} ${numbers(1, 40_000)
          .map((n) => `${n}@a.example/${n}?${n}=${n}`)
          .join(" ")}`,
        // Before each character, some parsers look through all that follows.
        ...["a_", "a@1", "a/~", "a.", "<!--"].map((part) => `${word} ${part.repeat(100_000)}`),
      ];
      for (const [n, text] of texts.entries()) {
        const { id: sessionId } = await say(world, [text]);
        assertSame(
          await places(world, { text: word, sessionId }),
          [`${sessionId} 1`],
          `hits in large message ${n + 1}`,
        );
      }
    },
  },
  {
    promise: "P6",
    name: "search: what was said over and over is shown, and so is what a text of very many words finds",
    todo: "Look for the place of few words, and once in each message: some functions look for each word at each place.",
    async run(world) {
      const word = newWord();
      const words = numbers(40_000, 42_999).map((n) => n.toString(36));
      const { id: sessionId } = await say(world, [
        `${word} `.repeat(20_000),
        `${words.join(" ")} ${"é ".repeat(40_000)}`,
      ]);
      for (const text of [`${word} ${word} ${word}`, `${word} `.repeat(200), `"${`${word} `.repeat(200)}"`])
        assertSame(await places(world, { text, sessionId }), [`${sessionId} 1`], "hits of a word many times");
      const found = await places(world, { text: words.join(" "), sessionId });
      assertSame(found, [`${sessionId} 2`], "hits of 3,000 words");
    },
  },
  {
    promise: "P7",
    name: "search: a manager finds what was said in turns, as it was said, and refuses what is wrong",
    todo: "See `manager.search`: the adapter finds a message when its turn is acknowledged and delivered.",
    async run(world) {
      const word = newWord();
      const [ann, bob] = [world.newId(), world.newId()];
      const manager = new PersistenceManager({ adapter: world.adapter, userId: ann });
      const createdAt = new Date(1_700_000_000_000);
      const session = createSession({ id: world.newId() });
      const odd = `\0 ${word} \ud800!`;
      await manager.saveTurn({
        session,
        messages: [
          { role: "user", content: odd, createdAt },
          { role: "assistant", content: `${word} to you`, createdAt: new Date(createdAt.getTime() + 1) },
        ],
      });
      const other = createSession({ id: world.newId() });
      await manager.saveTurn({ session: other, messages: [{ role: "user", content: word }], userId: bob });
      await manager.flush();
      const found = await manager.search({ text: word });
      const { id: sessionId } = session;
      assertSame(
        [...found],
        [
          {
            sessionId,
            sequence: 2,
            role: "assistant",
            createdAt: new Date(createdAt.getTime() + 1),
            snippet: `${word} to you`,
          },
          { sessionId, sequence: 1, role: "user", createdAt, snippet: odd },
        ],
        "what a manager finds",
      );
      assertSame(
        (await manager.search({ text: word, userId: bob })).map(({ sessionId: id }) => id),
        [other.id],
        "of another user",
      );
      assertSame(
        (await manager.search({ text: word, to: createdAt })).map(({ sequence }) => sequence),
        [1],
        "up to a time",
      );
      const first = await manager.search({
        text: word,
        limit: 1,
        from: new Date(-8.64e15),
        to: new Date(8.64e15),
      });
      const cursor = first.next ?? assert.fail("there is a second page");
      const second = await manager.search({ text: word, limit: 1, cursor });
      assertSame([second.map(({ sequence }) => sequence), second.next], [[1], null], "the second page");
      await manager.trimMessages(session.id ?? "", 1);
      assertSame(
        (await manager.search({ text: word })).map(({ sequence }) => sequence),
        [2],
        "after a trim",
      );
      await manager.deleteSession(session.id ?? "");
      assertSame([...(await manager.search({ text: word }))], [], "after a delete");
      await manager.flush();
    },
  },
];

const refusal: Case = {
  promise: "P9",
  name: "search: without the facet, core refuses by name",
  todo: "Nothing: the adapter says that it has no `search`, and this is core's part.",
  async run(world) {
    const manager = new PersistenceManager({ adapter: world.adapter });
    const error: unknown = await manager.search({ text: "a" }).catch((thrown: unknown) => thrown);
    assert.ok(isWaymarkError(error) && error.code === "CAPABILITY_MISSING", `it was answered ${show(error)}`);
  },
};

export const search: Level = {
  name: "search",
  runs: "once",
  cases: ({ expects }) => (expects.search ? cases : [refusal]),
};
