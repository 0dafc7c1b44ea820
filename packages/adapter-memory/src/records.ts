import { type Records, type StoredRecord, compareBytes } from "@waymark/core/adapter";
import { type Store, copy } from "./store.js";

export function createRecords({ records }: Store): Records {
  const out = (record: StoredRecord): StoredRecord => ({ ...record, value: copy(record.value) });

  function put(record: StoredRecord): void {
    const scope = records.get(record.scope) ?? new Map<string, StoredRecord>();
    scope.set(record.key, out(record));
    records.set(record.scope, scope);
  }

  function remove(scope: string, key: string): boolean {
    const isRemoved = records.get(scope)?.delete(key) ?? false;
    if (records.get(scope)?.size === 0) records.delete(scope);
    return isRemoved;
  }

  return {
    async get(scope, key) {
      const record = records.get(scope)?.get(key);
      return record === undefined ? null : out(record);
    },

    async list(scope, { after, limit }) {
      const keys = behind(records.get(scope)?.keys() ?? [], after);
      const found = keys.slice(0, limit).map((key) => records.get(scope)?.get(key));
      return found.flatMap((record) => (record === undefined ? [] : [out(record)]));
    },

    async put(record, seen) {
      const present = records.get(record.scope)?.get(record.key);
      if ((present?.revision ?? null) !== seen) return false;
      put(record);
      return true;
    },

    async apply(changes) {
      for (const { scope, key, value, stamp, revision } of changes) {
        const present = records.get(scope)?.get(key);
        if (present !== undefined && compareBytes(present.stamp, stamp) >= 0) continue;
        if (value === null) remove(scope, key);
        else put({ scope, key, value, stamp, revision });
      }
    },

    async delete(scope, key, seen) {
      return records.get(scope)?.get(key)?.revision === seen && remove(scope, key);
    },

    async deleteScope(scope) {
      const count = records.get(scope)?.size ?? 0;
      records.delete(scope);
      return count;
    },

    async scopes({ after, limit }) {
      return behind(records.keys(), after).slice(0, limit);
    },
  };
}

/** Keys after `after`, in the order of their UTF-8 bytes. */
function behind(keys: Iterable<string>, after: string | undefined): string[] {
  const found = after === undefined ? [...keys] : [...keys].filter((key) => compareBytes(key, after) > 0);
  return found.toSorted(compareBytes);
}
