import assert from "node:assert/strict";
import {
  type Commit,
  type Entry,
  type Expectation,
  type Json,
  type NewEntry,
  type Outcome,
  type SessionRow,
  type Turns,
  applyCommit,
  systemEnvironment,
} from "@waymark/core/adapter";
import { numbers } from "../generate.js";
import type { Case, Level } from "../level.js";
import type { Random } from "../random.js";
import { assertSame } from "../same.js";
import type { World } from "../world.js";

const { newId } = systemEnvironment;

const texts = ["a", "b", 'q"\\', "\n[", "é😀", ""];
const states: readonly Json[] = [null, {}, { data: { text: "\n" } }, 7];
const bodies: readonly Json[] = [{}, { z: 1, a: ["\n", null] }, null];

/** A commit in terms of the row as it will then be; the same for several sessions. */
type Make = (id: string, row: SessionRow | null) => Commit;

function makeCommit(random: Random): Make {
  const { int, pick, once } = random;
  const maybe = <T>(make: () => T): T | undefined => (once(2) ? make() : undefined);
  const nullable = <T>(make: () => T): T | null => (once(4) ? null : make());
  const time = () => int(-1e12, 5e12);
  const message = (): NewEntry => ({
    userId: nullable(() => pick(texts)),
    role: pick(["user", "assistant"]),
    content: pick(texts),
    createdAt: time(),
    body: pick(bodies),
  });
  const known = pick(["o1", 'o"2', "\n[3", null, null, null, null]);
  const digest = pick(texts);
  const kind = pick(["version", "version", "version", "append", "create"] as const);
  const [staleness, behind, at] = [once(4) ? 1 : 0, maybe(() => pick([0, 0, 1])), time()];
  const [owner, reopen] = [maybe(() => pick(["ann", "bob"])), maybe(() => once(2))];
  // An id that may have been used before says so.
  const since = known === null ? maybe(() => pick([null, 0, 1, 5])) : pick([null, 0, 1, 5]);
  const set: Commit["set"] = {
    ...(once(2) && { userId: nullable(() => "ann") }),
    ...(once(2) && { agentName: nullable(() => pick(texts)) }),
    ...(once(2) && { status: pick(["active", "active", "completed"] as const) }),
    ...(once(2) && { completedAt: nullable(time) }),
    ...(once(2) && { expiresAt: nullable(time) }),
    ...(once(2) && { route: nullable(() => pick(texts)) }),
    ...(once(2) && { step: nullable(() => pick(texts)) }),
    ...(once(2) && { state: pick(states) }),
  };
  const messages = numbers(1, int(0, 3)).map(message);
  const history = numbers(1, int(0, 1)).map((sequence) => ({ ...message(), sequence }));

  function expected(row: SessionRow | null): Expectation {
    if (row === null || kind === "create") return { kind: "create", life: newId(), createdAt: at };
    if (kind === "append") return { kind };
    const version = `${row.life}.${Number(row.version.split(".")[1]) - staleness}`;
    return { kind, version, ...(behind === undefined ? {} : { last: row.last + behind }) };
  }

  return (id, row) => ({
    ...{ id, expect: expected(row), operation: { id: known ?? newId(), digest }, revision: newId(), at },
    ...(owner === undefined ? {} : { owner }),
    ...(reopen === undefined ? {} : { reopen }),
    ...(since === undefined ? {} : { retry: { since } }),
    ...{ set, messages, history },
  });
}

/** What is stored of a session, by the rules alone. */
interface Model {
  row: SessionRow | null;
  readonly entries: Entry[];
}

function applied(model: Model, commit: Commit): Outcome {
  const result = applyCommit(model.row, commit);
  if (result.write) {
    model.row = result.row;
    model.entries.push(...result.entries.filter(({ log }) => log === result.row.life));
  }
  return result.outcome;
}

async function compare(world: World, together: number): Promise<void> {
  const turnsOf = ({ adapter }: Pick<World, "adapter">): Turns =>
    adapter.turns ?? assert.fail("the adapter has no `turns`");
  const [turns, reader] = [turnsOf(world), turnsOf({ adapter: world.other })];
  for (let run = 0; run < 8 * world.scale; run++) {
    const models = new Map(
      numbers(1, together).map((): [string, Model] => [world.newId(), { row: null, entries: [] }]),
    );
    for (let step = 1; step <= 25; step++) {
      const make = makeCommit(world.random);
      const commits = [...models].map(([id, { row }]) => make(id, row));
      const expected = [...models.values()].map((model, n) => applied(model, commits[n] ?? assert.fail()));
      assertSame(await turns.commit(commits), expected, `the outcomes of ${JSON.stringify(commits)}`);
      for (const [id, { row, entries }] of models)
        assertSame(
          await reader.load(id, { last: 1000 }),
          row === null ? null : { row, entries },
          `a session after ${JSON.stringify(commits)}`,
        );
    }
  }
}

const todo =
  "Answer and store what `applyCommit` gives: all fields of the row, `system` too, and its entries.";

const cases: readonly Case[] = [
  {
    promise: "P1",
    name: "whole turns do what the rules say, each by itself",
    todo,
    run: (world) => compare(world, 1),
  },
  {
    promise: "P1",
    name: "whole turns do what the rules say, three in a call",
    todo,
    run: (world) => compare(world, 3),
  },
];

export const rules: Level = {
  name: "rules",
  runs: "each path",
  cases: (_, path) => (path === "with whole turns" ? cases : []),
};
