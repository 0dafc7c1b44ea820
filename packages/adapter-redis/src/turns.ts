import {
  type Commit,
  type Outcome,
  type RowChanges,
  type Turns,
  applyCommit,
  checkId,
} from "@waymark/core/adapter";
import { type Call, fail, guard } from "./client.js";
import { decodeEntries, decodeRow, encodeEntry } from "./rows.js";
import { load, turn, turnWithRecords } from "./scripts.js";
import { type Store, createRow, removeRow, updateRow } from "./store.js";

/** How often a row may change under a turn that is no plain one. */
const triesAtMost = 20;

export function createTurns(store: Store): Turns {
  const { run, keys } = store;

  function callOf(commit: Commit): Call {
    const { id, expect, records = [] } = commit;
    const both = [keys.session(id), keys.messages(id)];
    const args = argumentsOf(commit);
    const operations = expect.kind === "create" ? undefined : expect.operations;
    if (records.length === 0 && operations === undefined) return { script: turn, keys: both, args };
    for (const { key, value } of records) args.push(key, JSON.stringify(value));
    args.push(String(records.length * 2), operations === undefined ? "" : String(operations));
    return { script: turnWithRecords, keys: [...both, ...keys.records(id)], args };
  }

  async function commitOne(commit: Commit): Promise<Outcome> {
    if (commit.expect.kind === "create") return createOne(commit);
    for (let tries = 0; tries < triesAtMost; tries++) {
      const reply = await run(callOf(commit));
      if (typeof reply === "string" && reply.startsWith("[")) return committed(commit, reply);
      const row = typeof reply === "string" ? decodeRow(reply, commit.id, "commit") : null;
      const applied = applyCommit(row, commit);
      if (!applied.write) return applied.outcome;
      if (row === null || row.dirty) return { status: "busy" };
      // The script takes plain turns only: one that changes the owner, or brings the first records, also changes lists.
      if (await updateRow(store, applied.row, row.revision, applied)) return applied.outcome;
    }
    return { status: "busy" };
  }

  async function createOne(commit: Commit): Promise<Outcome> {
    const applied = applyCommit(null, commit);
    if (!applied.write) return applied.outcome;
    const present = await createRow(store, applied.row, applied);
    return present === null ? applied.outcome : applyCommit(present, commit).outcome;
  }

  return {
    commit: (commits) =>
      Promise.all(
        commits.map(async (commit): Promise<Outcome> => {
          try {
            checkId(commit.id, "commit");
            return await commitOne(commit);
          } catch (error) {
            return { status: "failed", error: fail(error, "commit", commit.id) };
          }
        }),
      ),

    async load(id, { last }) {
      checkId(id, "load");
      return guard("load", id, async () => {
        const keysOf = [keys.session(id), keys.messages(id)];
        const reply = await run({ script: load, keys: keysOf, args: [String(last)] });
        if (!Array.isArray(reply)) return null;
        const [text, from, ...texts]: unknown[] = reply;
        const row = decodeRow(text, id, "load");
        const range = { sessionId: id, log: row.life, from: Number(from), operation: "load" };
        return { row, entries: decodeEntries(texts, range) };
      });
    },

    remove: (sessions) =>
      Promise.all(
        sessions.map(async ({ id, revision }) => {
          checkId(id, "remove");
          const keysOf = [keys.session(id), keys.messages(id), ...keys.records(id)];
          return guard("remove", id, () => removeRow(store, { id, revision }, keysOf));
        }),
      ),
  };
}

function committed({ at }: Commit, reply: string): Outcome {
  const [life, version, first, last, operations] = JSON.parse(reply);
  return { status: "committed", life, version, first, last, at, operations };
}

function argumentsOf(commit: Commit): string[] {
  const { expect, operation, set, retry, messages, history } = commit;
  const version = expect.kind === "version" ? expect : null;
  const list = [
    version === null ? "" : JSON.stringify(version.version),
    version?.last === undefined ? "" : String(version.last),
    commit.owner === undefined ? "" : JSON.stringify(commit.owner),
    commit.reopen === true ? "1" : "",
    JSON.stringify(operation.id),
    `,"digest":${JSON.stringify(operation.digest)},`,
    retry === undefined ? "" : String(retry.since ?? "?"),
    String(commit.at),
    set.userId === undefined ? "" : JSON.stringify(set.userId),
    String(messages.length),
    "revision",
    JSON.stringify(commit.revision),
  ];
  const newest = messages.at(-1);
  if (newest !== undefined) list.push("lastMessageAt", String(newest.createdAt));
  for (const name of changeable) {
    const value = set[name];
    if (value !== undefined) list.push(name, JSON.stringify(value));
  }
  const args = [JSON.stringify(list), set.state === undefined ? "" : JSON.stringify(set.state)];
  for (const message of messages) args.push(encodeEntry(message));
  for (const entry of history) args.push(String(entry.sequence), encodeEntry(entry));
  return args;
}

const changeable = [
  "userId",
  "agentName",
  "status",
  "completedAt",
  "expiresAt",
  "route",
  "step",
] as const satisfies readonly (keyof RowChanges)[];
