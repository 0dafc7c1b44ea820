import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { RecordWrite, Records, StoredRecord } from "../contract/facets.js";
import { compareBytes } from "../contract/find.js";
import { checkRecordKey } from "../contract/id.js";
import { sessionOfScope } from "../contract/scope.js";
import { StorageError, isWaymarkError } from "../errors.js";
import type { Change } from "./change.js";
import type { Doing } from "./failure.js";
import { sessionsIn } from "./find.js";
import { type KeptRecord, type LogState, findLog, readLog } from "./log.js";
import { isScopeFolder } from "./names.js";
import { readRecords } from "./recent.js";
import type { Decision, Store } from "./store.js";

type Kept = readonly [key: string, record: KeptRecord];

/** A session's records are in its log, beside its row and messages; every other scope has a log of its own. */
export function createRecords(sessions: Store, scopes: Store): Records {
  function read<T>(scope: string, operation: string, use: (state: LogState | null, doing: Doing) => T): T {
    const session = sessionOfScope(scope);
    if (session !== null) {
      const doing = { operation, sessionId: session.id };
      return sessions.read(doing, (state) => use(state, doing));
    }
    const doing = { operation, sessionId: scope };
    try {
      return scopes.read(doing, (state) => use(state, doing));
    } catch (error) {
      throw ofNoSession(error, operation);
    }
  }

  async function write<T>(
    scope: string,
    operation: string,
    decide: (state: LogState | null) => Decision<T>,
  ): Promise<T> {
    const session = sessionOfScope(scope);
    if (session !== null) return sessions.write({ operation, sessionId: session.id }, decide);
    try {
      return await scopes.write({ operation, sessionId: scope }, decide);
    } catch (error) {
      throw ofNoSession(error, operation);
    }
  }

  return {
    async get(scope, key) {
      check(scope, key, "get");
      return read(scope, "get", (state, doing) => {
        const kept = presentIn(state, scope, key);
        if (state === null || kept === undefined) return null;
        return readRecords(state, scope, [[key, kept]], doing)[0] ?? null;
      });
    },

    async list(scope, { after, limit }) {
      check(scope, after ?? "-", "list");
      return read(scope, "list", (state, doing): readonly StoredRecord[] => {
        if (state === null) return [];
        const found = recordsIn(state, scope).filter(
          ([key]) => after === undefined || compareBytes(key, after) > 0,
        );
        const page = found.toSorted(([a], [b]) => compareBytes(a, b)).slice(0, limit);
        return readRecords(state, scope, page, doing);
      });
    },

    async put(record, seen) {
      check(record.scope, record.key, "put");
      const change = { records: [copy(record)] };
      return write(record.scope, "put", (state) =>
        (presentIn(state, record.scope, record.key)?.revision ?? null) === seen
          ? { answer: true, change }
          : { answer: false },
      );
    },

    async apply(writes) {
      const byScope = new Map<string, RecordWrite[]>();
      for (const one of writes) {
        check(one.scope, one.key, "apply");
        const inScope = byScope.get(one.scope);
        if (inScope === undefined) byScope.set(one.scope, [copy(one)]);
        else inScope.push(copy(one));
      }
      for (const [scope, group] of byScope)
        await write(scope, "apply", (state) => apply(state, scope, group));
    },

    async delete(scope, key, seen) {
      check(scope, key, "delete");
      return write(scope, "delete", (state) =>
        presentIn(state, scope, key)?.revision === seen
          ? { answer: true, change: forgetting(state, scope, key) }
          : { answer: false },
      );
    },

    async deleteScope(scope) {
      checkRecordKey(scope, "deleteScope", "scope");
      return write(scope, "deleteScope", (state): Decision<number> => {
        // What an earlier call removed, and could not yet bring off the disk.
        if (state === null || !state.records.has(scope))
          return { answer: 0, rewrite: state?.holdsRemoved === true };
        const change = forgetting(state, scope);
        return { answer: recordsIn(state, scope).length, change, rewrite: change.gone !== true };
      });
    },

    async scopes({ after = "", limit }) {
      const found: string[] = [];
      const take = (state: LogState | null) => {
        for (const scope of state?.records.keys() ?? [])
          if (state !== null && compareBytes(scope, after) > 0 && recordsIn(state, scope).length > 0)
            found.push(scope);
      };
      await sessions.guard({ operation: "scopes" }, async () => {
        for await (const { id } of sessionsIn(sessions))
          unlessDamaged(() => sessions.read({ operation: "scopes", sessionId: id }, take));
        for (const name of await readdir(scopes.directory)) {
          if (!isScopeFolder(name)) continue;
          unlessDamaged(() => take(readScope(join(scopes.directory, name))));
        }
      });
      return found.toSorted(compareBytes).slice(0, limit);
    },
  };
}

function recordsIn(state: LogState, scope: string): Kept[] {
  return [...(state.records.get(scope) ?? [])].filter(([, { isRemoved }]) => !isRemoved);
}

function presentIn(state: LogState | null, scope: string, key: string): KeptRecord | undefined {
  const kept = state?.records.get(scope)?.get(key);
  return kept === undefined || kept.isRemoved ? undefined : kept;
}

function apply(state: LogState | null, scope: string, writes: readonly RecordWrite[]): Decision<void> {
  const newest = new Map<string, RecordWrite>();
  for (const write of writes) {
    const there = newest.get(write.key) ?? state?.records.get(scope)?.get(write.key);
    if (there === undefined || compareBytes(there.stamp, write.stamp) < 0) newest.set(write.key, write);
  }
  return { answer: undefined, ...(newest.size === 0 ? {} : { change: { records: [...newest.values()] } }) };
}

/** The end of a scope, or of one record in it, and of the files where nothing else is in them. */
function forgetting(state: LogState | null, scope: string, key?: string): Change {
  const forget = key === undefined ? { scope } : { scope, key };
  if (state === null || state.cell !== null || state.logs.size > 0) return { forget };
  const isLastKey = key === undefined || state.records.get(scope)?.size === 1;
  return state.records.size === 1 && isLastKey ? { forget, gone: true } : { forget };
}

/** Where a log was closed and the next one is not open yet, both say the same. */
function readScope(folder: string): LogState | null {
  for (;;) {
    const name = findLog(folder);
    if (name === null) return null;
    const state = readLog(folder, name, { operation: "scopes" });
    if (state !== null) return state.gone ? null : state;
  }
}

/** As `find` does: the files stay as they are, and every call for what is in them is refused. */
function unlessDamaged(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isWaymarkError(error) || error.code !== "STORAGE_DAMAGED") throw error;
  }
}

/** The store names what it keeps by a session's id, which a scope is not. */
function ofNoSession(error: unknown, operation: string): unknown {
  if (!(error instanceof StorageError)) return error;
  const { code, message, retryable, cause } = error;
  return new StorageError(code, message, { operation, retryable, cause });
}

/** What is stored is not held by a caller, and the value not by the store. */
function copy(record: StoredRecord): StoredRecord {
  const { scope, key, value, revision, stamp } = record;
  return { scope, key, value: JSON.parse(JSON.stringify(value)), revision, stamp };
}

function check(scope: string, key: string, operation: string): void {
  checkRecordKey(scope, operation, "scope");
  checkRecordKey(key, operation);
}
