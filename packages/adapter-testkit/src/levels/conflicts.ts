import assert from "node:assert/strict";
import { type Commit, type Json, type Outcome, rebase } from "@waymark/core/adapter";
import { numbers } from "../generate.js";
import type { Case, Level } from "../level.js";
import { assertSame } from "../same.js";
import { type TurnClient, appendTo, creation, rowOf, turnOn } from "../turn-client.js";
import type { World } from "../world.js";

const statusOf = ({ status }: Outcome): string => status;

/** Sends a commit that has to be refused, and looks that nothing changed. */
async function refused(
  world: World,
  client: TurnClient,
  commit: Commit,
  status: Outcome["status"],
  why: string,
): Promise<Outcome> {
  const [row, texts] = [await rowOf(world.other, commit.id), await client.texts(commit.id)];
  const outcome = await client.commit(commit);
  assert.equal(outcome.status, status, why);
  assertSame(await rowOf(world.other, commit.id), row, `the row after a turn was refused (${why})`);
  assertSame(
    await world.client(world.other).texts(commit.id),
    texts,
    `the messages after a turn was refused (${why})`,
  );
  return outcome;
}

const cases: readonly Case[] = [
  {
    promise: "P4",
    name: "a turn from a stale version is a conflict that names the present one, and writes nothing",
    todo: "Compare the row's version with `expect.version`, in the write itself, before anything of the turn is stored.",
    async run(world) {
      const [client, other] = [world.client(), world.client(world.other)];
      const id = world.newId();
      const { version } = await client.create(id, { messages: ["first"] });
      const theirs = await other.stored(turnOn(id, version, { state: { by: "them" }, messages: ["theirs"] }));
      const mine = turnOn(id, version, { state: { by: "me" }, messages: ["mine", "too"] });
      const outcome = await refused(world, client, mine, "conflict", "a stale version");
      assert.equal(
        "version" in outcome && outcome.version,
        theirs.version,
        "the version that the conflict names",
      );
      const later = await client.stored(
        turnOn(id, theirs.version, { state: { by: "me" }, messages: ["again"] }),
      );
      assert.equal(later.first, 3, "the first sequence after a refused turn");
      assert.deepEqual(await other.texts(id), ["first", "theirs", "again"]);
    },
  },
  {
    promise: "P4",
    name: "messages, status, owner and expiry do not move the version",
    todo: "The version moves only when the commit has `state`: otherwise one's own message makes one's next turn a conflict.",
    async run(world) {
      const client = world.client();
      const id = world.newId();
      const { version } = await client.create(id, { state: { n: 0 } });
      await client.stored(appendTo(id, "one"));
      await world.client(world.other).stored(appendTo(id, "two"));
      for (const set of [
        { userId: "bo" },
        { expiresAt: 4e12 },
        { agentName: null },
        { route: "r", step: null },
      ]) {
        const moved = await client.stored({ ...appendTo(id), set });
        assert.equal(moved.version, version, `the version after ${JSON.stringify(set)} was set`);
      }
      const next = await client.stored(turnOn(id, version, { state: { n: 1 }, messages: ["three"] }));
      assert.notEqual(next.version, version, "the version after the state changed");
    },
  },
  {
    promise: "P4",
    name: "of turns at once from one version, exactly one is stored and the others are told",
    todo: "Two writers both passed the check: make the comparison part of the write (a condition, a script, a lock).",
    async run(world) {
      const clients = await Promise.all(numbers(1, 8).map(async () => world.client(await world.connect())));
      for (let round = 0; round < 4 * world.scale; round++) {
        const id = world.newId();
        const { version } = await world.client().create(id);
        // Turns of several lengths: what a loser left behind would stand in the way of the next turn.
        const textsOf = (n: number) => numbers(0, (n + round) % 3).map((part) => `${n}:${part}`);
        const outcomes = await Promise.all(
          clients.map((client, n) =>
            client.commit(turnOn(id, version, { state: { n }, messages: textsOf(n) })),
          ),
        );
        const names = outcomes.map(statusOf).toSorted();
        assert.deepEqual(
          names,
          ["committed", ...numbers(1, 7).map(() => "conflict")],
          "8 turns at once from one version",
        );
        const winner = outcomes.findIndex(({ status }) => status === "committed");
        await world.client().stored(appendTo(id, "next", "and next"));
        const { row, entries } = await world.client(world.other).load(id);
        assertSame(row.state, { n: winner }, "the state after turns at once");
        const texts = [...textsOf(winner), "next", "and next"];
        assertSame(
          entries.map(({ content }) => content),
          texts,
          "the messages after turns at once",
        );
      }
    },
  },
  {
    promise: "P4",
    name: "of creates at once, exactly one is stored and the others are told that the id is taken",
    todo: "A create is a conditional write: the id must be free in that moment.",
    async run(world) {
      const clients = await Promise.all(numbers(1, 8).map(async () => world.client(await world.connect())));
      const id = world.newId();
      const outcomes = await Promise.all(
        clients.map((client, n) => client.commit(creation(id, { state: { n }, messages: [`${n}`] }))),
      );
      assert.deepEqual(outcomes.map(statusOf).toSorted(), [
        "committed",
        ...numbers(1, 7).map(() => "exists"),
      ]);
      const winner = outcomes.findIndex(({ status }) => status === "committed");
      const { row, entries } = await world.client(world.other).load(id);
      assertSame(
        [row.state, entries.map(({ content }) => content)],
        [{ n: winner }, [`${winner}`]],
        "the session",
      );
      await refused(
        world,
        world.client(),
        creation(id, { messages: ["late"] }),
        "exists",
        "a create of what is there",
      );
    },
  },
  {
    promise: "P4",
    name: "appends at once are all stored, whatever the version",
    todo: "An append expects no version: where the row moved, look again and number the messages anew.",
    async run(world) {
      const clients = await Promise.all(numbers(1, 6).map(async () => world.client(await world.connect())));
      const id = world.newId();
      await world.client().create(id);
      await Promise.all(
        clients.map(async (client, writer) => {
          for (const n of numbers(1, 6)) await client.appended(id, `${writer}:${n}a`, `${writer}:${n}b`);
        }),
      );
      const texts = await world.client(world.other).texts(id);
      assert.equal(texts.length, 72, "how many messages 6 writers left with 6 appends of two");
      for (const writer of numbers(0, 5)) {
        const own = texts.filter((text) => text.startsWith(`${writer}:`));
        assertSame(
          own,
          numbers(1, 6).flatMap((n) => [`${writer}:${n}a`, `${writer}:${n}b`]),
          `the order of writer ${writer}`,
        );
      }
      texts.forEach((text, index) => {
        if (text.endsWith("a"))
          assert.equal(texts[index + 1], text.replace("a", "b"), "two messages of one append are apart");
      });
    },
  },
  {
    promise: "P4",
    name: "a turn that expects a last sequence, or a number of operations, is refused where there is another",
    todo: "Where `expect.last` or `expect.operations` is given, compare it too: a rewind must not hide what it has not seen.",
    async run(world) {
      const client = world.client();
      const id = world.newId();
      const { version } = await client.create(id, { messages: ["1", "2"] });
      const rewind = (last: number): Commit => ({
        ...turnOn(id, version, {
          state: {
            visible: [
              [1, 1],
              [3, null],
            ],
          },
        }),
        expect: { kind: "version", version, last },
      });
      await world.client(world.other).stored(appendTo(id, "3"));
      await refused(world, client, rewind(2), "conflict", "a last sequence that is past");
      const { version: next, operations } = await client.stored(rewind(3));
      const exactly = (count: number): Commit => ({
        ...turnOn(id, next, { state: { n: count }, messages: ["4"] }),
        expect: { kind: "version", version: next, last: 3, operations: count },
      });
      await world.client(world.other).stored({ ...appendTo(id), set: { userId: "bo" } });
      await refused(world, client, exactly(operations), "conflict", "a number of operations that is past");
      await client.stored(exactly(operations + 1));
    },
  },
  {
    promise: "P4",
    name: "a closed session refuses turns until one reopens it",
    todo: "A row that is completed or abandoned refuses a commit without `reopen`.",
    async run(world) {
      const client = world.client();
      for (const status of ["completed", "abandoned"] as const) {
        const id = world.newId();
        const { version } = await client.create(id, { set: { status, completedAt: 5 } });
        const turn = turnOn(id, version, { state: { n: 1 }, messages: ["more"] });
        await refused(world, client, turn, "closed", `a session that is ${status}`);
        await refused(world, client, appendTo(id, "more"), "closed", `a session that is ${status}`);
        const reopened = {
          ...turn,
          reopen: true,
          set: { ...turn.set, status: "active" as const, completedAt: null },
        };
        await client.stored(reopened);
        const row = await rowOf(world.other, id);
        assert.deepEqual([row.status, row.completedAt, row.last], ["active", null, 1]);
      }
    },
  },
  {
    promise: "P4",
    name: "after a conflict, each policy keeps what it says",
    todo: "A conflict has to be told with the present version, and a load after it has to show the state of that version.",
    async run(world) {
      const stateOf = (name: string, guests: number): Json => ({
        ...{
          data: { name, guests, email: null },
          dataByRoute: {},
          routeHistory: [],
          historyBefore: 0,
        },
      });
      const [base, theirs, mine] = [stateOf("Ann", 2), stateOf("Ann", 3), stateOf("Bo", 2)];
      const policies: Record<string, (stored: Json) => Json | undefined> = {
        reject: () => undefined,
        rebase: (stored) => rebase(base, mine, stored).state,
        merge: (stored) => ({ merged: [mine, stored] }),
        queue: (stored) => rebase(base, mine, stored, "mine").state,
      };
      const expected: Record<string, Json> = {
        reject: theirs,
        rebase: stateOf("Bo", 3),
        merge: { merged: [mine, theirs] },
        queue: stateOf("Bo", 3),
      };
      for (const [name, policy] of Object.entries(policies)) {
        const [client, other] = [world.client(), world.client(world.other)];
        const id = world.newId();
        const { version } = await client.create(id, { state: base });
        await other.stored(turnOn(id, version, { state: theirs, messages: ["theirs"] }));
        const turn = turnOn(id, version, { state: mine, messages: ["mine"] });
        const outcome = await client.commit(turn);
        assert.equal(outcome.status, "conflict");
        const { row } = await client.load(id);
        assert.equal(
          "version" in outcome && outcome.version,
          row.version,
          "the version that the conflict names",
        );
        const merged = policy(row.state);
        if (merged !== undefined) {
          // The same operation, now on top of what is there.
          await client.stored({
            ...turn,
            expect: { kind: "version", version: row.version },
            set: { state: merged },
          });
        }
        const after = await other.load(id);
        assertSame(after.row.state, expected[name], `the state after the policy ${name}`);
        const texts = merged === undefined ? ["theirs"] : ["theirs", "mine"];
        assertSame(
          after.entries.map(({ content }) => content),
          texts,
          `the messages after the policy ${name}`,
        );
      }
    },
  },
];

export const conflicts: Level = { name: "conflicts", runs: "each path", cases: () => cases };
