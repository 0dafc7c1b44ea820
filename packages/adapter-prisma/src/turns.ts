import {
  type Commit,
  type Entry,
  type LoadedRow,
  type Outcome,
  type SeenRow,
  type SessionRow,
  type Turns,
  applyCommit,
  checkId,
  sessionScope,
} from "@waymark/core/adapter";
import { type Doing, type PrismaClientLike, countOf, run, transaction } from "./client.js";
import { type Entries, listOf } from "./messages.js";
import type { KeptRecords } from "./records.js";
import type { Codec } from "./row.js";
import { type Models, type Names, keepsRecords, modelsOf } from "./schema.js";
import type { Rows } from "./sessions.js";

/** Tries of a commit that others were faster than, before the caller is told that the session is busy. */
const tries = 5;

/** Enough for the sessions that one process serves at a time; a row that is not held costs one more read. */
const rowsHeld = 500;

/**
 * Each turn is one call: the nested update of the row that this process wrote or read last, on the condition that it still has
 * that revision. Where it has another one, the row is read, and the rules decide again.
 */
export function createTurns(
  client: PrismaClientLike,
  models: () => Models,
  names: Names,
  codec: Codec,
  rows: Rows,
  stored: Entries,
  kept: KeptRecords,
): Turns {
  const {
    sessions: { fields: f },
    relation,
    messages: { fields: m },
  } = names;
  /** Rows without their states, which a turn either replaces or leaves alone. */
  const held = new Map<string, SessionRow>();

  function hold(row: SessionRow): void {
    held.delete(row.id);
    // What it holds of the outbox has to be delivered first.
    if (row.dirty) return;
    held.set(row.id, { ...row, state: null });
    const oldest = held.size > rowsHeld ? held.keys().next().value : undefined;
    if (oldest !== undefined) held.delete(oldest);
  }

  async function create(commit: Commit): Promise<Outcome> {
    const doing = { operation: "commit", sessionId: commit.id };
    for (let retry = 0; retry < tries; retry++) {
      const applied = applyCommit(null, commit);
      if (!applied.write) return applied.outcome;
      if (await rows.insert(applied.row, applied, doing)) {
        hold(applied.row);
        return applied.outcome;
      }
      const row = await rows.read(commit.id, doing);
      if (row !== null) return applyCommit(row, commit).outcome;
    }
    return { status: "busy" };
  }

  async function advance(commit: Commit): Promise<Outcome> {
    const doing = { operation: "commit", sessionId: commit.id };
    let row = held.get(commit.id) ?? null;
    // What this process holds may be old: only a row that was read in this call can refuse.
    let isRead = row === null;
    row ??= await rows.read(commit.id, doing);
    for (let retry = 0; retry < tries; retry++) {
      const applied = applyCommit(row, commit);
      if (!applied.write && isRead) return applied.outcome;
      if (applied.write && row !== null) {
        if (row.dirty) return { status: "busy" };
        held.delete(commit.id);
        const data = codec.encodeChanges(row, applied.row, commit.set.state !== undefined);
        if (await rows.replace(commit.id, row.revision, data, applied, doing)) {
          hold(applied.row);
          return applied.outcome;
        }
      }
      row = await rows.read(commit.id, doing);
      isRead = true;
    }
    return { status: "busy" };
  }

  async function commitOne(commit: Commit): Promise<Outcome> {
    try {
      checkId(commit.id, "commit");
      return await (commit.expect.kind === "create" ? create(commit) : advance(commit));
    } catch (error) {
      return { status: "failed", error };
    }
  }

  /** The row and its newest messages, of whatever log, by one call. */
  async function loadNewest(id: string, last: number): Promise<LoadedRow | null> {
    const newest = { orderBy: { [m.sequence]: "desc" }, take: last, select: codec.entrySelect };
    const select = last === 0 ? codec.rowSelect : { ...codec.rowSelect, [relation]: newest };
    const doing = { operation: "load", sessionId: id };
    const found = await run(doing, () => models().sessions.findUnique({ where: { [f.id]: id }, select }));
    if (found === null) return null;
    const [data] = listOf([found]);
    const entries = listOf(data?.[relation]).map((entry) => codec.decodeEntry(entry, id));
    return { row: codec.decodeRow(found, "load"), entries: entries.toReversed() };
  }

  /** The scope of each session's records. A revision belongs to one life. */
  async function scopesOf(seen: readonly SeenRow[], doing: Doing): Promise<Map<string, string>> {
    const scopes = new Map<string, string>();
    if (!keepsRecords(client, names)) return scopes;
    const where = { [f.id]: { in: seen.map(({ id }) => id) } };
    const select = { [f.id]: true, [f.life]: true };
    const found = await run(doing, () => models().sessions.findMany({ where, select }));
    for (const row of listOf(found)) {
      const [id, life] = [String(row[f.id]), String(row[f.life])];
      scopes.set(id, sessionScope(id, life));
    }
    return scopes;
  }

  return {
    commit: (commits) => Promise.all(commits.map(commitOne)),

    async load(id, { last }) {
      checkId(id, "load");
      for (let retry = 1; ; retry++) {
        const loaded = await loadNewest(id, last);
        if (loaded === null) return null;
        const { row } = loaded;
        hold(row);
        const from = Math.max(row.first, row.last - last + 1);
        const isWanted = ({ log, sequence }: Entry) =>
          log === row.life && sequence >= from && sequence <= row.last;
        const entries = loaded.entries.filter(isWanted);
        if (entries.length === Math.max(0, row.last - from + 1)) return { row, entries };
        // Others were among the newest: route history, or messages that were stored after the row was read. Entries never
        // change, so that those of the row's own range are its snapshot unless some were removed meanwhile.
        const own = await stored.find(id, row.life, from, row.last, { operation: "load", sessionId: id });
        if (own.length === row.last - from + 1 || retry === tries) return { row, entries: own };
        const now = await rows.read(id, { operation: "load", sessionId: id });
        if (now?.revision === row.revision) return { row, entries: own };
      }
    },

    async remove(seen) {
      for (const { id } of seen) checkId(id, "remove");
      const doing = { operation: "remove", sessionId: seen[0]?.id };
      // In the order of the ids: two processes that remove the same sessions must not wait for each other.
      const inOrder = seen.toSorted((a, b) => (a.id < b.id ? -1 : 1));
      const scopes = await scopesOf(seen, doing);
      const removed = new Set<string>();
      const work = async (inside: PrismaClientLike): Promise<void> => {
        removed.clear();
        const { sessions } = modelsOf(inside, names);
        for (const { id, revision } of inOrder) {
          const count = await sessions.deleteMany({ where: { [f.id]: id, [f.revision]: revision } });
          if (countOf(count, doing) > 0) removed.add(id);
        }
        const ended = [...removed].flatMap((id) => scopes.get(id) ?? []);
        if (ended.length > 0) await kept.removeScopes(inside, ended);
      };
      await run(doing, () => transaction(client, work));
      for (const { id } of seen) held.delete(id);
      return seen.map(({ id }) => removed.has(id));
    },
  };
}
