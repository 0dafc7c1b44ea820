import assert from "node:assert/strict";
import { type Commit, type Turns, historyLog, sessionScope } from "@waymark/core/adapter";
import { makeEntry, makeRow, nextRow, numbers } from "../generate.js";
import type { Case, Level } from "../level.js";
import { assertSame } from "../same.js";
import { appendTo, creation, rowOf, said, turnOn } from "../turn-client.js";
import { withoutTurns } from "../watch.js";
import type { World } from "../world.js";

function turnsOf({ adapter }: Pick<World, "adapter">): Turns {
  return adapter.turns ?? assert.fail("the adapter has no `turns`");
}

const cases: readonly Case[] = [
  {
    promise: "P3",
    name: "a load in one trip answers the row and exactly the last entries of it",
    todo: "`turns.load` answers entries `last - N + 1` to `last` of the log of the row's life, ascending; a tombstone is a row.",
    async run(world) {
      const turns = turnsOf({ adapter: world.other });
      const id = world.newId();
      assert.equal(await turns.load(id, { last: 5 }), null, "the load of what is not there");
      const messages = numbers(1, 12).map((n) => said(`${n}`, { createdAt: 100 - n }));
      const { version } = await world
        .client()
        .create(id, { messages, history: [{ ...said("route"), sequence: 1 }] });
      for (const last of [0, 1, 2, 11, 12, 13, 1000]) {
        const loaded = await turns.load(id, { last });
        assertSame(
          loaded?.entries.map(({ content }) => content),
          numbers(Math.max(1, 13 - last), 12).map(String),
          `the last ${last} of 12`,
        );
        assertSame(loaded?.row, await rowOf(world.adapter, id), "the row");
      }
      // An insert that nobody committed yet is not part of what the row says.
      const { life } = await rowOf(world.adapter, id);
      await world.adapter.messageRepository.insert([makeEntry(id, life, 13)]);
      assert.equal(
        (await turns.load(id, { last: 2 }))?.entries.at(-1)?.sequence,
        12,
        "the last entry that the row knows",
      );
      await world.client().stored(
        turnOn(id, version, {
          state: {
            visible: [
              [1, 2],
              [13, null],
            ],
          },
        }),
      );
      assert.equal(
        (await turns.load(id, { last: 2 }))?.entries.at(-1)?.sequence,
        12,
        "ranges are core's to apply",
      );
      const row = await rowOf(world.adapter, id);
      await world.adapter.sessionRepository.update(
        nextRow(row, { status: "deleting", state: null }),
        row.revision,
      );
      assert.equal((await turns.load(id, { last: 0 }))?.row.status, "deleting", "the load of a tombstone");
    },
  },
  {
    promise: "P1",
    name: "turns of many sessions in one call are each answered, in their order",
    todo: "`commit` answers one outcome a commit, in the order of the commits, however the store returns them.",
    async run(world) {
      const ids = numbers(1, 40).map(() => world.newId());
      const made = await turnsOf(world).commit(
        ids.map((id, n) => creation(id, { state: { n }, messages: [`${n}a`, `${n}b`] })),
      );
      const versions = made.map((outcome) =>
        outcome.status === "committed" ? outcome.version : assert.fail(outcome.status),
      );
      // Every third is stale.
      const turns = ids.map((id, n) =>
        turnOn(id, n % 3 === 0 ? `${versions[n]}0` : (versions[n] ?? ""), {
          state: { n: -n },
          messages: [`${n}c`],
        }),
      );
      const outcomes = await turnsOf(world).commit(turns);
      const expected = numbers(0, 39).map((n) => (n % 3 === 0 ? "conflict" : "committed"));
      assertSame(
        outcomes.map(({ status }) => status),
        expected,
        "the outcomes of 40 turns in one call",
      );
      for (const [n, id] of ids.entries()) {
        const { row, entries } = await world.client(world.other).load(id);
        const isStored = n % 3 !== 0;
        const texts = [`${n}a`, `${n}b`, ...(isStored ? [`${n}c`] : [])];
        assertSame(
          [row.state, entries.map(({ content }) => content)],
          [{ n: isStored ? 0 - n : n }, texts],
          `session ${n}`,
        );
      }
    },
  },
  {
    promise: "P1",
    name: "a commit that cannot be applied does not touch its neighbours",
    todo: "One statement that fails must not fail the group: answer each commit by itself, or try them one by one.",
    async run(world) {
      const client = world.client();
      const good = numbers(1, 4).map(() => world.newId());
      const [taken, closed, damaged] = [world.newId(), world.newId(), world.newId()];
      await client.create(taken);
      await client.create(closed, { set: { status: "completed" } });
      await world.adapter.sessionRepository.create(makeRow(damaged, { system: "not core's" }));
      const bad: Commit[] = [
        creation("a\0b", { messages: ["x"] }),
        creation("x".repeat(129), { messages: ["x"] }),
        creation(taken, { messages: ["x"] }),
        appendTo(closed, "x"),
        appendTo(damaged, "x"),
        appendTo(world.newId(), "x"),
      ];
      const commits = good
        .flatMap((id, n) => [bad[n], creation(id, { messages: ["good"] }), bad[n + 4]])
        .filter((one) => one !== undefined);
      const outcomes = await turnsOf(world).commit(commits);
      for (const [index, { id, messages }] of commits.entries()) {
        const { status } = outcomes[index] ?? { status: "no outcome" };
        if (messages[0]?.content === "good") {
          assert.equal(status, "committed", "a commit beside one that cannot be applied");
          assert.deepEqual(await world.client(world.other).texts(id), ["good"]);
        } else {
          const expected =
            id === taken
              ? "exists"
              : id === closed
                ? "closed"
                : id.startsWith("s-") && id !== damaged
                  ? "absent"
                  : "failed";
          assert.equal(status, expected, "the outcome of a commit that cannot be applied");
        }
      }
      assert.equal((await rowOf(world.other, taken)).last, 0, "the row of a refused create");
    },
  },
  {
    promise: "P5",
    name: "a session that comes twice in one call is not told twice what was stored once",
    todo: "Apply both as if two callers had sent them, or answer the second `busy`: one statement writes a row once.",
    async run(world) {
      const client = world.client();
      const [id, neighbour] = [world.newId(), world.newId()];
      await client.create(id);
      await client.create(neighbour);
      const outcomes = await turnsOf(world).commit([
        appendTo(id, "one"),
        appendTo(neighbour, "n"),
        appendTo(id, "two"),
      ]);
      assert.equal(outcomes[1]?.status, "committed", "the outcome of their neighbour");
      const sent = [
        ["one", outcomes[0]],
        ["two", outcomes[2]],
      ] as const;
      const told = sent
        .flatMap(([text, outcome]) => {
          if (outcome?.status === "committed") return [{ text, first: outcome.first }];
          assert.equal(outcome?.status, "busy", "the outcome of a commit whose session comes twice");
          return [];
        })
        .toSorted((a, b) => a.first - b.first);
      assert.ok(told.length > 0, "nothing of two commits of a session was applied");
      assertSame(
        await world.client(world.other).texts(id),
        told.map(({ text }) => text),
        "the messages of the turns that were told to be committed",
      );

      const made = world.newId();
      const creates = [creation(made, { messages: ["one"] }), creation(made, { messages: ["two"] })];
      const answers = await turnsOf(world).commit(creates);
      const winners = creates.flatMap(({ messages }, index) => {
        const status = answers[index]?.status ?? "no outcome";
        if (status === "committed") return messages.map(({ content }) => content);
        assert.ok(status === "busy" || status === "exists", `a create of an id twice was answered ${status}`);
        return [];
      });
      assertSame(winners.length, 1, "how many of two creates of an id were told to be committed");
      assertSame(await world.client(world.other).texts(made), winners, "the messages of the create that won");
    },
  },
  {
    promise: "P8",
    name: "sessions that are removed in one call go wholly, where they are as they were seen",
    todo: "`turns.remove` deletes the rows whose revision is the one given, each with the entries of its logs in the same write.",
    async run(world) {
      const turns = turnsOf(world);
      // Without it, core removes each session by itself, which other cases try.
      if (turns.remove === undefined) return;
      const ids = numbers(1, 12).map(() => world.newId());
      for (const id of ids) {
        const history = [{ ...said("route"), sequence: 1 }];
        const records = world.adapter.records === undefined ? [] : [{ key: "k", value: id }];
        await world.client().create(id, { messages: [said("one"), said("two")], history, records });
      }
      const rows = await Promise.all(ids.map((id) => rowOf(world.adapter, id)));
      const moved = ids[5] ?? "";
      await world.client().stored(appendTo(moved, "three"));
      const never = { id: world.newId(), revision: "never" };
      const seen = [...world.random.shuffle(rows.slice(0, 8)), never];
      const answers = await turns.remove(seen.map(({ id, revision }) => ({ id, revision })));
      assertSame(
        answers,
        seen.map(({ id }) => id !== moved && id !== never.id),
        "which of 9 were removed, in their order",
      );
      for (const { id, life } of rows) {
        const isGone = answers?.[seen.findIndex((row) => row.id === id)] === true;
        assert.equal(
          (await world.other.sessionRepository.findById(id)) === null,
          isGone,
          `whether ${id} is gone`,
        );
        const logs = [life, historyLog(life)].map((log) =>
          world.other.messageRepository.findBySessionId(id, { log, from: 1, to: 9 }),
        );
        const counts = (await Promise.all(logs)).map((entries) => entries.length);
        const whole = id === moved ? [3, 1] : [2, 1];
        const record = await world.other.records?.get(sessionScope(id, life), "k");
        assert.equal(record?.value, isGone ? undefined : world.adapter.records && id, `the record of ${id}`);
        assertSame(
          counts,
          isGone ? [0, 0] : whole,
          `the entries of the messages and of the route history of ${id}`,
        );
      }
      assertSame(
        await turns.remove([{ id: ids[0] ?? "", revision: rows[0]?.revision ?? "" }]),
        [false],
        "a removal, repeated",
      );
    },
  },
  {
    promise: "P4",
    name: "turns of one and of many sessions at once each get their own result",
    todo: "Core sends what arrives together as one group, a session at most once in it; look at the order of outcomes.",
    async run(world) {
      const client = world.client();
      const ids = numbers(1, 50).map(() => world.newId());
      await Promise.all(ids.map((id) => client.create(id)));
      const sent = ids.flatMap((id) =>
        [1, 2, 3].map((n) => ({ id, text: `${n}`, work: client.commit(appendTo(id, `${n}`)) })),
      );
      for (const { id, text, work } of sent) {
        const outcome = await work;
        assert.ok(
          outcome.status === "committed" && outcome.first === Number(text),
          `append ${text} of ${id}: ${outcome.status}`,
        );
      }
      for (const id of ids) assert.deepEqual(await world.client(world.other).texts(id), ["1", "2", "3"]);
    },
  },
  {
    promise: "P4",
    name: "groups of the same sessions at once do not lock each other out",
    todo: "Lock the rows of a group in one order (by id), or do not wait for locks.",
    async run(world) {
      const ids = numbers(1, 20).map(() => world.newId());
      await Promise.all(ids.map((id) => world.client().create(id)));
      const adapters = await Promise.all([1, 2, 3, 4].map(() => world.connect()));
      for (let round = 0; round < 4 * world.scale; round++) {
        const before = (await rowOf(world.other, ids[0] ?? "")).last;
        await Promise.all(
          adapters.map(async (adapter) => {
            let left = world.random.shuffle(ids);
            for (let tries = 0; left.length > 0; tries++) {
              assert.ok(tries < 50, "groups at once: some commits were busy 50 times in a row");
              const outcomes = await turnsOf({ adapter }).commit(left.map((id) => appendTo(id, "x")));
              for (const outcome of outcomes) {
                const why = outcome.status === "failed" ? String(outcome.error) : outcome.status;
                assert.ok(
                  outcome.status === "committed" || outcome.status === "busy",
                  `groups at once: ${why}`,
                );
              }
              left = left.filter((_, index) => outcomes[index]?.status === "busy");
            }
          }),
        );
        for (const id of ids)
          assert.equal((await rowOf(world.other, id)).last, before + 4, "messages of 4 groups at once");
      }
    },
  },
  {
    promise: "P1",
    name: "whole turns and the outbox are the same truth",
    todo: "A row that is `dirty` is answered `busy`, so that core delivers it first; leave `system` as `applyCommit` makes it.",
    async run(world) {
      const whole = world.client();
      const outbox = world.client(withoutTurns(world.other));
      const id = world.newId();
      let { version } = await outbox.create(id, { state: { n: 0 }, messages: ["0"] });
      for (const n of numbers(1, 12)) {
        const client = world.random.once(2) ? whole : outbox;
        ({ version } = await client.stored(turnOn(id, version, { state: { n }, messages: [`${n}`] })));
        const expected = numbers(0, n).map(String);
        for (const reader of [whole, outbox])
          assertSame(await reader.texts(id), expected, `messages after turn ${n}`);
      }
      const held = makeRow(world.newId(), { dirty: true, system: { pending: [], operations: [], count: 0 } });
      await world.adapter.sessionRepository.create(held);
      const [outcome] = await turnsOf(world).commit([appendTo(held.id, "x")]);
      assert.equal(outcome?.status, "busy", "the outcome of a commit on a row that is dirty");
    },
  },
];

export const groups: Level = {
  name: "groups",
  runs: "each path",
  cases: (_, path) => (path === "with whole turns" ? cases : []),
};
