import type { PersistenceAdapter } from "../contract/adapter.js";
import type { SessionRow } from "../contract/row.js";
import type { Commit, Committed, NewEntry, Outcome } from "../contract/turns.js";
import { isWaymarkError } from "../errors.js";
import type { TurnEnvironment } from "./environment.js";
import { asRetry, createGroup } from "./group.js";
import { createLanes } from "./lane.js";
import { type Merged, loadMerged } from "./merge.js";
import { createOutbox } from "./outbox.js";
import { type Refused, isStored } from "./refusal.js";
import { type Patience, checkPatience, triesWithoutAnswer } from "./patience.js";
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
  inOrder<T>(id: string, work: (commit: CommitNow) => Promise<T>): Promise<T>;
  /** Adds messages at whatever version; calls that come while the session is at work become one commit, in their order. */
  append(append: Append): Promise<Committed | Refused>;
  /** The session with its last visible messages. Null: certainly no such session. */
  load(id: string, last: number): Promise<Merged | null>;
  /** The session with the messages that `choose` picks. */
  read(id: string, choose: (row: SessionRow) => readonly Range[]): Promise<Merged | null>;
  delete(id: string, owner: string | undefined, patience: Patience): Promise<boolean>;
  prune(row: SessionRow): Promise<boolean>;
  drain(id: string, patience: Patience): Promise<void>;
  /** Resolves when all work that was handed in is done and delivered. */
  flush(): Promise<void>;
}

export type CommitNow = (commit: Commit, patience: Patience) => Promise<Outcome>;

/** Messages to add to a session that exists. */
export interface Append {
  readonly id: string;
  readonly owner?: string;
  readonly reopen?: boolean;
  readonly messages: readonly NewEntry[];
  readonly bytes: number;
  readonly patience: Patience;
}

interface WaitingAppend {
  readonly append: Append;
  resolve(outcome: Committed | Refused): void;
  reject(error: unknown): void;
}

const sessionsRemembered = 1000;

export function createTurnStore(adapter: PersistenceAdapter, environment: TurnEnvironment): TurnStore {
  const outbox = createOutbox(adapter, environment);
  const lanes = createLanes();
  const appends = new Map<string, WaitingAppend[]>();
  /** How many operations a session is known to have had. */
  const counts = new Map<string, number>();
  const { turns } = adapter;
  const group = turns === undefined ? null : createGroup(turns);

  async function commitNow(commit: Commit, patience: Patience): Promise<Outcome> {
    checkPatience(patience, environment.now(), commit.id);
    if (group === null) return outbox.commit(commit, patience);
    const since = counts.get(commit.id) ?? null;
    let attempt = commit;
    for (let retry = 1; ; retry++) {
      const answer = await group.submit(attempt, since).then(
        (outcome) => ({ outcome }),
        (error: unknown) => ({ error }),
      );
      if ("outcome" in answer) {
        const { outcome } = answer;
        if (isStored(outcome)) remember(commit.id, outcome.operations);
        if (outcome.status !== "busy") return outcome;
        await outbox.drain(commit.id, patience);
      } else {
        // No answer: the same operation id finds out, and is harmless if the turn was stored.
        if (retry >= triesWithoutAnswer || !isWaymarkError(answer.error) || !answer.error.retryable)
          throw answer.error;
        attempt = asRetry(attempt, since);
      }
      checkPatience(patience, environment.now(), commit.id);
      await environment.pause(retry);
    }
  }

  function remember(id: string, operations: number): void {
    counts.delete(id);
    counts.set(id, operations);
    const oldest = counts.size > sessionsRemembered ? counts.keys().next().value : undefined;
    if (oldest !== undefined) counts.delete(oldest);
  }

  function append(append: Append): Promise<Committed | Refused> {
    return new Promise((resolve, reject) => {
      const waiting = appends.get(append.id);
      if (waiting !== undefined) {
        waiting.push({ append, resolve, reject });
        return;
      }
      appends.set(append.id, [{ append, resolve, reject }]);
      // A microtask later the calls of the same tick are all here.
      void lanes.run(append.id, () => Promise.resolve().then(() => appendWaiting(append.id)));
    });
  }

  async function appendWaiting(id: string): Promise<void> {
    const waiting = appends.get(id) ?? [];
    const together = takeTogether(waiting, adapter.limits.commitBytes);
    if (waiting.length === 0) appends.delete(id);
    else void lanes.run(id, () => appendWaiting(id));
    const first = together[0]?.append;
    if (first === undefined) return;
    try {
      const outcome = await commitNow(appendCommit(together, first), first.patience);
      let offset = 0;
      for (const { append, resolve } of together) {
        resolve(part(outcome, offset, append.messages.length));
        offset += append.messages.length;
      }
    } catch (error) {
      for (const { reject } of together) reject(error);
    }
  }

  function appendCommit(together: readonly WaitingAppend[], { id, owner, reopen }: Append): Commit {
    return {
      id,
      expect: { kind: "append" },
      operation: { id: environment.newId(), digest: "" },
      revision: environment.newId(),
      at: environment.now(),
      ...(owner === undefined ? {} : { owner }),
      ...(reopen === undefined ? {} : { reopen }),
      set: reopen === true ? { status: "active", completedAt: null } : {},
      messages: together.flatMap(({ append }) => append.messages),
      history: [],
    };
  }

  async function load(id: string, last: number): Promise<Merged | null> {
    if (turns !== undefined) {
      const loaded = await turns.load(id, { last });
      if (loaded === null || loaded.row.status === "deleting") return null;
      if (!loaded.row.dirty && isComplete(loaded, last)) return loaded;
    }
    return read(id, (row) => lastOf(visibleRanges(row), last));
  }

  function read(id: string, choose: (row: SessionRow) => readonly Range[]): Promise<Merged | null> {
    return loadMerged(adapter.messageRepository, () => outbox.findRow(id), choose);
  }

  return {
    inOrder: (id, work) => lanes.run(id, () => work(commitNow)),
    append,
    load,
    read,
    delete: (id, owner, patience) => lanes.run(id, () => outbox.delete(id, owner, patience)),
    prune: outbox.prune,
    drain: outbox.drain,
    flush: async () => {
      await lanes.idle();
      await outbox.flush();
    },
  };
}

/** The appends at the head of the queue that may travel as one commit. */
function takeTogether(waiting: WaitingAppend[], commitBytes: number): WaitingAppend[] {
  const together: WaitingAppend[] = [];
  let bytes = 0;
  for (;;) {
    const next = waiting[0];
    const first = together[0];
    if (next === undefined) return together;
    bytes += next.append.bytes;
    if (first !== undefined && (!isAlike(first.append, next.append) || bytes > commitBytes / 2))
      return together;
    together.push(next);
    waiting.shift();
  }
}

function isAlike(a: Append, b: Append): boolean {
  return a.owner === b.owner && a.reopen === b.reopen && a.patience.signal === b.patience.signal;
}

/** The outcome of one call among those that were committed together. */
function part(outcome: Outcome, offset: number, length: number): Outcome {
  if (outcome.status !== "committed" && outcome.status !== "replayed") return outcome;
  const first = outcome.first + offset;
  return { ...outcome, first, last: first + length - 1 };
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
