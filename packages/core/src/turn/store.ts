import type { PersistenceAdapter } from "../contract/adapter.js";
import { isExpired } from "../contract/expiry.js";
import type { Records, Search } from "../contract/facets.js";
import { checkIdBytes } from "../contract/id.js";
import type { SessionRepository } from "../contract/repositories.js";
import type { SessionRow } from "../contract/row.js";
import type { Commit, Committed, Outcome } from "../contract/turns.js";
import { CapabilityError, isWaymarkError } from "../errors.js";
import { type Append, createAppends } from "./appends.js";
import type { TurnEnvironment } from "./environment.js";
import { asRetry, createGroup } from "./group.js";
import { createLanes } from "./lane.js";
import { type Merged, loadMerged } from "./merge.js";
import { createOutbox } from "./outbox.js";
import { type Refused, isStored } from "./refusal.js";
import { createRemovals, largestRemoval } from "./removals.js";
import { type CommitNow, type Patience, checkPatience, triesWithoutAnswer } from "./patience.js";
import { systemOf } from "./system.js";
import { typedErrors } from "./typed.js";
import { type Range, lastOf, visibleRanges } from "./visible.js";

/**
 * Turns on any adapter: through its `turns` facet with group commit where it has one, otherwise through the outbox. The
 * only place that asks for the facet.
 */
export interface TurnStore {
  /**
   * Applies the commit that `plan` makes when the session's earlier work in this process is done. What `settle` makes of
   * the outcome happens before any later work of the session; it may ask for another commit.
   */
  inOrder<T>(id: string, work: (commit: CommitNow) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Adds messages at whatever version; calls that come while the session is at work become one commit, in their order. */
  append(append: Append): Promise<Committed | Refused>;
  /** The session with its last visible messages. Null: certainly no such session. */
  load(id: string, last: number): Promise<Merged | null>;
  /** The session with the messages that `choose` picks. */
  read(id: string, choose: (row: SessionRow) => readonly Range[]): Promise<Merged | null>;
  /** Rows that match; tombstones only where the filter asks for them. */
  find: SessionRepository["find"];
  /** The adapter's own, with typed errors. @throws `CAPABILITY_MISSING` where it has none. */
  records(operation: string): Records;
  /** Whether there are any. */
  readonly hasRecords: boolean;
  /** The adapter's own, with typed errors. @throws `CAPABILITY_MISSING` where it has none. */
  search(operation: string): Search;
  delete(id: string, owner: string | undefined, patience: Patience): Promise<boolean>;
  /** Removes the session if it still has the revision of `row`. False: a turn won. */
  prune(row: SessionRow): Promise<boolean>;
  /** How many calls of `prune` at once the store gains by; more would only wait for each other in its client. */
  readonly prunesAtOnce: number;
  /** Removes all messages but the newest `keep`; resolves to how many. Null: no such session. */
  trim(id: string, keep: number, owner: string | undefined, patience: Patience): Promise<number | null>;
  drain(id: string, patience: Patience): Promise<void>;
  /** Resolves when all work that was handed in before is done and delivered. */
  flush(): Promise<void>;
}

const sessionsRemembered = 1000;
/** Each takes four or five calls of the store, one after the other. */
const tombstonesAtOnce = 8;

export function createTurnStore(untyped: PersistenceAdapter, environment: TurnEnvironment): TurnStore {
  const adapter = typedErrors(untyped);
  const outbox = createOutbox(adapter, environment);
  const lanes = createLanes();
  /** How many operations a session is known to have had. */
  const counts = new Map<string, number>();
  const { turns } = adapter;
  const group = turns === undefined ? null : createGroup(turns);
  const appends = createAppends(lanes, commitNow, environment, adapter.limits.commitBytes);

  async function commitNow(
    commit: Commit,
    patience: Patience,
    known: number | null = null,
  ): Promise<Outcome> {
    checkPatience(patience, environment.now(), commit.id);
    checkIds("commit", commit.id, commit.owner, commit.set.userId);
    if (commit.records !== undefined && commit.records.length > 0) recordsOf("commit");
    if (group === null) return outbox.commit(commit, patience);
    const since = known ?? counts.get(commit.id) ?? null;
    let attempt = commit;
    for (let retry = 1; ; retry++) {
      const answer = await group.submit(attempt).then(
        (outcome) => ({ outcome }),
        (error: unknown) => ({ error }),
      );
      if ("outcome" in answer) {
        const { outcome } = answer;
        if (isStored(outcome)) remember(commit.id, outcome.operations);
        if (outcome.status !== "busy") return outcome;
        await outbox.drain(commit.id, patience);
        checkPatience(patience, environment.now(), commit.id);
      } else {
        // No answer: the same operation id finds out, and is harmless if the turn was stored. Where there is no more
        // patience, the caller is told that there was no answer, and not that nothing was written.
        const { error } = answer;
        const isOver = patience.signal?.aborted === true || environment.now() >= patience.deadline;
        if (isOver || retry >= triesWithoutAnswer || !isWaymarkError(error) || !error.retryable) throw error;
        attempt = asRetry(attempt, since);
      }
      await environment.pause(retry);
    }
  }

  /** What is an id at all was checked where it came in. @throws `INVALID_ID` where it is longer than the store takes. */
  function checkIds(operation: string, id: string, ...users: readonly (string | null | undefined)[]): void {
    const { idBytes } = adapter.limits;
    if (idBytes === undefined) return;
    checkIdBytes(id, idBytes, operation);
    for (const user of users) checkIdBytes(user ?? "", idBytes, operation, "user id");
  }

  function recordsOf(operation: string): Records {
    if (adapter.records !== undefined) return adapter.records;
    throw missing(
      operation,
      "keeps no records (it has no `records`); nothing was written. Use an adapter that does",
    );
  }

  function searchOf(operation: string): Search {
    if (adapter.search !== undefined) return adapter.search;
    throw missing(
      operation,
      "does not search (it has no `search`). Use an adapter that does; some have an option for it",
    );
  }

  function missing(operation: string, what: string): CapabilityError {
    return new CapabilityError(`${operation}: the adapter "${adapter.name}" ${what}`, { operation });
  }

  function remember(id: string, operations: number): void {
    counts.delete(id);
    counts.set(id, operations);
    const oldest = counts.size > sessionsRemembered ? counts.keys().next().value : undefined;
    if (oldest !== undefined) counts.delete(oldest);
  }

  async function load(id: string, last: number): Promise<Merged | null> {
    checkIds("load", id);
    if (turns !== undefined) {
      const loaded = await turns.load(id, { last });
      if (loaded === null || loaded.row.status === "deleting") return null;
      if (isExpired(loaded.row, environment.now())) return null;
      remember(id, systemOf(loaded.row).count);
      if (!loaded.row.dirty && isComplete(loaded, last)) return loaded;
    }
    return read(id, (row) => lastOf(visibleRanges(row), last));
  }

  async function read(id: string, choose: (row: SessionRow) => readonly Range[]): Promise<Merged | null> {
    checkIds("load", id);
    return loadMerged(adapter.messageRepository, () => outbox.findRow(id), choose);
  }

  return {
    inOrder: (id, work, signal) => {
      appends.seal(id);
      return lanes.run(id, () => work(commitNow), signal);
    },
    append: appends.add,
    load,
    read,
    find: async (filter, page) => {
      checkIds("find", "", filter.userId);
      return adapter.sessionRepository.find(filter, page);
    },
    records: recordsOf,
    hasRecords: adapter.records !== undefined,
    search: searchOf,
    delete: async (id, owner, patience) => {
      checkIds("delete", id, owner);
      appends.seal(id);
      return lanes.run(id, () => outbox.delete(id, owner, patience));
    },
    prune: turns?.remove === undefined ? outbox.prune : createRemovals(turns.remove),
    prunesAtOnce: turns?.remove === undefined ? tombstonesAtOnce : largestRemoval,
    trim: async (id, keep, owner, patience) => {
      checkIds("trim", id, owner);
      appends.seal(id);
      return lanes.run(id, () => outbox.trim(id, keep, owner, patience));
    },
    drain: outbox.drain,
    flush: async () => {
      await lanes.idle();
      await outbox.flush();
    },
  };
}

/** Whether what one trip brought is all that was asked for: a rewind may hide some of the last entries. */
function isComplete({ row, entries }: Merged, last: number): boolean {
  const wanted = lastOf(visibleRanges(row), last);
  let index = 0;
  for (const [from, to] of wanted) {
    for (let sequence = from; sequence <= to; sequence++)
      if (entries[index++]?.sequence !== sequence) return false;
  }
  return index === entries.length;
}
