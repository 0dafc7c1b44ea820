import type { PersistenceAdapter } from "../../src/contract/adapter.js";
import type { Records, StoredRecord } from "../../src/contract/facets.js";
import { checkFind, compareBytes, compareFound, encodeCursor, matches } from "../../src/contract/find.js";
import type { Entry, SessionRow } from "../../src/contract/row.js";

/** What the store is about to do. */
export type Call =
  | "create"
  | "findById"
  | "update"
  | "delete"
  | "find"
  | "insert"
  | "findBySessionId"
  | "deleteBySessionId"
  | "records.get"
  | "records.list"
  | "records.put"
  | "records.apply"
  | "records.delete"
  | "records.deleteScope"
  | "records.scopes";

/** The two repositories and records, in three maps. */
export interface MapAdapter extends PersistenceAdapter {
  readonly rows: Map<string, SessionRow>;
  readonly entries: Map<string, Entry>;
  /** By scope and key; a null value is what is left of a record that was removed. */
  readonly stored: Map<string, StoredRecord>;
  readonly records: Records;
  /** Called before each call; a throw or rejection fails it, before it has done anything. */
  before: (call: Call, id: string) => void | Promise<void>;
  /** Called after each call has done its work; a throw loses the answer. */
  after: (call: Call, id: string) => void | Promise<void>;
}

export function mapAdapter(): MapAdapter {
  const rows = new Map<string, SessionRow>();
  const entries = new Map<string, Entry>();
  const stored = new Map<string, StoredRecord>();
  const place = (scope: string, name: string) => JSON.stringify([scope, name]);
  const key = (id: string, log: string, sequence: number) => JSON.stringify([id, log, sequence]);

  async function call<T>(name: Call, id: string, work: () => T): Promise<T> {
    await adapter.before(name, id);
    // A real store answers later, so that others come in between.
    await new Promise((resolve) => setImmediate(resolve));
    const result = structuredClone(work());
    await adapter.after(name, id);
    return result;
  }

  const inLog = (id: string, log: string) =>
    [...entries.values()].filter((entry) => entry.sessionId === id && entry.log === log);

  const recordAt = (scope: string, name: string) => {
    const found = stored.get(place(scope, name));
    return found === undefined || found.value === null ? null : found;
  };
  const recordsIn = (scope: string) => [...stored.values()].filter((record) => record.scope === scope);
  const isRecord = ({ value }: StoredRecord) => value !== null;
  const keep = (record: StoredRecord) =>
    void stored.set(place(record.scope, record.key), structuredClone(record));

  const adapter: MapAdapter = {
    name: "map",
    rows,
    entries,
    stored,
    before: () => {},
    after: () => {},
    durability: "process",
    limits: { commitBytes: 1_000_000 },
    sessionRepository: {
      create: (row) =>
        call("create", row.id, () => {
          if (rows.has(row.id)) return false;
          rows.set(row.id, structuredClone(row));
          return true;
        }),
      findById: (id) => call("findById", id, () => rows.get(id) ?? null),
      update: (row, seen) =>
        call("update", row.id, () => {
          if (rows.get(row.id)?.revision !== seen) return false;
          rows.set(row.id, structuredClone(row));
          return true;
        }),
      delete: (id, seen) =>
        call("delete", id, () => (rows.get(id)?.revision === seen ? rows.delete(id) : false)),
      find: (filter, page) =>
        call("find", "", () => {
          const behind = checkFind(page);
          const found = [...rows.values()]
            .filter((row) => matches(row, filter) && (behind === null || compareFound(row, behind) > 0))
            .toSorted(compareFound);
          const items = found.slice(0, page.limit);
          const last = items.at(-1);
          return { items, next: found.length > items.length && last ? encodeCursor(last) : null };
        }),
    },
    messageRepository: {
      insert: (added) =>
        call("insert", added[0]?.sessionId ?? "", () => {
          for (const entry of added) {
            const at = key(entry.sessionId, entry.log, entry.sequence);
            if (!entries.has(at)) entries.set(at, structuredClone(entry));
          }
        }),
      findBySessionId: (id, { log, from, to }) =>
        call("findBySessionId", id, () =>
          inLog(id, log)
            .filter(({ sequence }) => sequence >= from && sequence <= to)
            .toSorted((a, b) => a.sequence - b.sequence),
        ),
      deleteBySessionId: (id, { log, to = Infinity }) =>
        call("deleteBySessionId", id, () => {
          const dead = inLog(id, log).filter(({ sequence }) => sequence <= to);
          for (const entry of dead) entries.delete(key(id, log, entry.sequence));
          return dead.length;
        }),
    },
    records: {
      get: (scope, name) => call("records.get", scope, () => recordAt(scope, name)),
      list: (scope, { after = "", limit }) =>
        call("records.list", scope, () =>
          recordsIn(scope)
            .filter((record) => isRecord(record) && compareBytes(record.key, after) > 0)
            .toSorted((a, b) => compareBytes(a.key, b.key))
            .slice(0, limit),
        ),
      put: (record, seen) =>
        call("records.put", record.scope, () => {
          if ((recordAt(record.scope, record.key)?.revision ?? null) !== seen) return false;
          keep(record);
          return true;
        }),
      apply: (writes) =>
        call("records.apply", writes[0]?.scope ?? "", () => {
          for (const write of writes) {
            const there = stored.get(place(write.scope, write.key));
            if (there === undefined || compareBytes(there.stamp, write.stamp) < 0) keep(write);
          }
        }),
      delete: (scope, name, seen) =>
        call("records.delete", scope, () =>
          recordAt(scope, name)?.revision === seen ? stored.delete(place(scope, name)) : false,
        ),
      deleteScope: (scope) =>
        call("records.deleteScope", scope, () => {
          const dead = recordsIn(scope);
          for (const record of dead) stored.delete(place(scope, record.key));
          return dead.filter(isRecord).length;
        }),
      scopes: ({ after = "", limit }) =>
        call("records.scopes", "", () => {
          const scopes = new Set([...stored.values()].filter(isRecord).map(({ scope }) => scope));
          return [...scopes]
            .filter((scope) => compareBytes(scope, after) > 0)
            .toSorted(compareBytes)
            .slice(0, limit);
        }),
    },
  };
  return adapter;
}
