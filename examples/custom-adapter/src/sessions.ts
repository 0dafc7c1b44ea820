import { createHash } from "node:crypto";
import {
  type SessionRepository,
  type SessionRow,
  checkFind,
  checkId,
  encodeCursor,
  matches,
} from "@waymark/core/adapter";
import type { Key, Store } from "./store.js";

const everybody = "";

export function createSessions({ rows, places, read, write }: Store): SessionRepository {
  return {
    async create(row) {
      checkId(row.id, "create");
      return write(() => {
        if (rows.get([row.id]) !== undefined) return false;
        for (const place of placesOf(row)) places.put(place, true);
        rows.put([row.id], row);
        return true;
      });
    },

    async findById(id) {
      checkId(id, "findById");
      return read(() => rows.get([id]) ?? null);
    },

    async update(row, seen) {
      checkId(row.id, "update");
      return write(() => {
        const before = rows.get([row.id]);
        if (before?.revision !== seen) return false;
        if (before.userId !== row.userId) {
          for (const place of placesOf(before)) places.remove(place);
          for (const place of placesOf(row)) places.put(place, true);
        }
        rows.put([row.id], row);
        return true;
      });
    },

    async delete(id, seen) {
      checkId(id, "delete");
      return write(() => {
        const before = rows.get([id]);
        if (before?.revision !== seen) return false;
        for (const place of placesOf(before)) places.remove(place);
        rows.remove([id]);
        return true;
      });
    },

    async find(filter, page) {
      const behind = checkFind(page);
      return read(() => {
        const list = filter.userId === undefined ? everybody : listOf(filter.userId);
        const start = behind === null ? [list] : [list, -behind.createdAt, behind.id];
        const found: SessionRow[] = [];
        for (const place of places.getKeys({ start, end: [list, Infinity], exclusiveStart: true })) {
          const row = rows.get([String(place[2])]);
          if (row !== undefined && matches(row, filter) && found.push(row) > page.limit) break;
        }
        const items = found.slice(0, page.limit);
        const last = items.at(-1);
        return { items, next: found.length > page.limit && last !== undefined ? encodeCursor(last) : null };
      });
    },
  };
}

/** The newest first, then by id. */
function placesOf({ id, createdAt, userId }: SessionRow): Key[] {
  const lists = userId === null ? [everybody] : [everybody, listOf(userId)];
  return lists.map((list) => [list, -createdAt, id]);
}

/** A user's name may be longer than a key, and have characters that a key cannot. */
function listOf(userId: string): string {
  return createHash("sha256").update(String(userId)).digest("hex");
}
