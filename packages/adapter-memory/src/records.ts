import {
  type RecordWrite,
  type Records,
  type StoredRecord,
  checkRecordKey,
  compareBytes,
} from "@waymark/core/adapter";
import { type Store, copy } from "./store.js";

export function createRecords(store: Store): Records {
  const { records } = store;

  /** What is there and is a record: one that was removed by a stamp is kept without its value. */
  function find(scope: string, key: string): StoredRecord | undefined {
    const found = records.get(scope)?.get(key);
    return found === undefined || found.value === null ? undefined : found;
  }

  const inScope = (scope: string): StoredRecord[] =>
    [...(records.get(scope)?.values() ?? [])].filter(({ value }) => value !== null);

  return {
    async get(scope, key) {
      check(scope, key, "get");
      const found = find(scope, key);
      return found === undefined ? null : copy(found);
    },

    async list(scope, { after, limit }) {
      check(scope, after ?? "a", "list");
      const found = inScope(scope).toSorted((a, b) => compareBytes(a.key, b.key));
      return found
        .filter(({ key }) => isBehind(key, after))
        .slice(0, limit)
        .map((record) => copy(record));
    },

    async put(record, seen) {
      check(record.scope, record.key, "put");
      if ((find(record.scope, record.key)?.revision ?? null) !== seen) return false;
      setRecord(store, record);
      return true;
    },

    async apply(writes) {
      for (const { scope, key } of writes) check(scope, key, "apply");
      applyRecords(store, writes);
    },

    async delete(scope, key, seen) {
      check(scope, key, "delete");
      if (find(scope, key)?.revision !== seen) return false;
      records.get(scope)?.delete(key);
      return true;
    },

    async deleteScope(scope) {
      checkRecordKey(scope, "deleteScope", "scope");
      const count = inScope(scope).length;
      records.delete(scope);
      return count;
    },

    async scopes({ after, limit }) {
      const found = [...records.keys()].filter((scope) => inScope(scope).length > 0);
      return found
        .filter((scope) => isBehind(scope, after))
        .toSorted(compareBytes)
        .slice(0, limit);
    },
  };
}

/** Keeps each record unless what is there has a higher or equal stamp. */
export function applyRecords(store: Store, writes: readonly RecordWrite[]): void {
  for (const write of writes) {
    const present = store.records.get(write.scope)?.get(write.key);
    if (present === undefined || compareBytes(present.stamp, write.stamp) < 0) setRecord(store, write);
  }
}

function setRecord({ records }: Store, record: StoredRecord): void {
  const scope = records.get(record.scope) ?? new Map<string, StoredRecord>();
  scope.set(record.key, copy(record));
  records.set(record.scope, scope);
}

function isBehind(key: string, after: string | undefined): boolean {
  return after === undefined || compareBytes(key, after) > 0;
}

function check(scope: string, key: string, operation: string): void {
  checkRecordKey(scope, operation, "scope");
  checkRecordKey(key, operation);
}
