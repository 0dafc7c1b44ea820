import type { PersistenceAdapter } from "../contract/adapter.js";
import { isExpired } from "../contract/expiry.js";
import type { RecordWrite, Records } from "../contract/facets.js";
import type { Entry, SessionRow } from "../contract/row.js";
import { sessionScope } from "../contract/scope.js";
import type { Commit, Outcome } from "../contract/turns.js";
import { CapabilityError, storageError } from "../errors.js";
import { applyCommit } from "./apply.js";
import type { TurnEnvironment } from "./environment.js";
import { type Merged, loadMerged } from "./merge.js";
import { type Patience, checkPatience, triesWithoutAnswer } from "./patience.js";
import { tooLarge } from "./plan.js";
import { jsonBytes } from "./size.js";
import { emptySystem, historyLog, systemOf, withoutPending } from "./system.js";
import { type Range, lastOf, visibleRanges } from "./visible.js";

/** A row that this process wrote or read last, with the delivery of what it has pending. */
interface Held {
  readonly row: SessionRow;
  /** Present where this process has begun to insert what the row has pending; resolves to whether it is in. */
  readonly delivered?: Promise<boolean>;
}

/** A life whose logs or records were written into, and the last write. */
interface Unproven {
  readonly id: string;
  readonly life: string;
  readonly inserted: Promise<void>;
}

/**
 * Whole turns on a store that writes one row at a time. A turn is committed in the session row, which carries its entries
 * as `pending`, and is delivered from there: each sequence `first..last` is always in the message repository or in
 * `pending`, and a reader merges the two. Records go the same way.
 */
export interface Outbox {
  commit(commit: Commit, patience: Patience): Promise<Outcome>;
  /** The row, unless it is gone or a tombstone. */
  findRow(id: string): Promise<SessionRow | null>;
  /** Entries in the ranges that `choose` picks of a row, and that row. Null: no such session. */
  load(id: string, choose: (row: SessionRow) => readonly Range[]): Promise<Merged | null>;
  /** Removes the session of `owner`; finishes a delete that was begun. False: there was none. */
  delete(id: string, owner: string | undefined, patience: Patience): Promise<boolean>;
  /** Removes the session if it still has the revision `seen`. False: a turn won. */
  prune(row: SessionRow): Promise<boolean>;
  /** Removes all messages but the newest `keep`; resolves to how many. Null: no such session. */
  trim(id: string, keep: number, owner: string | undefined, patience: Patience): Promise<number | null>;
  /** Delivers what the row holds, or removes what is left of a session. */
  drain(id: string, patience: Patience): Promise<void>;
  /** Resolves when everything that this process committed is delivered, and what it wrote into ended lives is removed. */
  flush(): Promise<void>;
}

/** What a turn has written besides its row. */
interface Parts {
  readonly entries: readonly Entry[];
  readonly records: readonly RecordWrite[];
}

const nothing: Parts = { entries: [], records: [] };

function pendingOf(row: SessionRow): Parts {
  const { pending: entries, records = nothing.records } = systemOf(row);
  return { entries, records };
}

function isNothing({ entries, records }: Parts): boolean {
  return entries.length === 0 && records.length === 0;
}

/** False: the store refused. An error: it gave no answer, so the write may have happened or happen yet. */
type Answer = boolean | { readonly error: unknown };

/** Enough for the sessions that one process serves at a time; a row that is not held costs one more read. */
const rowsHeld = 500;

export function createOutbox(adapter: PersistenceAdapter, environment: TurnEnvironment): Outbox {
  const { sessionRepository: sessions, messageRepository: messages } = adapter;
  const held = new Map<string, Held>();
  /** Lives whose logs or records this process wrote into without having seen since that their life goes on. */
  const unproven = new Map<string, Unproven>();

  function hold(id: string, next: Held): void {
    held.delete(id);
    held.set(id, next);
    const [oldest] = held.size > rowsHeld ? held.keys() : [];
    if (oldest !== undefined) held.delete(oldest);
  }

  /** Work that goes on after the answer. What fails here is found again: by the next turn, `flush` or prune. */
  function later(work: Promise<unknown>): void {
    try {
      environment.waitUntil(work.catch(() => {}));
    } catch {
      // The turn is stored, whatever the host's hook does.
    }
  }

  async function insert(row: SessionRow, parts: Parts): Promise<void> {
    if (isNothing(parts)) return;
    const inserted = insertParts(parts);
    unproven.set(`${row.life} ${row.id}`, { id: row.id, life: row.life, inserted });
    const [oldest] = unproven.size > rowsHeld ? unproven : [];
    if (oldest !== undefined) later(proveLater(...oldest));
    await inserted;
  }

  async function insertParts({ entries, records }: Parts): Promise<void> {
    if (records.length > 0) await recordsFacet().apply(records);
    if (entries.length > 0) await messages.insert(entries);
  }

  /** @throws `CAPABILITY_MISSING` where the row has records and the adapter, perhaps another than before, does not keep them. */
  function recordsFacet(): Records {
    if (adapter.records !== undefined) return adapter.records;
    throw new CapabilityError(`the session has records, which the adapter "${adapter.name}" cannot keep`, {
      operation: "commit",
    });
  }

  /** An insert may land after a delete: never visible, but data. Where the life is over, its log goes. */
  async function prove(id: string, life: string): Promise<void> {
    if (!unproven.has(`${life} ${id}`)) return;
    await sweep(id, life);
    unproven.delete(`${life} ${id}`);
  }

  async function proveLater(key: string, written: Unproven): Promise<void> {
    unproven.delete(key);
    try {
      await written.inserted;
      await sweep(written.id, written.life);
    } catch {
      unproven.set(key, written);
    }
  }

  async function sweep(id: string, life: string): Promise<void> {
    const row = await sessions.findById(id);
    if (row === null || row.life !== life || row.status === "deleting") await removeLogs(id, life);
  }

  async function removeLogs(id: string, life: string): Promise<void> {
    await messages.deleteBySessionId(id, { log: life });
    await messages.deleteBySessionId(id, { log: historyLog(life) });
    await adapter.records?.deleteScope(sessionScope(id, life));
  }

  /** Makes sure that what the row holds is where it belongs. */
  async function deliver({ row, delivered }: Held): Promise<void> {
    const parts = pendingOf(row);
    if (isNothing(parts) || (delivered !== undefined && (await delivered))) return;
    await insert(row, parts);
  }

  async function commit(commit: Commit, patience: Patience): Promise<Outcome> {
    if (commit.expect.kind === "create") return create(commit, commit.expect.createdAt, patience);
    let now = held.get(commit.id) ?? null;
    // What this process holds may be old: only a row that was read in this call can refuse.
    let isRead = now === null;
    if (now === null) now = await read(commit.id);
    let tried: { readonly life: string; readonly answer: Answer } | null = null;
    let attempt = commit;
    for (let retry = 1; ; retry++) {
      const row: SessionRow | null =
        now === null || (tried !== null && tried.life !== now.row.life) ? null : now.row;
      const applied = applyCommit(row, attempt);
      if (!applied.write) {
        if (isRead) {
          if (row === null && tried !== null) await prove(commit.id, tried.life);
          // A try whose answer was lost has nobody yet to deliver what it committed.
          if (tried !== null && now !== null && applied.outcome.status === "replayed") {
            acknowledge(now.row, pendingOf(now.row));
          }
          return applied.outcome;
        }
      } else if (now !== null) {
        if (tried !== null) goOn(patience, commit.id, tried.answer, retry - 1);
        await deliver(now);
        const { revision, life } = now.row;
        const next = withPending(applied.row, applied);
        const answer = await ask(() => sessions.update(next, revision));
        if (answer === true) {
          acknowledge(next, applied);
          return applied.outcome;
        }
        // A refused try on a row of an earlier life was made too late: it says nothing of the life that there is now.
        if (isRead || answer !== false) {
          tried = { life, answer };
          // Not applied up to this row: that much is known, whatever becomes of a try without an answer. A refusal is one.
          if (answer !== false || attempt.retry !== undefined) {
            attempt = { ...attempt, retry: { since: systemOf(now.row).count } };
          }
        }
        if (isRead) await environment.pause(retry);
      }
      now = await read(commit.id);
      isRead = true;
    }
  }

  async function create(commit: Commit, createdAt: number, patience: Patience): Promise<Outcome> {
    for (let retry = 1; ; retry++) {
      // A try whose answer was lost may land later: the next one must not be taken for it.
      const life = environment.newId();
      const applied = applyCommit(null, { ...commit, expect: { kind: "create", life, createdAt } });
      if (!applied.write) return applied.outcome;
      const next = withPending(applied.row, applied);
      const answer = await ask(() => sessions.create(next));
      if (answer === true) {
        acknowledge(next, applied);
        return applied.outcome;
      }
      const found = await read(commit.id);
      if (found !== null && !isOver(found.row)) return applyCommit(found.row, commit).outcome;
      if (found !== null) await clear(found.row);
      goOn(patience, commit.id, answer, retry);
      await environment.pause(retry);
    }
  }

  async function ask(write: () => Promise<boolean>): Promise<Answer> {
    try {
      return await write();
    } catch (error) {
      return { error };
    }
  }

  /** Throws where another try is not wanted: for a store that gave no answer, its error says whether one may help. */
  function goOn(patience: Patience, sessionId: string, answer: Answer, retry: number): void {
    if (typeof answer === "object") {
      const error = storageError(answer.error, { operation: "commit", sessionId });
      const isOver = patience.signal?.aborted === true || environment.now() >= patience.deadline;
      // The write may still arrive: to say that nothing was written would be wrong.
      if (isOver || !error.retryable || retry >= triesWithoutAnswer) throw error;
    }
    checkPatience(patience, environment.now(), sessionId);
  }

  function withPending(row: SessionRow, parts: Parts): SessionRow {
    const { entries, records } = parts;
    const more = records.length === 0 ? undefined : { records };
    const system = { ...systemOf(row), pending: entries, ...more };
    const whole = isNothing(parts) ? row : { ...row, dirty: true, system };
    const bytes = jsonBytes(whole, adapter.limits.commitBytes);
    if (bytes > adapter.limits.commitBytes) throw tooLarge(row.id, bytes, adapter.limits.commitBytes);
    return whole;
  }

  /** The commit point has passed. The rest is inserted in the background: every reader merges it meanwhile. */
  function acknowledge(row: SessionRow, parts: Parts): void {
    unproven.delete(`${row.life} ${row.id}`);
    if (isNothing(parts)) return hold(row.id, { row });
    const delivered = insert(row, parts).then(
      () => true,
      () => false,
    );
    hold(row.id, { row, delivered });
    later(delivered);
  }

  async function read(id: string): Promise<Held | null> {
    const before = held.get(id);
    const row = await sessions.findById(id);
    if (row === null) {
      held.delete(id);
      return null;
    }
    // The delivery belongs to the row that was committed here, and to no other.
    const next =
      before?.delivered !== undefined && before.row.revision === row.revision
        ? { row, delivered: before.delivered }
        : { row };
    hold(id, next);
    return next;
  }

  async function findRow(id: string): Promise<SessionRow | null> {
    const now = await read(id);
    return now === null || isOver(now.row) ? null : now.row;
  }

  /** The row is what is left of a session. */
  function isOver(row: SessionRow): boolean {
    return row.status === "deleting" || isExpired(row, environment.now());
  }

  /** Removes what is left, so that the id is free. */
  async function clear(row: SessionRow): Promise<void> {
    if (row.status === "deleting") return finishDelete(row);
    const answer = await bury(row);
    if (typeof answer === "object")
      throw storageError(answer.error, { operation: "delete", sessionId: row.id });
  }

  async function remove(id: string, owner: string | undefined, patience: Patience): Promise<boolean> {
    for (let retry = 1, begun: string | null = null; ; retry++) {
      const now = await read(id);
      if (now === null || (begun !== null && now.row.life !== begun)) return begun !== null;
      if (owner !== undefined && now.row.userId !== null && now.row.userId !== owner) return false;
      if (isOver(now.row)) {
        await clear(now.row);
        // A tombstone of somebody else is a delete that was answered, or never will be: this call was not the one.
        return begun !== null;
      }
      begun = now.row.life;
      const answer = await bury(now.row);
      if (answer === true) return true;
      goOn(patience, id, answer, retry);
      await environment.pause(retry);
    }
  }

  async function bury(row: SessionRow): Promise<Answer> {
    const tombstone: SessionRow = {
      ...row,
      revision: environment.newId(),
      status: "deleting",
      route: null,
      step: null,
      state: null,
      dirty: false,
      system: emptySystem,
      updatedAt: environment.now(),
    };
    const answer = await ask(() => sessions.update(tombstone, row.revision));
    if (answer === true) await finishDelete(tombstone);
    return answer;
  }

  async function prune(row: SessionRow): Promise<boolean> {
    const answer = await bury(row);
    if (typeof answer === "boolean") return answer;
    throw storageError(answer.error, { operation: "prune", sessionId: row.id });
  }

  /** Messages and records first, and the tombstone only when they are gone: a crash in between is finished by the next delete. */
  async function finishDelete(tombstone: SessionRow): Promise<void> {
    const mine = held.get(tombstone.id);
    if (mine?.row.life === tombstone.life) await mine.delivered;
    held.delete(tombstone.id);
    await removeLogs(tombstone.id, tombstone.life);
    await sessions.delete(tombstone.id, tombstone.revision);
    unproven.delete(`${tombstone.life} ${tombstone.id}`);
  }

  async function trim(
    id: string,
    keep: number,
    owner: string | undefined,
    patience: Patience,
  ): Promise<number | null> {
    for (let retry = 1; ; retry++) {
      const now = await read(id);
      if (now === null || isOver(now.row)) return null;
      const { row } = now;
      if (owner !== undefined && row.userId !== null && row.userId !== owner) return null;
      const [oldest] = lastOf(visibleRanges(row), keep);
      const first = oldest === undefined ? row.last + 1 : oldest[0];
      const answer = first > row.first ? await moveFirst(now, first) : true;
      // Only now: whoever has read the row that was, finds them. What a crash leaves here, the next trim removes.
      if (answer === true)
        return first > 1 ? messages.deleteBySessionId(id, { log: row.life, to: first - 1 }) : 0;
      goOn(patience, id, answer, retry);
      await environment.pause(retry);
    }
  }

  async function moveFirst(now: Held, first: number): Promise<Answer> {
    await deliver(now);
    const { row } = now;
    const system = withoutPending(systemOf(row));
    const next: SessionRow = { ...row, revision: environment.newId(), first, dirty: false, system };
    const answer = await ask(() => sessions.update(next, row.revision));
    if (answer === true) acknowledge(next, nothing);
    return answer;
  }

  async function drain(id: string, patience: Patience): Promise<void> {
    for (let retry = 1; ; retry++) {
      const now = await read(id);
      if (now === null) return;
      if (isOver(now.row)) return clear(now.row);
      const system = systemOf(now.row);
      if (!now.row.dirty) return;
      await deliver(now);
      const clean: SessionRow = {
        ...now.row,
        revision: environment.newId(),
        dirty: false,
        system: withoutPending(system),
      };
      const answer = await ask(() => sessions.update(clean, now.row.revision));
      if (answer === true) return acknowledge(clean, nothing);
      goOn(patience, id, answer, retry);
      await environment.pause(retry);
    }
  }

  async function flush(): Promise<void> {
    for (const now of [...held.values()]) {
      if (now.delivered === undefined) continue;
      await deliver(now);
      const latest = held.get(now.row.id);
      if (latest === now) held.set(now.row.id, { row: now.row, delivered: Promise.resolve(true) });
    }
    for (const { id, life } of [...unproven.values()]) await prove(id, life);
  }

  return {
    commit,
    findRow,
    load: (id, choose) => loadMerged(messages, () => findRow(id), choose),
    delete: remove,
    prune,
    trim,
    drain,
    flush,
  };
}
