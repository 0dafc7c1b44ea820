import type { PersistenceAdapter } from "../../src/contract/adapter.js";
import { checkFind, compareFound, encodeCursor, matches } from "../../src/contract/find.js";
import type { Entry, SessionRow } from "../../src/contract/row.js";

/** What the store is about to do. */
export type Call =
  "create" | "findById" | "update" | "delete" | "find" | "insert" | "findBySessionId" | "deleteBySessionId";

/** The two repositories and nothing else, in two maps. */
export interface MapAdapter extends PersistenceAdapter {
  readonly rows: Map<string, SessionRow>;
  readonly entries: Map<string, Entry>;
  /** Called before each call; a throw or rejection fails it, before it has done anything. */
  before: (call: Call, id: string) => void | Promise<void>;
  /** Called after each call has done its work; a throw loses the answer. */
  after: (call: Call, id: string) => void | Promise<void>;
}

export function mapAdapter(): MapAdapter {
  const rows = new Map<string, SessionRow>();
  const entries = new Map<string, Entry>();
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

  const adapter: MapAdapter = {
    name: "map",
    rows,
    entries,
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
  };
  return adapter;
}
