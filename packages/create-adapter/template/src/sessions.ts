import {
  type SessionRepository,
  type SessionRow,
  checkFind,
  checkId,
  compareFound,
  encodeCursor,
  matches,
} from "@waymark/core/adapter";
import type { Store } from "./store.js";

export function createSessions(store: Store): SessionRepository {
  return {
    // Insert, or answer false where the id is there: in one step, since two may come at once.
    async create(row) {
      checkId(row.id, "create");
      const map: Map<string, string> = store;
      if (map.has(rowKey(row.id))) return false;
      map.set(rowKey(row.id), JSON.stringify(row));
      return true;
    },

    // Null says that there is no such row. Throw where the store cannot be asked.
    async findById(id) {
      checkId(id, "findById");
      const map: Map<string, string> = store;
      return decodeRow(map.get(rowKey(id)));
    },

    // Replace the whole row if its revision is `seen`: the comparison is part of the write.
    async update(row, seen) {
      checkId(row.id, "update");
      const map: Map<string, string> = store;
      if (decodeRow(map.get(rowKey(row.id)))?.revision !== seen) return false;
      map.set(rowKey(row.id), JSON.stringify(row));
      return true;
    },

    // The same condition.
    async delete(id, seen) {
      checkId(id, "delete");
      const map: Map<string, string> = store;
      if (decodeRow(map.get(rowKey(id)))?.revision !== seen) return false;
      return map.delete(rowKey(id));
    },

    // By `createdAt`, the newest first, then by the bytes of the id. An index does this better than a look at each row.
    async find(filter, page) {
      const behind = checkFind(page);
      const map: Map<string, string> = store;
      const found: SessionRow[] = [];
      for (const [key, text] of map) {
        const row = key.startsWith(rowKey("")) ? decodeRow(text) : null;
        if (row === null || !matches(row, filter)) continue;
        if (behind === null || compareFound(row, behind) > 0) found.push(row);
      }
      const items = found.toSorted(compareFound).slice(0, page.limit);
      const last = items.at(-1);
      return { items, next: found.length > page.limit && last !== undefined ? encodeCursor(last) : null };
    },
  };
}

function rowKey(id: string): string {
  return `row:${id}`;
}

function decodeRow(text: string | undefined): SessionRow | null {
  return text === undefined ? null : JSON.parse(text);
}
