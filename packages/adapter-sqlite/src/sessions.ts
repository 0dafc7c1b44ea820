import {
  type Filter,
  type SessionRepository,
  type SessionRow,
  checkFind,
  checkId,
  encodeCursor,
} from "@waymark/core/adapter";
import type { Statement, Value } from "./client.js";
import type { Database } from "./database.js";
import {
  type Head,
  type Seen,
  type Whole,
  dayOf,
  decodeRow,
  encodeIndexed,
  encodePlain,
  encodeRow,
  headColumns,
  illFormed,
  indexedColumns,
  plainColumns,
  rowColumns,
  seenOf,
  textColumns,
} from "./row.js";
import type { Names } from "./schema.js";
import type { PackedSystem } from "./system.js";

/** Rows as the repository and whole turns both write and read them. To be called within a transaction. */
export interface Rows {
  see(id: string): Seen | null;
  read(id: string): Whole | undefined;
  insert(row: SessionRow): void;
  /** Stores what a turn has made of a row; the state only where the turn changed it. False: the row is not as it was seen. */
  move(seen: Seen, row: SessionRow, packed: PackedSystem, isStateChanged: boolean): boolean;
  /** False: the row is not as it was seen, or gone. */
  remove(id: string, revision: string): boolean;
}

const assignments = (columns: readonly string[]) => columns.map((name) => `${name} = ?`).join(", ");
const insertText = ({ sessions }: Names) =>
  `INSERT INTO ${sessions} (${rowColumns.join(", ")}) VALUES (${rowColumns.map(() => "?").join(", ")})`;
const wholeColumns = ["rowid", ...rowColumns];

export function createRows(db: Database, names: Names): Rows {
  const { sessions } = names;
  const readHead = db.prepare<Head>(
    `SELECT ${db.select(headColumns, textColumns)} FROM ${sessions} WHERE id = ?`,
  );
  const read = db.prepare<Whole>(
    `SELECT ${db.select(wholeColumns, textColumns)} FROM ${sessions} WHERE id = ?`,
  );
  const insert = db.prepare(insertText(names));
  const remove = db.prepare(`DELETE FROM ${sessions} WHERE id = ? AND revision = ?`);
  // SQLite writes an index when a statement names a column of it, whether or not the value changes.
  const moveBy = (columns: readonly string[]) =>
    db.prepare(`UPDATE ${sessions} SET ${assignments(columns)} WHERE rowid = ? AND revision = ?`);
  const ordinary = moveBy(plainColumns);
  const ordinaryWithState = moveBy([...plainColumns, "state"]);
  const all = moveBy([...plainColumns, ...indexedColumns]);
  const allWithState = moveBy([...plainColumns, ...indexedColumns, "state"]);

  return {
    see(id) {
      const head = readHead.get(id);
      return head === undefined ? null : seenOf(head);
    },
    read: (id) => read.get(id),

    insert(row) {
      insert.run(...encodeRow(row));
    },

    move(seen, row, packed, isStateChanged) {
      const isOrdinary = !isIndexMoved(seen.row, row);
      const values = encodePlain(row, packed);
      if (!isOrdinary) values.push(...encodeIndexed(row));
      if (isStateChanged) values.push(JSON.stringify(row.state));
      values.push(seen.rowid, seen.row.revision);
      const [plain, withState] = isOrdinary ? [ordinary, ordinaryWithState] : [all, allWithState];
      return (isStateChanged ? withState : plain).run(...values) > 0;
    },

    remove: (id, revision) => remove.run(id, revision) > 0,
  };
}

function isIndexMoved(from: SessionRow, to: SessionRow): boolean {
  return (
    from.userId !== to.userId ||
    from.status !== to.status ||
    from.dirty !== to.dirty ||
    dayOf(from.updatedAt) !== dayOf(to.updatedAt) ||
    (from.expiresAt === null ? null : dayOf(from.expiresAt)) !==
      (to.expiresAt === null ? null : dayOf(to.expiresAt))
  );
}

export function createSessions(db: Database, names: Names, rows: Rows): SessionRepository {
  const { sessions } = names;
  const create = db.prepare(`${insertText(names)} ON CONFLICT (id) DO NOTHING`);
  const changing = [...plainColumns, ...indexedColumns, "state"];
  const update = db.prepare(`UPDATE ${sessions} SET ${assignments(changing)} WHERE id = ? AND revision = ?`);
  const changed = (statement: Statement<never>, values: readonly Value[]) => statement.run(...values) > 0;

  return {
    async create(row) {
      checkId(row.id, "create");
      const values = encodeRow(row);
      return db.write({ operation: "create", sessionId: row.id }, () => changed(create, values));
    },

    async findById(id) {
      checkId(id, "findById");
      return db.read({ operation: "findById", sessionId: id }, () => {
        const found = rows.read(id);
        return found === undefined ? null : decodeRow(found);
      });
    },

    async update(row, seen) {
      checkId(row.id, "update");
      const values = encodeRow(row).slice(rowColumns.length - changing.length);
      const doing = { operation: "update", sessionId: row.id };
      return db.write(doing, () => changed(update, [...values, row.id, seen]));
    },

    async delete(id, seen) {
      checkId(id, "delete");
      return db.write({ operation: "delete", sessionId: id }, () => rows.remove(id, seen));
    },

    async find(filter, page) {
      const behind = checkFind(page);
      const { where, values } = conditions(filter);
      // Those that were changed, or end, before some day are few: the planner would rather walk all rows in their order.
      const byDay = isByDay(filter) ? "+" : "";
      if (behind !== null) {
        where.push(`${byDay}created_at <= ? AND (created_at < ? OR id > ?)`);
        values.push(behind.createdAt, behind.createdAt, behind.id);
      }
      const text = `SELECT ${db.select(wholeColumns, textColumns)} FROM ${sessions} WHERE ${where.join(" AND ")}
        ORDER BY ${byDay}created_at DESC, ${byDay}id LIMIT ?`;
      return db.read({ operation: "find" }, () => {
        const found = db.all<Whole>(text, ...values, page.limit + 1);
        const items = found.slice(0, page.limit).map(decodeRow);
        const last = items.at(-1);
        return { items, next: found.length > page.limit && last !== undefined ? encodeCursor(last) : null };
      });
    },
  };
}

function isByDay({ userId, status, dirty, updatedBefore, updatedAfter, expiresBefore }: Filter): boolean {
  if (userId !== undefined || dirty === true || isDeletingOnly(status)) return false;
  return updatedBefore !== undefined || updatedAfter !== undefined || expiresBefore !== undefined;
}

function isDeletingOnly(status: Filter["status"]): boolean {
  return status?.length === 1 && status[0] === "deleting";
}

function conditions(filter: Filter): { where: string[]; values: Value[] } {
  const { userId, agentName, status, updatedBefore, updatedAfter, expiresBefore, expiresAfter, dirty } =
    filter;
  const where: string[] = [];
  const values: Value[] = [];
  const add = (condition: string, ...of: readonly Value[]) => {
    where.push(condition);
    values.push(...of);
  };
  // A driver would take an array for several parameters.
  const equal = (column: string, value: string) =>
    typeof value !== "string" || illFormed.test(value) ? add("0") : add(`${column} = ?`, value);
  if (status === undefined) add("status <> 'deleting'");
  // A partial index is seen only where the value stands in the text.
  else if (isDeletingOnly(status)) add("status = 'deleting'");
  else add(`status IN (${status.map(() => "?").join(", ")})`, ...status);
  if (userId !== undefined) equal("user_id", userId);
  if (agentName !== undefined) equal("agent_name", agentName);
  // The day has the index: it changes once a day, so that ordinary turns leave all indexes alone.
  if (updatedBefore !== undefined)
    add("updated_at < ? AND updated_day <= ?", updatedBefore, dayOf(updatedBefore));
  if (updatedAfter !== undefined)
    add("updated_at > ? AND updated_day >= ?", updatedAfter, dayOf(updatedAfter));
  if (expiresBefore !== undefined)
    add("expires_at < ? AND expires_day <= ?", expiresBefore, dayOf(expiresBefore));
  if (expiresAfter !== undefined) add("(expires_at IS NULL OR expires_at > ?)", expiresAfter);
  if (dirty === true) add("dirty = 1");
  return { where, values };
}
