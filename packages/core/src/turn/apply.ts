import { isExpired } from "../contract/expiry.js";
import type { RecordWrite } from "../contract/facets.js";
import type { Entry, SessionRow } from "../contract/row.js";
import { sessionScope } from "../contract/scope.js";
import type { Commit, Committed, NewEntry, Outcome } from "../contract/turns.js";
import {
  type Operation,
  type System,
  emptySystem,
  historyLog,
  stampOf,
  systemOf,
  withOperation,
} from "./system.js";

/** What a commit makes of a row: nothing but an answer, or the row, entries and records to be stored together. */
export type Applied =
  | { readonly write: false; readonly outcome: Outcome }
  | {
      readonly write: true;
      readonly outcome: Committed;
      readonly row: SessionRow;
      readonly entries: readonly Entry[];
      /** As for `Records.apply`: under the row's guard, each has a higher stamp than what it replaces. */
      readonly records: readonly RecordWrite[];
      /** The newest in the row's `system`, for a store that need not write the others again. */
      readonly operation: Operation;
    };

/**
 * The rules of a turn, as one pure function: the row as it is now and a commit give the answer and, where it is to be
 * written, the next row with its entries. The caller makes the write conditional on the row that it passed in: by a
 * compare-and-set on `revision`, or under a lock of the store.
 */
export function applyCommit(row: SessionRow | null, commit: Commit): Applied {
  if (commit.expect.kind === "create") return row === null ? create(commit) : exists(row, commit);
  if (row === null || isOver(row, commit) || isForeign(row, commit) || isOtherLife(row, commit)) {
    return refuse({ status: "absent" });
  }
  const system = systemOf(row);
  const known = replay(row, system, commit);
  if (known !== null) return known;
  if (isForgotten(row, system, commit)) return refuse({ status: "unknown", version: row.version });
  if (isStale(row, system, commit)) return refuse({ status: "conflict", version: row.version });
  if (row.status !== "active" && commit.reopen !== true)
    return refuse({ status: "closed", rowStatus: row.status });
  return advance(row, system, commit);
}

function refuse(outcome: Outcome): Applied {
  return { write: false, outcome };
}

/** The row is what is left of a session. */
function isOver(row: SessionRow, { at }: Commit): boolean {
  return row.status === "deleting" || isExpired(row, at);
}

function isForeign(row: SessionRow, commit: Commit): boolean {
  return commit.owner !== undefined && row.userId !== null && row.userId !== commit.owner;
}

/** A version names the life that it belongs to: a session made again under its id is another session. */
function isOtherLife(row: SessionRow, { expect }: Commit): boolean {
  return expect.kind === "version" && !expect.version.startsWith(`${row.life}.`);
}

function exists(row: SessionRow, commit: Commit): Applied {
  // What is left takes the id until it is removed, which is core's to do.
  if (isOver(row, commit)) return refuse({ status: "busy" });
  if (isForeign(row, commit)) return refuse({ status: "exists" });
  return replay(row, systemOf(row), commit) ?? refuse({ status: "exists" });
}

function replay(row: SessionRow, system: System, commit: Commit): Applied | null {
  const known = system.operations.find((operation) => operation.id === commit.operation.id);
  if (known === undefined) return null;
  if (known.digest !== commit.operation.digest) return refuse({ status: "mismatch" });
  const { version, first, last, at } = known;
  return refuse({ status: "replayed", life: row.life, version, first, last, at, operations: system.count });
}

function isStale(row: SessionRow, system: System, { expect }: Commit): boolean {
  if (expect.kind === "create") return false;
  if (expect.operations !== undefined && system.count !== expect.operations) return true;
  if (expect.kind === "append") return false;
  return row.version !== expect.version || (expect.last !== undefined && row.last !== expect.last);
}

/**
 * The operation is not among those that the row remembers. Whether it was applied all the same, and forgotten since, can
 * only be excluded: by a memory that reaches back to when it was first tried, or by the version that it would have moved.
 */
function isForgotten(row: SessionRow, system: System, { retry, expect, set }: Commit): boolean {
  if (retry === undefined) return false;
  const remembersFrom = system.count - system.operations.length;
  if (remembersFrom === 0 || (retry.since !== null && retry.since >= remembersFrom)) return false;
  if (expect.kind !== "version" || set.state === undefined) return true;
  const { version } = expect;
  return (
    row.version !== version &&
    !system.operations.some((other) => other.from === version && other.version !== version)
  );
}

function create(commit: Commit): Applied {
  const { expect } = commit;
  if (expect.kind !== "create") return refuse({ status: "absent" });
  const blank: SessionRow = {
    id: commit.id,
    life: expect.life,
    revision: "",
    version: `${expect.life}.0`,
    userId: null,
    agentName: null,
    status: "active",
    first: 1,
    last: 0,
    lastMessageAt: null,
    createdAt: expect.createdAt,
    updatedAt: commit.at,
    completedAt: null,
    expiresAt: null,
    route: null,
    step: null,
    state: {},
    dirty: false,
    system: emptySystem,
  };
  return advance(blank, emptySystem, commit);
}

function advance(row: SessionRow, system: System, commit: Commit): Applied {
  const version =
    commit.set.state === undefined && commit.expect.kind !== "create" ? row.version : nextVersion(row);
  const first = row.last + 1;
  const last = row.last + commit.messages.length;
  // Also field by field: what follows a spread costs a microsecond each.
  const operation: Operation = {
    id: commit.operation.id,
    digest: commit.operation.digest,
    from: row.version,
    version,
    first,
    last,
    at: commit.at,
  };
  const next = withOperation(system, operation);
  const { count: operations } = next;
  return {
    write: true,
    outcome: { status: "committed", life: row.life, version, first, last, at: commit.at, operations },
    row: nextRow(row, commit, version, last, next),
    entries: entriesOf(row, commit),
    records: recordsOf(row, commit, operations),
    operation,
  };
}

// Field by field: spreading objects of this size is a third of all that a turn costs here.
function nextRow(row: SessionRow, commit: Commit, version: string, last: number, system: System): SessionRow {
  const { set } = commit;
  return {
    id: row.id,
    life: row.life,
    revision: commit.revision,
    version,
    userId: set.userId === undefined ? row.userId : set.userId,
    agentName: set.agentName === undefined ? row.agentName : set.agentName,
    status: set.status ?? row.status,
    first: row.first,
    last,
    lastMessageAt: commit.messages.at(-1)?.createdAt ?? row.lastMessageAt,
    createdAt: row.createdAt,
    updatedAt: commit.at,
    completedAt: set.completedAt === undefined ? row.completedAt : set.completedAt,
    expiresAt: set.expiresAt === undefined ? row.expiresAt : set.expiresAt,
    route: set.route === undefined ? row.route : set.route,
    step: set.step === undefined ? row.step : set.step,
    state: set.state === undefined ? row.state : set.state,
    dirty: false,
    system,
  };
}

function entriesOf(row: SessionRow, commit: Commit): Entry[] {
  const entries: Entry[] = [];
  for (const message of commit.messages) {
    entries.push(entryOf(row.id, row.life, row.last + entries.length + 1, message));
  }
  const log = historyLog(row.life);
  for (const entry of commit.history) entries.push(entryOf(row.id, log, entry.sequence, entry));
  return entries;
}

function entryOf(sessionId: string, log: string, sequence: number, entry: NewEntry): Entry {
  const { userId, role, content, createdAt, body } = entry;
  return { sessionId, log, sequence, userId, role, content, createdAt, body };
}

const noRecords: readonly RecordWrite[] = [];

function recordsOf(
  { id, life }: SessionRow,
  { records, revision }: Commit,
  operations: number,
): readonly RecordWrite[] {
  if (records === undefined || records.length === 0) return noRecords;
  const scope = sessionScope(id, life);
  const stamp = stampOf(operations);
  return records.map(({ key, value }) => ({ scope, key, value, revision, stamp }));
}

/** The version of the row after its state has changed once more. */
export function nextVersion(row: Pick<SessionRow, "life" | "version">): string {
  const number = Number(row.version.slice(row.life.length + 1));
  return `${row.life}.${number + 1}`;
}
