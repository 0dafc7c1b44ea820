import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { type Commit, type Outcome, type SessionRow, applyCommit } from "@waymark/core/adapter";
import * as fc from "fast-check";
import { openStore } from "./stores.js";

const store = openStore();
const adapter = store.connect();

beforeAll(() => adapter.initialize());
afterAll(() => store.remove());

const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const nullable = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });
const time = fc.integer({ min: -1e12, max: 5e12 });
const text = fc.constantFrom("a", "b", 'q"\\', "\n[", "é😀", "");

const message = fc.record({
  userId: nullable(text),
  role: fc.constantFrom("user", "assistant"),
  content: text,
  createdAt: time,
  body: fc.constantFrom({}, { z: 1, a: ["\n", null] }, null),
});

/** A commit, in terms of the row as it will then be. */
const step = fc.record({
  kind: fc.constantFrom("version", "version", "version", "append", "create"),
  staleness: fc.constantFrom(0, 0, 0, 1),
  last: maybe(fc.constantFrom(0, 0, 1)),
  operation: fc.record({
    id: fc.constantFrom("o1", 'o"2', "\n[3", "new", "new", "new", "new"),
    digest: text,
  }),
  owner: maybe(fc.constantFrom("ann", "bob")),
  reopen: maybe(fc.boolean()),
  since: fc.constantFrom(undefined, undefined, null, 0, 1, 5),
  at: time,
  userId: maybe(nullable(fc.constantFrom("ann"))),
  agentName: maybe(nullable(text)),
  status: maybe(fc.constantFrom("active", "active", "completed")),
  completedAt: maybe(nullable(time)),
  expiresAt: maybe(nullable(time)),
  route: maybe(nullable(text)),
  step: maybe(nullable(text)),
  state: maybe(fc.constantFrom(null, {}, { data: { text: "\n" } }, 7)),
  messages: fc.array(message, { maxLength: 3 }),
  history: fc.array(message, { maxLength: 1 }),
});

let names = 0;

function commitOf(
  given: typeof step extends fc.Arbitrary<infer T> ? T : never,
  row: SessionRow | null,
  id: string,
): Commit {
  const { kind, staleness, last, operation, since, at, owner, reopen, messages, history } = given;
  const number = Number(row?.version.split(".")[1] ?? 0) - staleness;
  const set: Record<string, unknown> = {};
  for (const key of [
    "userId",
    "agentName",
    "status",
    "completedAt",
    "expiresAt",
    "route",
    "step",
    "state",
  ] as const)
    if (given[key] !== undefined) set[key] = given[key];
  return {
    id,
    expect:
      row === null || kind === "create"
        ? { kind: "create", life: `life${names++}`, createdAt: at }
        : kind === "append"
          ? { kind: "append" }
          : {
              kind: "version",
              version: `${row.life}.${number}`,
              ...(last === undefined ? {} : { last: row.last + last }),
            },
    operation: { id: operation.id === "new" ? `n${names++}` : operation.id, digest: operation.digest },
    revision: `r${names++}`,
    at,
    ...(owner === undefined ? {} : { owner }),
    ...(reopen === undefined ? {} : { reopen }),
    ...(since === undefined ? {} : { retry: { since } }),
    set,
    messages,
    history: history.map((entry, index) => ({ ...entry, sequence: index + 1 })),
  };
}

it.each([1, 3])(
  "whole turns do what applyCommit says, %d in a transaction",
  async (together) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 30 }), async (steps) => {
        const ids = Array.from({ length: together }, () => `s${names++}`);
        const rows = new Map<string, SessionRow>();
        const entries = new Map<string, unknown[]>(ids.map((id) => [id, []]));
        for (const each of steps) {
          const commits = ids.map((id) => commitOf(each, rows.get(id) ?? null, id));
          const expected = commits.map((commit): Outcome => {
            const applied = applyCommit(rows.get(commit.id) ?? null, commit);
            if (applied.write) {
              rows.set(commit.id, applied.row);
              entries.get(commit.id)?.push(...applied.entries.filter(({ log }) => log === applied.row.life));
            }
            return applied.outcome;
          });
          expect(await adapter.turns.commit(commits)).toEqual(expected);
          for (const id of ids) {
            const row = rows.get(id);
            expect(await adapter.turns.load(id, { last: 1000 })).toEqual(
              row === undefined ? null : { row, entries: entries.get(id) },
            );
          }
        }
      }),
      { numRuns: 15 },
    );
  },
  60_000,
);
