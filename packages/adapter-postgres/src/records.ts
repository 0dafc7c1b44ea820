import {
  type RecordWrite,
  type Records,
  type StoredRecord,
  checkRecordKey,
  compareBytes,
  sessionScope,
} from "@waymark/core/adapter";
import { type Database, type TextRow, type Value, prepared } from "./client.js";
import { textArray } from "./row.js";
import type { Names } from "./schema.js";

/** Columns of the records table with the type of their parameter, in the order of `encodeRecords`. */
export const recordColumns = [
  ["scope", "text"],
  ["key", "text"],
  ["value", "json"],
  ["revision", "text"],
  ["stamp", "text"],
] as const;

export const recordNames = recordColumns.map(([name]) => name).join(", ");

/** The scope of a session's records, as SQL of what `row` names. */
export function scopeOf(row: string): string {
  return `'${sessionScope(`' || ${row}.id`, `' || ${row}.life || '`)}`;
}

/** Records as one array a column. A value that is SQL's null is what is left of one that was removed. */
export function encodeRecords(records: readonly RecordWrite[]): Value[] {
  return [
    textArray(records.map(({ scope }) => scope)),
    textArray(records.map(({ key }) => key)),
    textArray(records.map(({ value }) => encodeValue(value))),
    textArray(records.map(({ revision }) => revision)),
    textArray(records.map(({ stamp }) => stamp)),
  ];
}

export function encodeValue(value: StoredRecord["value"]): string | null {
  return value === null ? null : JSON.stringify(value);
}

/** What follows an insert into the records, so that of two writes the one with the higher stamp stays. */
export const unlessNewer = `ON CONFLICT (scope, key) DO UPDATE
    SET value = excluded.value, revision = excluded.revision, stamp = excluded.stamp
    WHERE r.stamp < excluded.stamp`;

export function createRecords(db: Database, { records }: Names): Records {
  const columns = "scope, key, value::text, revision, stamp";
  const get = prepared(
    `SELECT ${columns} FROM ${records} WHERE scope = $1 AND key = $2 AND value IS NOT NULL`,
  );
  const list = prepared(`SELECT ${columns} FROM ${records}
    WHERE scope = $1 AND key > $2 AND value IS NOT NULL ORDER BY key LIMIT $3`);
  const insert = prepared(`INSERT INTO ${records} AS r (${recordNames}) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (scope, key) DO UPDATE
    SET value = excluded.value, revision = excluded.revision, stamp = excluded.stamp
    WHERE r.value IS NULL RETURNING 1`);
  const update = prepared(`UPDATE ${records} SET value = $3, revision = $4, stamp = $5
    WHERE scope = $1 AND key = $2 AND revision = $6 AND value IS NOT NULL RETURNING 1`);
  // In the order of the keys: two processes that deliver the same records must not wait for each other.
  const apply = prepared(`INSERT INTO ${records} AS r (${recordNames})
    SELECT ${recordColumns.map(([name]) => `i.${name}`).join(", ")}
    FROM unnest(${recordColumns.map(([, type], index) => `$${index + 1}::${type}[]`).join(", ")}) AS i (${recordNames})
    ORDER BY i.scope COLLATE "C", i.key COLLATE "C" ${unlessNewer}`);
  const remove = prepared(
    `DELETE FROM ${records} WHERE scope = $1 AND key = $2 AND revision = $3 AND value IS NOT NULL RETURNING 1`,
  );
  const removeScope = prepared(`WITH gone AS (
    DELETE FROM ${records} WHERE scope = $1 RETURNING value IS NOT NULL AS was_there
  ) SELECT count(*) FILTER (WHERE was_there) FROM gone`);
  const scopes = prepared(`SELECT DISTINCT scope FROM ${records}
    WHERE scope > $1 AND value IS NOT NULL ORDER BY scope LIMIT $2`);

  return {
    async get(scope, key) {
      check(scope, key, "get");
      const [found] = await db.run(get, [scope, key], { operation: "get" });
      return found === undefined ? null : decodeRecord(found);
    },

    async list(scope, { after = "", limit }) {
      check(scope, after === "" ? "-" : after, "list");
      return (await db.run(list, [scope, after, limit], { operation: "list" })).map(decodeRecord);
    },

    async put({ scope, key, value, revision, stamp }, seen) {
      check(scope, key, "put");
      const values = [scope, key, encodeValue(value), revision, stamp];
      const doing = { operation: "put" };
      const written =
        seen === null ? await db.run(insert, values, doing) : await db.run(update, [...values, seen], doing);
      return written.length > 0;
    },

    async apply(writes) {
      const newest = new Map<string, RecordWrite>();
      for (const write of writes) {
        const { scope, key, stamp } = write;
        check(scope, key, "apply");
        // One statement writes a row once.
        const place = JSON.stringify([scope, key]);
        const there = newest.get(place);
        if (there === undefined || compareBytes(there.stamp, stamp) < 0) newest.set(place, write);
      }
      if (newest.size > 0) await db.run(apply, encodeRecords([...newest.values()]), { operation: "apply" });
    },

    async delete(scope, key, seen) {
      check(scope, key, "delete");
      return (await db.run(remove, [scope, key, seen], { operation: "delete" })).length > 0;
    },

    async deleteScope(scope) {
      checkRecordKey(scope, "deleteScope", "scope");
      const [counted] = await db.run(removeScope, [scope], { operation: "deleteScope" });
      return Number(counted?.[0] ?? 0);
    },

    async scopes({ after = "", limit }) {
      const found = await db.run(scopes, [after, limit], { operation: "scopes" });
      return found.map(([scope]) => scope ?? "");
    },
  };
}

function decodeRecord([scope, key, value, revision, stamp]: TextRow): StoredRecord {
  return {
    scope: scope ?? "",
    key: key ?? "",
    value: JSON.parse(value ?? "null"),
    revision: revision ?? "",
    stamp: stamp ?? "",
  };
}

function check(scope: string, key: string, operation: string): void {
  checkRecordKey(scope, operation, "scope");
  checkRecordKey(key, operation);
}
