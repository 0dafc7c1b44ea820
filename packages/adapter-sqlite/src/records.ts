import { type RecordWrite, type Records, type StoredRecord, checkRecordKey } from "@waymark/core/adapter";
import type { Database } from "./database.js";
import { text, textColumns } from "./row.js";
import type { Names } from "./schema.js";
import { parse } from "./system.js";

/** Records as the facet and whole turns both write them. To be called within a transaction. */
export interface KeptRecords {
  /** What is there stays where its stamp is as high. */
  apply(records: readonly RecordWrite[]): void;
  /** Resolves to how many there were. */
  removeScope(scope: string): number;
}

interface RecordColumns {
  readonly scope: string;
  readonly key: string;
  readonly value: string;
  readonly revision: string;
  readonly stamp: string;
}

const columns = ["scope", "key", "value", "revision", "stamp"];

export function createKeptRecords(db: Database, { records }: Names): KeptRecords {
  const apply = db.prepare(`INSERT INTO ${records} (${columns.join(", ")}) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (scope, key) DO UPDATE
    SET value = excluded.value, revision = excluded.revision, stamp = excluded.stamp
    WHERE stamp < excluded.stamp`);
  const count = db.prepare<{ n: number }>(
    `SELECT count(*) AS n FROM ${records} WHERE scope = ? AND value IS NOT NULL`,
  );
  const remove = db.prepare(`DELETE FROM ${records} WHERE scope = ?`);

  return {
    apply(writes) {
      for (const record of writes) apply.run(...encode(record));
    },
    removeScope(scope) {
      const found = count.get(scope)?.n ?? 0;
      remove.run(scope);
      return found;
    },
  };
}

export function createRecords(db: Database, { records }: Names, kept: KeptRecords): Records {
  const selected = db.select(columns, textColumns);
  const get = db.prepare<RecordColumns>(
    `SELECT ${selected} FROM ${records} WHERE scope = ? AND key = ? AND value IS NOT NULL`,
  );
  const list = db.prepare<RecordColumns>(`SELECT ${selected} FROM ${records}
    WHERE scope = ? AND key > ? AND value IS NOT NULL ORDER BY key LIMIT ?`);
  // What is left of a record that was removed is no record.
  const insert = db.prepare(`INSERT INTO ${records} (${columns.join(", ")}) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (scope, key) DO UPDATE
    SET value = excluded.value, revision = excluded.revision, stamp = excluded.stamp
    WHERE value IS NULL`);
  const update = db.prepare(`UPDATE ${records} SET value = ?, revision = ?, stamp = ?
    WHERE scope = ? AND key = ? AND revision = ? AND value IS NOT NULL`);
  const remove = db.prepare(
    `DELETE FROM ${records} WHERE scope = ? AND key = ? AND revision = ? AND value IS NOT NULL`,
  );
  const scopes = db.prepare<
    Pick<RecordColumns, "scope">
  >(`SELECT DISTINCT ${db.select(["scope"], textColumns)}
    FROM ${records} WHERE scope > ? AND value IS NOT NULL ORDER BY scope LIMIT ?`);

  return {
    async get(scope, key) {
      check(scope, key, "get");
      return db.read({ operation: "get" }, () => {
        const found = get.get(scope, key);
        return found === undefined ? null : decode(found);
      });
    },

    async list(scope, { after, limit }) {
      check(scope, after ?? "-", "list");
      return db.read({ operation: "list" }, () => list.all(scope, after ?? "", limit).map(decode));
    },

    async put(record, seen) {
      check(record.scope, record.key, "put");
      const [scope, key, ...rest] = encode(record);
      if (scope === undefined || key === undefined) return false;
      return db.write({ operation: "put" }, () =>
        seen === null ? insert.run(scope, key, ...rest) > 0 : update.run(...rest, scope, key, seen) > 0,
      );
    },

    async apply(writes) {
      for (const { scope, key } of writes) check(scope, key, "apply");
      await db.write({ operation: "apply" }, () => kept.apply(writes));
    },

    async delete(scope, key, seen) {
      check(scope, key, "delete");
      return db.write({ operation: "delete" }, () => remove.run(scope, key, seen) > 0);
    },

    async deleteScope(scope) {
      checkRecordKey(scope, "deleteScope", "scope");
      return db.write({ operation: "deleteScope" }, () => kept.removeScope(scope));
    },

    async scopes({ after = "", limit }) {
      return db.read({ operation: "scopes" }, () => scopes.all(after, limit).map(({ scope }) => scope));
    },
  };
}

function encode({ scope, key, value, revision, stamp }: RecordWrite) {
  return [
    text(scope),
    text(key),
    value === null ? null : JSON.stringify(value),
    text(revision),
    text(stamp),
  ] as const;
}

function decode({ scope, key, value, revision, stamp }: RecordColumns): StoredRecord {
  return { scope, key, value: parse(value, scope), revision, stamp };
}

function check(scope: string, key: string, operation: string): void {
  checkRecordKey(scope, operation, "scope");
  checkRecordKey(key, operation);
}
