import {
  type Entry,
  type Filter,
  type RecordWrite,
  type SessionRepository,
  type SessionRow,
  checkFind,
  checkId,
  encodeCursor,
} from "@waymark/core/adapter";
import { type Database, type Doing, type Statement, type Value, prepared } from "./client.js";
import { encodeRecords, recordColumns, recordNames, unlessNewer } from "./records.js";
import {
  arrayOf,
  decodeRow,
  encodeEntries,
  encodeRow,
  entryColumns,
  rowColumns,
  rowJson,
  textArray,
  toColumn,
} from "./row.js";
import type { Names } from "./schema.js";

/** What is stored with rows. */
export interface Parts {
  readonly entries: readonly Entry[];
  readonly records: readonly (RecordWrite & { readonly sessionId: string })[];
}

const noParts: Parts = { entries: [], records: [] };

/** Rows as the repository and whole turns both write and read them. */
export interface Rows {
  /** Stores the rows whose ids are free, each with its parts; resolves to their ids. */
  insert(rows: readonly SessionRow[], parts: Parts, doing: Doing): Promise<ReadonlySet<string>>;
  /** Replaces a row, and stores its parts with it, if its revision is `seen`. Waits for whoever has locked it. */
  replace(row: SessionRow, parts: Parts, seen: string, doing: Doing): Promise<boolean>;
  /** The same, but false for a row that somebody has locked. */
  replaceFree(row: SessionRow, parts: Parts, seen: string, doing: Doing): Promise<boolean>;
  read(ids: readonly string[], doing: Doing): Promise<ReadonlyMap<string, SessionRow>>;
}

export function createRows(db: Database, { sessions, messages, records }: Names): Rows {
  const names = rowColumns.map(([name]) => name).join(", ");
  const entryNames = entryColumns.map(([name]) => name).join(", ");
  const arrays = (columns: readonly (readonly [string, string])[], from: number) =>
    columns.map(([, type], index) => `$${from + index}::${type}[]`).join(", ");
  const put = (from: number, source: string) => `put AS (
    INSERT INTO ${messages} (${entryNames})
    SELECT ${entryColumns.map(([name]) => toColumn(name, `e.${name}`)).join(", ")}
    FROM ${source} unnest(${arrays(entryColumns, from)}) AS e (${entryNames})`;
  const width = rowColumns.length;

  /** The records follow the entries; a turn without any has a statement without them. */
  const keep = (from: number, source: string) => `, kept AS (
    INSERT INTO ${records} AS r (${recordNames})
    SELECT ${recordColumns.map(([name]) => `i.${name}`).join(", ")}
    FROM ${source} JOIN unnest($${from}::text[], ${arrays(recordColumns, from + 1)}) AS i (session_id, ${recordNames})
      ON i.session_id = ${source}.id
    ORDER BY i.scope COLLATE "C", i.key COLLATE "C" ${unlessNewer})`;

  const insertText = (more: string) => `WITH made AS (
    INSERT INTO ${sessions} (${names})
    SELECT ${rowColumns.map(([name]) => toColumn(name, `i.${name}`)).join(", ")}
    FROM unnest(${arrays(rowColumns, 1)}) AS i (${names}) ORDER BY i.id
    ON CONFLICT (id) DO NOTHING RETURNING id
  ), ${put(width + 1, "made,")} WHERE e.session_id = made.id ON CONFLICT DO NOTHING)${more}
  SELECT id FROM made`;
  const insert = withRecords(insertText, keep(width + entryColumns.length + 1, "made"));

  const replaceText = (condition: string) => (more: string) => `WITH moved AS (
    UPDATE ${sessions} SET ${rowColumns
      .slice(1)
      .map(([name, type], index) => `${name} = ${toColumn(name, `$${index + 2}::${type}`)}`)
      .join(", ")}
    WHERE id = $1 AND revision = $${width + 1}${condition} RETURNING id
  ), ${put(width + 2, "moved,")} ON CONFLICT DO NOTHING)${more}
  SELECT id FROM moved`;
  const keepMoved = keep(width + entryColumns.length + 2, "moved");
  const replace = withRecords(replaceText(""), keepMoved);
  const replaceFree = withRecords(
    replaceText(` AND id IN (SELECT id FROM ${sessions} WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED)`),
    keepMoved,
  );

  const read = prepared(`SELECT ${rowJson("s")} FROM ${sessions} s WHERE s.id = ANY ($1::text[])`);

  async function write(
    statements: Statements,
    row: SessionRow,
    parts: Parts,
    seen: string,
    doing: Doing,
  ): Promise<boolean> {
    const values = [...encodeRow(row), seen, ...encodeParts(parts)];
    return (await db.run(statementFor(statements, parts), values, doing)).length > 0;
  }

  return {
    async insert(rows, parts, doing) {
      const columns = rows.map(encodeRow);
      const values = rowColumns.map(([, type], index) =>
        arrayOf(
          columns.map((row) => row[index] ?? null),
          type,
        ),
      );
      const made = await db.run(statementFor(insert, parts), [...values, ...encodeParts(parts)], doing);
      return new Set(made.map(([id]) => id ?? ""));
    },

    replace: (row, parts, seen, doing) => write(replace, row, parts, seen, doing),
    replaceFree: (row, parts, seen, doing) => write(replaceFree, row, parts, seen, doing),

    async read(ids, doing) {
      const found = (await db.run(read, [arrayOf(ids, "text")], doing)).map(([row]) => decodeRow(row ?? ""));
      return new Map(found.map((row) => [row.id, row]));
    },
  };
}

/** The same statement, without records and with them. */
interface Statements {
  readonly plain: Statement;
  readonly withRecords: Statement;
}

function withRecords(textOf: (more: string) => string, more: string): Statements {
  return { plain: prepared(textOf("")), withRecords: prepared(textOf(more)) };
}

function statementFor(statements: Statements, { records }: Parts): Statement {
  return records.length === 0 ? statements.plain : statements.withRecords;
}

function encodeParts({ entries, records }: Parts): Value[] {
  const values = encodeEntries(entries);
  if (records.length === 0) return values;
  return [...values, textArray(records.map(({ sessionId }) => sessionId)), ...encodeRecords(records)];
}

export function createSessions(db: Database, { sessions }: Names, rows: Rows): SessionRepository {
  const remove = prepared(`DELETE FROM ${sessions} WHERE id = $1 AND revision = $2 RETURNING id`);

  return {
    async create(row) {
      checkId(row.id, "create");
      const made = await rows.insert([row], noParts, { operation: "create", sessionId: row.id });
      return made.size > 0;
    },

    async findById(id) {
      checkId(id, "findById");
      return (await rows.read([id], { operation: "findById", sessionId: id })).get(id) ?? null;
    },

    async update(row, seen) {
      checkId(row.id, "update");
      return rows.replace(row, noParts, seen, { operation: "update", sessionId: row.id });
    },

    async delete(id, seen) {
      checkId(id, "delete");
      const removed = await db.run(remove, [id, seen], { operation: "delete", sessionId: id });
      return removed.length > 0;
    },

    async find(filter, page) {
      const behind = checkFind(page);
      const values: Value[] = [];
      const parameter = (value: Value, type: string) => `$${values.push(value)}::${type}`;
      const where = conditions(filter, parameter);
      if (behind !== null) {
        const time = toColumn("created_at", parameter(behind.createdAt, "float8"));
        const id = parameter(behind.id, "text");
        where.push(`s.created_at <= ${time} AND (s.created_at < ${time} OR s.id > ${id})`);
      }
      const text = `SELECT ${rowJson("s")} FROM ${sessions} s WHERE ${where.join(" AND ")}
        ORDER BY s.created_at DESC, s.id LIMIT ${page.limit + 1}`;
      const found = await db.run({ text }, values, { operation: "find" });
      const items = found.slice(0, page.limit).map(([row]) => decodeRow(row ?? ""));
      const last = items.at(-1);
      return { items, next: found.length > page.limit && last !== undefined ? encodeCursor(last) : null };
    },
  };
}

/** U+0000 cannot be asked for, and the driver would replace a lone surrogate by the text of somebody else. */
const illFormed = /[\0\p{Surrogate}]/u;

function conditions(filter: Filter, parameter: (value: Value, type: string) => string): string[] {
  const { userId, agentName, status, updatedBefore, updatedAfter, expiresBefore, expiresAfter, dirty } =
    filter;
  const where: string[] = [];
  const time = (value: number) => toColumn("_at", parameter(value, "float8"));
  // What has the index: the day changes once a day, so that ordinary turns leave all indexes alone.
  const day = (value: number) => `(${time(value)} AT TIME ZONE 'UTC')::date`;
  const equal = (column: string, value: string) =>
    where.push(illFormed.test(value) ? "false" : `${column} = ${parameter(value, "text")}`);
  if (status === undefined) where.push("s.status <> 'deleting'");
  else where.push(`s.status = ANY (${parameter(arrayOf(status, "text"), "text[]")})`);
  if (userId !== undefined) equal("s.user_id", userId);
  if (agentName !== undefined) equal("s.agent_name", agentName);
  if (updatedBefore !== undefined) {
    where.push(`s.updated_at < ${time(updatedBefore)} AND s.updated_day <= ${day(updatedBefore)}`);
  }
  if (updatedAfter !== undefined) {
    where.push(`s.updated_at > ${time(updatedAfter)} AND s.updated_day >= ${day(updatedAfter)}`);
  }
  if (expiresBefore !== undefined) {
    where.push(`s.expires_at < ${time(expiresBefore)} AND s.expires_day <= ${day(expiresBefore)}`);
  }
  if (expiresAfter !== undefined)
    where.push(`(s.expires_at IS NULL OR s.expires_at > ${time(expiresAfter)})`);
  if (dirty === true) where.push("s.dirty");
  return where;
}
