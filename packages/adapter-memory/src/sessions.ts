import {
  type SessionRepository,
  type SessionRow,
  checkFind,
  checkId,
  compareFound,
  encodeCursor,
  matches,
} from "@waymark/core/adapter";
import { type Store, copy } from "./store.js";

export function createSessions({ sessions }: Store): SessionRepository {
  return {
    async create(row) {
      checkId(row.id, "create");
      if (sessions.has(row.id)) return false;
      sessions.set(row.id, copy(row));
      return true;
    },

    async findById(id) {
      checkId(id, "findById");
      const row = sessions.get(id);
      return row === undefined ? null : copy(row);
    },

    async update(row, seen) {
      checkId(row.id, "update");
      if (sessions.get(row.id)?.revision !== seen) return false;
      sessions.set(row.id, copy(row));
      return true;
    },

    async delete(id, seen) {
      checkId(id, "delete");
      return sessions.get(id)?.revision === seen && sessions.delete(id);
    },

    async find(filter, page) {
      const behind = checkFind(page);
      const found: SessionRow[] = [];
      for (const row of sessions.values()) {
        if (matches(row, filter) && (behind === null || compareFound(row, behind) > 0)) found.push(row);
      }
      const items = found.toSorted(compareFound).slice(0, page.limit);
      const last = items.at(-1);
      const isLast = found.length <= page.limit || last === undefined;
      return { items: items.map((row) => copy(row)), next: isLast ? null : encodeCursor(last) };
    },
  };
}
