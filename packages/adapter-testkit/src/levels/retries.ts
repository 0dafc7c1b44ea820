import assert from "node:assert/strict";
import { type Commit, type Committed, type Outcome, operationWindow } from "@waymark/core/adapter";
import { numbers } from "../generate.js";
import type { Case, Level } from "../level.js";
import { assertSame } from "../same.js";
import { type TurnClient, again, appendTo, creation, rowOf, turnOn } from "../turn-client.js";
import type { World } from "../world.js";

/** Sends a turn once more: it has to be answered as the first time, and to write nothing. */
async function replayed(
  world: World,
  client: TurnClient,
  commit: Commit,
  first: Committed,
  when: string,
): Promise<void> {
  const before = await rowOf(world.other, commit.id);
  const outcome: Outcome = await client.commit(commit);
  const told = outcome.status === "replayed" ? outcome : null;
  assertSame(
    { status: outcome.status, version: told?.version, first: told?.first, last: told?.last, at: told?.at },
    { status: "replayed", version: first.version, first: first.first, last: first.last, at: first.at },
    `the answer to a retry (${when})`,
  );
  assertSame(await rowOf(world.other, commit.id), before, `the row after a retry (${when})`);
}

async function others(client: TurnClient, id: string, count: number): Promise<void> {
  for (const n of numbers(1, count)) await client.stored(appendTo(id, `other ${n}`));
}

const cases: readonly Case[] = [
  {
    promise: "P5",
    name: "a turn that is sent again gives the first result and writes nothing",
    todo: "Keep each operation's id with its result in the row's `system`, and look for it before the version is compared.",
    async run(world) {
      const [client, other] = [world.client(), world.client(world.other)];
      const id = world.newId();
      const make = creation(id, { messages: ["created"], at: 1_600_000_000_000 });
      const made = await client.stored(make);
      await replayed(world, client, again(make), made, "of a create");
      await replayed(world, other, again(make), made, "of a create, by another process");
      const turn = turnOn(id, made.version, { state: { n: 1 }, messages: ["a", "b"], at: 1_600_000_000_001 });
      const first = await client.stored(turn);
      await replayed(world, client, again(turn), first, "of a turn");
      await replayed(
        world,
        client,
        { ...again(turn), at: 1_600_000_099_999 },
        first,
        "of a turn, with a later clock",
      );
      const append = appendTo(id, "c");
      const appended = await client.stored(append);
      await others(other, id, 3);
      await other.stored(turnOn(id, first.version, { state: { n: 2 } }));
      await replayed(world, client, again(turn), first, "of a turn, after others");
      await replayed(world, other, again(append), appended, "of an append, after others");
      assertSame(
        (await client.texts(id)).slice(0, 4),
        ["created", "a", "b", "c"],
        "the messages after retries",
      );
      assert.equal((await client.load(id)).entries.length, 7, "how many messages there are after retries");
    },
  },
  {
    promise: "P5",
    name: "a turn that is sent again while the first is still on its way is stored once",
    todo: "The later of two must see the operation of the first: after a lost race, look again before you answer conflict.",
    async run(world) {
      const clients = await Promise.all(numbers(1, 4).map(async () => world.client(await world.connect())));
      for (let round = 0; round < 6 * world.scale; round++) {
        const id = world.newId();
        const { version } = await world.client().create(id);
        const turn =
          round % 3 === 2
            ? appendTo(id, "a", "b")
            : turnOn(id, version, { state: { n: 1 }, messages: ["a", "b"] });
        const outcomes = await Promise.all(
          clients.map((client, n) => client.commit(n === 0 ? turn : again(turn))),
        );
        const committed = outcomes.filter(({ status }) => status === "committed").length;
        const statuses = outcomes.map(({ status }) => status).join(", ");
        assert.equal(committed, 1, `one of four sendings of one turn has to be committed: ${statuses}`);
        for (const outcome of outcomes) {
          assert.ok(
            outcome.status === "committed" || outcome.status === "replayed",
            `four sendings of one turn: ${statuses}`,
          );
          assert.deepEqual([outcome.first, outcome.last], [1, 2], "the sequences that each sending is told");
        }
        assert.deepEqual(
          await world.client(world.other).texts(id),
          ["a", "b"],
          "the messages of one turn, sent four times",
        );
      }
    },
  },
  {
    promise: "P5",
    name: "a create that is sent again while the first is still on its way is stored once",
    todo: "Where the id turns out to be taken, look for the operation in the row before you answer that it exists.",
    async run(world) {
      const clients = await Promise.all(numbers(1, 4).map(async () => world.client(await world.connect())));
      for (let round = 0; round < 4 * world.scale; round++) {
        const id = world.newId();
        const make = creation(id, { messages: ["a"] });
        const outcomes = await Promise.all(
          clients.map((client, n) => client.commit(n === 0 ? make : again(make))),
        );
        const statuses = outcomes.map(({ status }) => status).toSorted();
        assert.deepEqual(
          statuses,
          ["committed", "replayed", "replayed", "replayed"],
          "four sendings of one create",
        );
        assert.deepEqual(await world.client(world.other).texts(id), ["a"]);
      }
    },
  },
  {
    promise: "P5",
    name: "an operation id with other contents is a mismatch, and writes nothing",
    todo: "Keep the digest with the operation, and compare it before anything else is said of a known id.",
    async run(world) {
      const client = world.client();
      const id = world.newId();
      const make = creation(id, { messages: ["first"] });
      const { version } = await client.stored(make);
      const turn = turnOn(id, version, { state: { n: 1 }, messages: ["a"] });
      await client.stored(turn);
      const before = await rowOf(world.other, id);
      for (const one of [make, turn]) {
        for (const sender of [client, world.client(world.other)]) {
          const outcome = await sender.commit({
            ...again(one),
            operation: { id: one.operation.id, digest: "another" },
          });
          assert.equal(outcome.status, "mismatch", "a known operation id with another digest");
        }
      }
      assertSame(await rowOf(world.other, id), before, "the row after mismatches");
    },
  },
  {
    promise: "P5",
    name: "an operation is known while it is among the last that the row remembers",
    todo: "Keep as many operations as `operationWindow` says, of turns and of appends alike.",
    async run(world) {
      const client = world.client();
      const id = world.newId();
      await client.create(id);
      const append = appendTo(id, "mine");
      const first = await client.stored(append);
      await others(client, id, operationWindow - 1);
      await replayed(
        world,
        world.client(world.other),
        again(append),
        first,
        `after ${operationWindow - 1} others`,
      );
    },
  },
  {
    promise: "P5",
    name: "an operation too old to be known is refused, and never applied again",
    todo: "A retry that is not found, of which nobody can tell whether it left the window, is answered `unknown` (see `applyCommit`).",
    async run(world) {
      const [client, other] = [world.client(), world.client(world.other)];
      const id = world.newId();
      const { version } = await client.create(id);
      const append = appendTo(id, "mine");
      const turn = turnOn(id, version, { state: { n: 1 }, messages: ["also mine"] });
      await client.stored(append);
      await client.stored(turn);
      await others(client, id, operationWindow + 3);
      const before = await rowOf(world.other, id);
      for (const sender of [client, other]) {
        for (const one of [append, turn]) {
          const outcome = await sender.commit(again(one));
          assert.equal(outcome.status, "unknown", "a retry of what left the window");
        }
      }
      assertSame(await rowOf(world.other, id), before, "the row after retries of what left the window");
      const fresh = await client.commit({ ...appendTo(id, "new"), retry: { since: operationWindow + 6 } });
      assert.equal(
        fresh.status,
        "committed",
        "a retry of what was certainly not applied when the row was last seen",
      );
    },
  },
];

export const retries: Level = { name: "retries", runs: "each path", cases: () => cases };
