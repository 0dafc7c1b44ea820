import {
  type Commit,
  type Json,
  type Outcome,
  type Turns,
  applyCommit,
  checkId,
} from "@waymark/core/adapter";
import type { Database } from "./database.js";
import type { Entries } from "./messages.js";
import {
  type Head,
  appendOperation,
  decodeHead,
  decodeRow,
  mayRemember,
  packSystem,
  unpackSystem,
} from "./row.js";
import type { Rows } from "./sessions.js";

/**
 * Each call is one transaction, and so one wait for the disk, however many turns it has. Nobody else writes between what is
 * read here and what is written.
 */
export function createTurns(db: Database, rows: Rows, entries: Entries): Turns {
  function apply(commit: Commit): Outcome {
    const head = rows.readHead(commit.id);
    if (head === undefined) {
      const applied = applyCommit(null, commit);
      if (!applied.write) return applied.outcome;
      rows.insert(applied.row);
      entries.insert(applied.entries);
      return applied.outcome;
    }
    let applied = applyTo(head, commit, systemFor(head, commit));
    if (!applied.write) return applied.outcome;
    if (head.dirty === 1) return { status: "busy" };
    let system = appendOperation(head, applied.operation);
    if (system === null) {
      // Core's part is not of the usual form: all of it is needed to write it again.
      applied = applyTo(head, commit, unpackSystem(head));
      if (!applied.write) return applied.outcome;
      system = packSystem(applied.row);
    }
    rows.move(head, applied.row, system, commit.set.state !== undefined);
    entries.insert(applied.entries);
    return applied.outcome;
  }

  return {
    groups: true,

    async commit(commits) {
      const isAlone = commits.length === 1;
      const doing = { operation: "commit", sessionId: isAlone ? commits[0]?.id : undefined };
      return db.write(doing, () =>
        commits.map((commit): Outcome => {
          try {
            checkId(commit.id, "commit");
          } catch (error) {
            return { status: "failed", error };
          }
          // A turn that is alone has the transaction to itself.
          if (isAlone) return apply(commit);
          const part = db.part({ operation: "commit", sessionId: commit.id }, () => apply(commit));
          return "error" in part ? { status: "failed", error: part.error } : part.result;
        }),
      );
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
  };
}

/** The rules do not look at the state: it is not read, and written only where the commit has another one. */
function applyTo(head: Head, commit: Commit, system: Json) {
  return applyCommit(decodeHead(head, null, system), commit);
}

/** Core's own part as far as the rules need it: the operations only where this one may be among them. */
function systemFor(head: Head, { operation, retry }: Commit): Json {
  if (retry !== undefined || mayRemember(head, operation.id)) return unpackSystem(head);
  return { pending: [], operations: [], count: head.operation_count };
}
