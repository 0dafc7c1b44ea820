import assert from "node:assert/strict";
import { historyLog } from "@waymark/core/adapter";
import { numbers } from "../generate.js";
import type { Case, Level } from "../level.js";
import { readAmong } from "../read-among.js";
import { assertSame } from "../same.js";
import { appendTo, creation, patience, rowOf, said, turnOn } from "../turn-client.js";

const cases: readonly Case[] = [
  {
    promise: "P1",
    name: "a turn is there as a whole: state, messages, position and owner, for another process too",
    todo: "Compare what `turns.commit` (or `update` and `insert`) writes with the row and entries of `applyCommit`.",
    async run(world) {
      const [client, other] = [world.client(), world.client(world.other)];
      const id = world.newId();
      const state = { data: { name: "Ann", guests: 2 } };
      const set = {
        userId: "ann",
        agentName: "booking",
        route: "book",
        step: "when",
        expiresAt: 4_000_000_000_000,
      };
      const messages = [
        said("hello", { createdAt: 5 }),
        said("hi", { role: "assistant", userId: "ann", createdAt: 7 }),
      ];
      const made = await client.create(id, { state, set, messages, at: 1_700_000_000_321 });
      assert.deepEqual(
        [made.first, made.last, made.operations],
        [1, 2, 1],
        "the answer of a first turn with two messages",
      );
      for (const reader of [client, other]) {
        const { row, entries } = await reader.load(id);
        assertSame(
          { ...set, state: row.state },
          {
            userId: row.userId,
            agentName: row.agentName,
            route: row.route,
            step: row.step,
            expiresAt: row.expiresAt,
            state,
          },
          "the row of a turn",
        );
        assertSame(
          {
            version: row.version,
            last: row.last,
            updatedAt: row.updatedAt,
            lastMessageAt: row.lastMessageAt,
          },
          { version: made.version, last: 2, updatedAt: 1_700_000_000_321, lastMessageAt: 7 },
          "the row of a turn",
        );
        const expected = messages.map((message, index) => ({
          ...message,
          sessionId: id,
          log: made.life,
          sequence: index + 1,
        }));
        assertSame(entries, expected, "the messages of a turn");
      }
    },
  },
  {
    promise: "P1",
    name: "turns of any shape: without messages, without state, with a hundred messages",
    todo: "Messages without state leave the version; state without messages leaves `last`; there is no limit to the messages.",
    async run(world) {
      const client = world.client();
      const id = world.newId();
      const { version } = await client.create(id);
      const many = numbers(1, 100).map((n) => `m${n}`);
      const appended = await client.stored(appendTo(id, ...many));
      assert.deepEqual(
        [appended.first, appended.last, appended.version],
        [1, 100, version],
        "a turn of 100 messages",
      );
      const moved = await client.stored(turnOn(id, version, { state: { n: 1 } }));
      assert.deepEqual([moved.first, moved.last], [101, 100], "a turn without messages");
      const empty = await client.stored(turnOn(id, moved.version, { set: { route: null, step: "only" } }));
      assert.equal(empty.version, moved.version, "a turn without state");
      const { row, entries } = await world.client(world.other).load(id);
      assertSame(
        { texts: entries.map(({ content }) => content), state: row.state, step: row.step },
        { texts: many, state: { n: 1 }, step: "only" },
        "what is stored",
      );
    },
  },
  {
    promise: "P1",
    name: "route history that leaves the row is stored with its turn, in a log of its own",
    todo: "A commit's `history` goes into the log `<life>r` under the sequences that it has, and is not among the messages.",
    async run(world) {
      const client = world.client();
      const id = world.newId();
      const history = (sequence: number) => [{ ...said(`route ${sequence}`, { role: "route" }), sequence }];
      const made = await client.create(id, { messages: ["a"], history: history(1) });
      await client.stored(
        turnOn(id, made.version, { state: { n: 1 }, messages: ["b"], history: history(2) }),
      );
      assert.deepEqual(await client.texts(id), ["a", "b"], "the messages of turns with history");
      await client.store.drain(id, patience());
      const log = historyLog(made.life);
      const entries = await world.other.messageRepository.findBySessionId(id, { log, from: 1, to: 9 });
      assert.deepEqual(
        entries.map(({ sequence, content }) => [sequence, content]),
        [
          [1, "route 1"],
          [2, "route 2"],
        ],
      );
    },
  },
  {
    promise: "P1",
    name: "a reader among writers sees whole turns only",
    todo: "The row and its messages have to become visible at once, and `turns.load` has to read one snapshot of both.",
    async run(world) {
      const [writer, reader] = [world.client(), world.client(world.other)];
      const id = world.newId();
      let { version } = await writer.create(id, { state: { n: 0 } });
      const read = async () => {
        const { row, entries } = await reader.load(id);
        const n = row.last / 2;
        assertSame(row.state, { n }, `the state where there are ${row.last} messages`);
        const texts = numbers(1, n).flatMap((turn) => [`${turn}a`, `${turn}b`]);
        assertSame(
          entries.map(({ content }) => content),
          texts,
          `the messages where the row says ${row.last}`,
        );
      };
      await readAmong(read, 25 * world.scale, async (n) => {
        const turn = turnOn(id, version, { state: { n }, messages: [`${n}a`, `${n}b`] });
        ({ version } = await writer.stored(turn));
      });
    },
  },
  {
    promise: "P2",
    name: "the row does not grow with the conversation",
    todo: "Nothing that grows may be kept in the row: entries are in the message repository, operations are the last few.",
    async run(world) {
      const client = world.client();
      const id = world.newId();
      let { version } = await client.create(id, { state: { n: 100 } });
      const sizes: number[] = [];
      for (const n of numbers(101, 160)) {
        ({ version } = await client.stored(
          turnOn(id, version, { state: { n }, messages: ["to and", "fro"] }),
        ));
        await client.store.flush();
        sizes.push(JSON.stringify(await rowOf(world.adapter, id)).length);
      }
      const [early = 0, late = 0] = [sizes[20], sizes.at(-1)];
      assert.ok(late <= early + 40, `the row has ${early} characters after 20 turns and ${late} after 60`);
    },
  },
  {
    promise: "P3",
    name: "sequences have no gap, whatever the clocks say",
    todo: "The store gives sequences from the row's `last`; `createdAt` and `at` order nothing.",
    async run(world) {
      const [client, other] = [world.client(), world.client(world.other)];
      const id = world.newId();
      let { version } = await client.create(id, { messages: ["1"], at: 9_000_000 });
      for (const n of numbers(2, 20)) {
        const message = said(`${n}`, { createdAt: 1000 - n });
        if (n % 3 === 0) await other.stored({ ...appendTo(id, message), at: 1000 - n });
        else
          ({ version } = await client.stored(
            turnOn(id, version, { state: { n }, messages: [message], at: 500 - n }),
          ));
      }
      const { row, entries } = await other.load(id);
      assertSame(
        entries.map(({ sequence, content }) => [sequence, content]),
        numbers(1, 20).map((n) => [n, `${n}`]),
        "messages",
      );
      assert.equal(row.last, 20);
    },
  },
  {
    promise: "P3",
    name: "the last N are the newest N, ascending",
    todo: "`turns.load` answers the entries `last - N + 1` to `last`, in ascending order, and none for N = 0.",
    async run(world) {
      const client = world.client();
      const id = world.newId();
      await client.create(id, { messages: numbers(1, 12).map((n) => said(`${n}`, { createdAt: 50 - n })) });
      for (const last of [0, 1, 2, 5, 11, 12, 13, 1000]) {
        for (const reader of [client, world.client(world.other)]) {
          const loaded = await reader.store.load(id, last);
          const expected = numbers(Math.max(1, 13 - last), 12).map((n) => `${n}`);
          assertSame(
            loaded?.entries.map(({ content }) => content),
            expected,
            `the last ${last} of 12`,
          );
        }
      }
      assert.equal(
        await client.store.load(world.newId(), 5),
        null,
        "the load of a session that is not there",
      );
    },
  },
  {
    promise: "P3",
    name: "messages that are saved at once keep the order of the calls",
    todo: "Entries of one commit are numbered in their order.",
    async run(world) {
      const client = world.client();
      const id = world.newId();
      await client.create(id);
      const texts = numbers(1, 30).map((n) => `m${n}`);
      const append = (text: string) =>
        client.store.append({ id, messages: [said(text)], bytes: 400, patience: patience() });
      const outcomes = await Promise.all(texts.map(append));
      assertSame(
        outcomes.map((outcome) => ("first" in outcome ? outcome.first : outcome.status)),
        numbers(1, 30),
        "sequences",
      );
      assertSame(await world.client(world.other).texts(id), texts, "messages");
    },
  },
  {
    promise: "P3",
    name: "after a rewind nobody sees what was rewound, and its sequences are not given again",
    todo: "A turn's first message gets `last + 1` of the row, whatever ranges the state names as visible.",
    async run(world) {
      const [client, other] = [world.client(), world.client(world.other)];
      const id = world.newId();
      let { version } = await client.create(id, { messages: ["1", "2", "3", "4", "5"] });
      ({ version } = await client.stored(
        turnOn(id, version, {
          state: {
            visible: [
              [1, 2],
              [6, null],
            ],
          },
        }),
      ));
      assert.deepEqual(await other.texts(id), ["1", "2"], "after a rewind to the second message");
      const next = await client.stored(
        turnOn(id, version, {
          state: {
            visible: [
              [1, 2],
              [6, null],
            ],
            branch: "b",
          },
          messages: ["6", "7"],
        }),
      );
      assert.deepEqual([next.first, next.last], [6, 7], "the sequences of a turn after a rewind");
      assert.deepEqual(await other.texts(id), ["1", "2", "6", "7"], "the branch");
      await client.stored(
        turnOn(id, next.version, {
          state: {
            visible: [
              [1, 5],
              [8, null],
            ],
          },
          messages: ["8"],
        }),
      );
      assert.deepEqual(await other.texts(id), ["1", "2", "3", "4", "5", "8"], "back on the first branch");
      const loaded = await client.store.load(id, 3);
      assert.deepEqual(
        loaded?.entries.map(({ content }) => content),
        ["4", "5", "8"],
        "the last three of a branch",
      );
    },
  },
  {
    promise: "P3",
    name: "a conversation longer than a range is read whole",
    todo: "Ranges of up to 1,000 entries have to come back whole.",
    async run(world) {
      const client = world.client();
      const id = world.newId();
      await client.stored(creation(id, { messages: numbers(1, 700).map(String) }));
      await client.stored(appendTo(id, ...numbers(701, 1400).map(String)));
      for (const on of [world.adapter, world.other]) {
        const read = await world.client(on).store.read(id, ({ last }) => [[1, last]]);
        assertSame(
          read?.entries.map(({ content }) => content),
          numbers(1, 1400).map(String),
          "1,400 messages",
        );
      }
    },
  },
];

export const turns: Level = { name: "turns", runs: "each path", cases: () => cases };
