import {
  type Applied,
  type Commit,
  type Outcome,
  type Turns,
  applyCommit,
  checkId,
  historyLog,
  isWaymarkError,
  sessionScope,
} from "@waymark/core/adapter";
import type { Database } from "./database.js";
import type { Entries } from "./messages.js";
import type { KeptRecords } from "./records.js";
import { type Seen, decodeRow, seenAfter } from "./row.js";
import type { Rows } from "./sessions.js";
import { type PackedSystem, appendOperation, mayRemember, packSystem, unpackSystem } from "./system.js";

/** Commits that have come and are not yet at work, with their outcomes. */
interface Batch {
  readonly commits: Commit[];
  readonly outcomes: Promise<Outcome[]>;
}

/** Rows that are remembered as this process wrote them. */
const rowsRemembered = 1000;

/**
 * Each call is one transaction, and so one wait for the disk, however many turns it has. Nobody else writes between what is
 * read here and what is written.
 *
 * A row that this process wrote last need not be read for the next turn: a revision is never used again, so the row is as it
 * was if it still has that one, which the statement that writes it decides. All else is asked of the stored row.
 */
export function createTurns(db: Database, rows: Rows, entries: Entries, records: KeptRecords): Turns {
  const remembered = new Map<string, Seen>();
  let open: Batch | null = null;

  function apply(commit: Commit, moved: Map<string, Seen>): Outcome {
    const known = remembered.get(commit.id);
    const quick = known === undefined || moved.has(commit.id) ? null : move(known, commit, moved);
    if (quick?.status === "committed") return quick;
    const seen = rows.see(commit.id);
    if (seen !== null) return move(seen, commit, moved) ?? { status: "busy" };
    const applied = applyCommit(null, commit);
    if (!applied.write) return applied.outcome;
    rows.insert(applied.row);
    entries.insert(applied.entries);
    records.apply(applied.records);
    return applied.outcome;
  }

  /** Null: the row is not as it was seen. */
  function move(seen: Seen, commit: Commit, moved: Map<string, Seen>): Outcome | null {
    const { applied, packed } = applyTo(seen, commit);
    if (!applied.write) return applied.outcome;
    if (seen.row.dirty) return { status: "busy" };
    if (!rows.move(seen, applied.row, packed, commit.set.state !== undefined)) return null;
    entries.insert(applied.entries);
    records.apply(applied.records);
    moved.set(commit.id, seenAfter(seen, applied.row, packed));
    return applied.outcome;
  }

  function remember(moved: ReadonlyMap<string, Seen>): void {
    for (const [id, seen] of moved) {
      remembered.delete(id);
      if (seen.packed.system === null) remembered.set(id, seen);
      const oldest = remembered.size > rowsRemembered ? remembered.keys().next().value : undefined;
      if (oldest !== undefined) remembered.delete(oldest);
    }
  }

  async function commitAll(commits: readonly Commit[], isApart: boolean): Promise<Outcome[]> {
    const doing = { operation: "commit", sessionId: commits.length === 1 ? commits[0]?.id : undefined };
    const [outcomes, moved] = await db.write(doing, () => {
      // Of a try that was rolled back, nothing is remembered.
      const movedNow = new Map<string, Seen>();
      const answers = commits.map((commit): Outcome => {
        try {
          checkId(commit.id, "commit");
        } catch (error) {
          return { status: "failed", error };
        }
        if (!isApart) return apply(commit, movedNow);
        const own = new Map<string, Seen>();
        const part = db.part({ operation: "commit", sessionId: commit.id }, () => apply(commit, own));
        if ("error" in part) return { status: "failed", error: part.error };
        for (const [id, seen] of own) movedNow.set(id, seen);
        return part.result;
      });
      return [answers, movedNow];
    });
    remember(moved);
    return outcomes;
  }

  async function commitTogether(commits: readonly Commit[]): Promise<Outcome[]> {
    try {
      return await commitAll(commits, false);
    } catch (error) {
      if (commits.length === 1 || (isWaymarkError(error) && error.retryable)) throw error;
    }
    // One of them fails by what it is: all were rolled back, and each goes again in a part of its own.
    return commitAll(commits, true);
  }

  /** Calls of the same moment share a transaction: two after each other would wait for the disk twice. */
  function openBatch(): Batch {
    const commits: Commit[] = [];
    const outcomes = Promise.resolve().then(() => {
      open = null;
      return commitTogether(commits);
    });
    return { commits, outcomes };
  }

  return {
    groups: true,

    async commit(commits) {
      const batch = (open ??= openBatch());
      const from = batch.commits.push(...commits) - commits.length;
      const outcomes = await batch.outcomes;
      return outcomes.slice(from, from + commits.length);
    },

    async load(id, { last }) {
      checkId(id, "load");
      return db.read({ operation: "load", sessionId: id }, () => {
        const found = rows.read(id);
        if (found === undefined) return null;
        const row = decodeRow(found);
        const from = Math.max(row.first, row.last - last + 1);
        return { row, entries: from > row.last ? [] : entries.find(id, row.life, from, row.last) };
      });
    },

    async remove(sessions) {
      for (const { id } of sessions) checkId(id, "remove");
      return db.write({ operation: "remove", sessionId: sessions[0]?.id }, () =>
        sessions.map(({ id, revision }) => {
          const life = rows.see(id)?.row.life;
          if (life === undefined || !rows.remove(id, revision)) return false;
          for (const log of [life, historyLog(life)]) entries.remove(id, log, Infinity);
          records.removeScope(sessionScope(id, life));
          return true;
        }),
      );
    },
  };
}

/** The operations are looked into only where this one may be among them. */
function applyTo(seen: Seen, commit: Commit): { applied: Applied; packed: PackedSystem } {
  const { row, packed } = seen;
  if (commit.retry === undefined && !mayRemember(packed, commit.operation.id)) {
    const applied = applyCommit(row, commit);
    if (!applied.write) return { applied, packed };
    const next = appendOperation(row.life, packed, applied.operation);
    if (next !== null) return { applied, packed: next };
  }
  const applied = applyCommit({ ...row, system: unpackSystem(row, packed) }, commit);
  return { applied, packed: applied.write ? packSystem(applied.row) : packed };
}
