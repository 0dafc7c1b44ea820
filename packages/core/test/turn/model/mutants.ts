import type { Mutant, Patch } from "./mutate.js";

/** So short a memory that an operation is forgotten within a scenario. */
export const shortMemory: Patch = {
  file: "system.ts",
  from: "export const operationWindow = 16;",
  to: "export const operationWindow = 2;",
};

/** Plausible ways to write the same rules, each of which loses something. */
export const mutants: readonly Mutant[] = [
  {
    name: "messages first, version after",
    scenario: "two writers with two turns",
    patches: [
      {
        file: "outbox.ts",
        from: "        await deliver(now);\n",
        to: "        await deliver(now);\n        await insert(now.row, applied);\n",
      },
    ],
  },
  {
    name: "pending dropped unconfirmed",
    scenario: "two writers with two turns",
    patches: [
      {
        file: "outbox.ts",
        from: "        await deliver(now);\n        const { revision",
        to: "        const { revision",
      },
    ],
  },
  {
    name: "no life in the message key",
    scenario: "a reader, a delete and a new life",
    patches: [
      { file: "apply.ts", from: "entryOf(row.id, row.life, row.last", to: 'entryOf(row.id, "m", row.last' },
      {
        file: "merge.ts",
        from: "{ log: row.life, from: first, to: last }",
        to: '{ log: "m", from: first, to: last }',
      },
      { file: "merge.ts", from: "if (entry.log === row.life) pending", to: "pending" },
      {
        file: "outbox.ts",
        from: "messages.deleteBySessionId(id, { log: life })",
        to: 'messages.deleteBySessionId(id, { log: "m" })',
      },
    ],
  },
  {
    name: "row deleted before messages, without a tombstone",
    scenario: "a delete that crashes",
    patches: [
      {
        file: "outbox.ts",
        from: "    const answer = await ask(() => sessions.update(tombstone, row.revision));\n    if (answer === true) await finishDelete(tombstone);\n",
        to: "    const answer = await ask(() => sessions.delete(row.id, row.revision));\n    if (answer === true) await finishDelete(tombstone);\n",
      },
    ],
  },
  {
    name: "reader not bounded by the row",
    scenario: "a writer, an appender and a reader",
    patches: [
      {
        file: "merge.ts",
        from: "{ log: row.life, from: first, to: last }",
        to: "{ log: row.life, from: first, to: last + 99 }",
      },
      {
        file: "merge.ts",
        from: "        entries.push(entry);\n      }\n",
        to: "        entries.push(entry);\n      }\n      for (const [sequence, entry] of stored) if (sequence > end) entries.push(entry);\n",
      },
    ],
  },
  {
    name: "operation ids not kept",
    scenario: "a writer and a reader, with faults",
    patches: [{ file: "apply.ts", from: "operation.id === commit.operation.id", to: "false" }],
  },
  {
    name: "revisions from 1 in every life",
    scenario: "an appender, a delete and a new life with two turns",
    patches: [
      {
        file: "apply.ts",
        from: "revision: commit.revision,",
        to: "revision: String(system.count),",
      },
    ],
  },
  {
    name: "delete without seen revision",
    scenario: "two deletes and a new life",
    store: "delete ignores seen",
  },
  { name: "delete of every log", scenario: "two deletes and a new life", store: "delete of every log" },
  {
    name: "gaps not read again",
    scenario: "a reader, a delete and a new life",
    patches: [
      {
        file: "merge.ts",
        from: "if (missing === null) return",
        to: "if (missing === null || gap === null) return",
      },
    ],
  },
  {
    name: "rewind that reuses sequences",
    scenario: "a rewind, an append and a reader",
    patches: [
      {
        file: "apply.ts",
        from: "  const last = row.last + commit.messages.length;\n",
        to: '  row = commit.expect.kind === "version" && commit.expect.last !== undefined ? { ...row, last: 1 } : row;\n  const last = row.last + commit.messages.length;\n',
      },
    ],
  },
  {
    name: "appends that move the version",
    scenario: "a writer, an appender and a reader",
    patches: [
      {
        file: "apply.ts",
        from: 'commit.set.state === undefined && commit.expect.kind !== "create"',
        to: "false",
      },
    ],
  },
  {
    name: "prune without seen revision",
    scenario: "a turn that meets a prune",
    patches: [
      {
        file: "outbox.ts",
        from: "  async function prune(row: SessionRow): Promise<boolean> {\n",
        to: "  async function prune(row: SessionRow): Promise<boolean> {\n    row = (await sessions.findById(row.id)) ?? row;\n",
      },
    ],
  },
  {
    name: "an append that ignores what left the window",
    scenario: "a lost answer and many others meanwhile",
    patches: [
      shortMemory,
      {
        file: "apply.ts",
        from: "set.state === undefined) return true;",
        to: "set.state === undefined) return false;",
      },
    ],
  },
  {
    name: "a late writer that does not sweep",
    scenario: "an appender, a delete and a new life with two turns",
    patches: [
      {
        file: "outbox.ts",
        from: "    for (const { id, life } of [...unproven.values()]) await prove(id, life);\n",
        to: "",
      },
    ],
  },
  {
    name: "a writer that knows the version and not the row",
    scenario: "a writer, an appender and a reader",
    patches: [
      {
        file: "outbox.ts",
        from: "sessions.update(next, revision)",
        to: "sessions.findById(next.id).then((there) => sessions.update(next, there?.version === now?.row.version ? (there?.revision ?? revision) : revision))",
      },
    ],
  },
];
