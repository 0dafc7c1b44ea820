import {
  type Filter,
  type SessionRepository,
  type SessionRow,
  checkFind,
  checkId,
  encodeCursor,
  matches,
} from "@waymark/core/adapter";
import { guard } from "./client.js";
import { type SessionEntry, endOf } from "./lists.js";
import { decodeRow } from "./rows.js";
import { peek, readRow } from "./scripts.js";
import { type Store, createRow, noParts, removeRow, updateRow } from "./store.js";

export function createSessions(store: Store): SessionRepository {
  const { run, keys, lists } = store;

  async function rowOf(id: string, operation: string): Promise<SessionRow | null> {
    const text = await run({ script: readRow, keys: [keys.session(id)], args: [] });
    return text == null ? null : decodeRow(text, id, operation);
  }

  /** Whether the row that an entry names is one that the filter selects; null where the entry names nothing. */
  async function look(entry: SessionEntry, filter: Filter): Promise<boolean | null> {
    const text = await run({ script: peek, keys: [keys.session(entry.id)], args: [] });
    if (text == null) return null;
    const [status, userId, agentName, createdAt, updatedAt, expiresAt, dirty] = JSON.parse(String(text));
    const isNamed =
      createdAt === entry.createdAt && (filter.userId === undefined || userId === filter.userId);
    return isNamed
      ? matches({ status, userId, agentName, updatedAt, expiresAt, dirty } as SessionRow, filter)
      : null;
  }

  async function rowsOf(entries: readonly SessionEntry[], filter: Filter): Promise<SessionRow[]> {
    const looks = await Promise.all(entries.map((entry) => look(entry, filter)));
    const dead = entries.filter(({ isOld }, index) => looks[index] === null && isOld);
    // Housekeeping: what fails here is tried again by the next query.
    if (dead.length > 0) await lists.drop(dead).catch(() => {});
    const wanted = entries.filter((_, index) => looks[index] === true);
    const rows = await Promise.all(wanted.map(({ id }) => rowOf(id, "find")));
    return rows.filter(
      (row, index): row is SessionRow =>
        row !== null && row.createdAt === wanted[index]?.createdAt && matches(row, filter),
    );
  }

  async function findRows(filter: Filter, after: string | null, limit: number): Promise<SessionRow[]> {
    // By id: a session that was made again in the same millisecond has two entries.
    const found = new Map<string, SessionRow>();
    let batch: SessionEntry[] = [];
    let size = limit;
    const take = async () => {
      for (const row of await rowsOf(batch, filter)) found.set(row.id, row);
      batch = [];
      // A filter that selects few should not cost a trip for each.
      size = Math.min(size * 2, 200);
    };
    for await (const entry of lists.read(filter.userId, after, limit)) {
      batch.push(entry);
      if (batch.length < size) continue;
      await take();
      if (found.size >= limit) break;
    }
    await take();
    return [...found.values()];
  }

  return {
    async create(row) {
      checkId(row.id, "create");
      return guard("create", row.id, async () => (await createRow(store, row, noParts)) === null);
    },

    async findById(id) {
      checkId(id, "findById");
      return guard("findById", id, () => rowOf(id, "findById"));
    },

    async update(row, seen) {
      checkId(row.id, "update");
      return guard("update", row.id, () => updateRow(store, row, seen, noParts));
    },

    async delete(id, seen) {
      checkId(id, "delete");
      return guard("delete", id, () => removeRow(store, { id, revision: seen }, [keys.session(id)]));
    },

    async find(filter, page) {
      const behind = checkFind(page);
      return guard("find", undefined, async () => {
        const after = behind === null ? null : endOf(behind.createdAt, behind.id);
        const rows = await findRows(filter, after, page.limit + 1);
        const items = rows.slice(0, page.limit);
        const last = items.at(-1);
        return { items, next: rows.length > page.limit && last !== undefined ? encodeCursor(last) : null };
      });
    },
  };
}
