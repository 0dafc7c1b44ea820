import {
  type RecordWrite,
  type Records,
  StorageError,
  type StoredRecord,
  checkRecordKey,
  compareBytes,
} from "@waymark/core/adapter";
import { type Doing, type Model, type PrismaClientLike, countOf, run, write } from "./client.js";
import { listOf } from "./messages.js";
import { type Data, reader } from "./row.js";
import { type Names, recordModelOf } from "./schema.js";

/** Records as whole turns write them, within their transaction. */
export interface KeptRecords {
  /** Those of one session. Under the guard of its row, each is newer than what it replaces. */
  store(inside: PrismaClientLike, records: readonly RecordWrite[]): Promise<void>;
  removeScopes(inside: PrismaClientLike, scopes: readonly string[]): Promise<void>;
}

/** Tries of a write that others were faster than. */
const tries = 10;

/** Prisma 6 lets a call on SQLite have 999 values in all. */
const valuesAtOnce = 500;

function portionsOf(values: readonly string[]): string[][] {
  const portions: string[][] = [];
  for (let from = 0; from < values.length; from += valuesAtOnce)
    portions.push(values.slice(from, from + valuesAtOnce));
  return portions;
}

const encoder = new TextEncoder();

const hex = (text: string) =>
  Array.from(encoder.encode(text), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Scope and key as digits, which every collation orders as their bytes. Neither has the byte that stands between them. */
const placeOf = (scope: string, key: string) => `${hex(scope)}00${hex(key)}`;

/** Greater than all places of the scope, and smaller than those of the next one. */
const endOf = (scope: string) => `${hex(scope)}01`;

/** A record as the fields of the application's model. */
export function encodeRecord(
  r: Names["records"]["fields"],
  { scope, key, value, revision, stamp }: RecordWrite,
): Data {
  return {
    [r.scope]: scope,
    [r.key]: key,
    [r.value]: value === null ? null : JSON.stringify(value),
    [r.revision]: revision,
    [r.stamp]: stamp,
    [r.place]: placeOf(scope, key),
  };
}

export function createKeptRecords(names: Names): KeptRecords {
  const { fields: r } = names.records;
  return {
    async store(inside, records) {
      const model = recordModelOf(inside, names);
      const inOrder = records.toSorted((a, b) => compareBytes(a.key, b.key));
      for (const keys of portionsOf(inOrder.map(({ key }) => key)))
        await model.deleteMany({ where: { [r.scope]: records[0]?.scope, [r.key]: { in: keys } } });
      await model.createMany({ data: inOrder.map((record) => encodeRecord(r, record)) });
    },

    async removeScopes(inside, scopes) {
      for (const some of portionsOf(scopes))
        await recordModelOf(inside, names).deleteMany({ where: { [r.scope]: { in: some } } });
    },
  };
}

export function createRecords(model: () => Model, { records: { fields: r } }: Names): Records {
  const select = Object.fromEntries(
    [r.scope, r.key, r.value, r.revision, r.stamp].map((name) => [name, true]),
  );
  /** What is left of a record that was removed is no record. */
  const isThere = { [r.value]: { not: null } };

  function decode(found: unknown, operation: string): StoredRecord {
    const read = reader(found, operation);
    return {
      scope: read.text(r.scope),
      key: read.text(r.key),
      value: read.jsonText(r.value),
      revision: read.text(r.revision),
      stamp: read.text(r.stamp),
    };
  }

  /** Revision and stamp of what is stored under these keys, and whether it is a record still. */
  async function look(scope: string, keys: readonly string[], doing: Doing) {
    const found: Data[] = [];
    for (const some of portionsOf(keys)) {
      const where = { [r.scope]: scope, [r.key]: { in: some } };
      found.push(...listOf(await run(doing, () => model().findMany({ where, select }))));
    }
    return new Map(
      found.map((data) => {
        const read = reader(data, doing.operation);
        return [
          read.text(r.key),
          {
            revision: read.text(r.revision),
            stamp: read.text(r.stamp),
            isThere: read.textOrNull(r.value) !== null,
          },
        ];
      }),
    );
  }

  /** Replaces what has this revision. False: it has another one, or is gone. */
  async function replace(record: RecordWrite, seen: string, more: Data, doing: Doing): Promise<boolean> {
    const where = { [r.scope]: record.scope, [r.key]: record.key, [r.revision]: seen, ...more };
    const data = encodeRecord(r, record);
    return countOf(await run(doing, () => model().updateMany({ where, data })), doing) > 0;
  }

  /** Stores records where there is nothing. False: there is something, and none was stored. */
  async function create(records: readonly RecordWrite[], doing: Doing): Promise<boolean> {
    const data = records.map((record) => encodeRecord(r, record));
    const refusal = await write(doing, () => model().createMany({ data }));
    if (refusal !== null && refusal.kind !== "taken") throw refusal.error;
    return refusal === null;
  }

  async function putNew(record: StoredRecord, doing: Doing): Promise<boolean> {
    for (let retry = 0; retry < tries; retry++) {
      const there = (await look(record.scope, [record.key], doing)).get(record.key);
      if (there?.isThere === true) return false;
      if (
        there === undefined ? await create([record], doing) : await replace(record, there.revision, {}, doing)
      )
        return true;
    }
    throw tooBusy(doing);
  }

  /** Records of one scope, each key once. */
  async function applyOf(scope: string, records: readonly RecordWrite[], doing: Doing): Promise<void> {
    let left = records;
    for (let retry = 0; retry < tries; retry++) {
      const keys = left.map(({ key }) => key);
      const there = await look(scope, keys, doing);
      const absent = left.filter(({ key }) => !there.has(key));
      const moved: RecordWrite[] = [];
      if (absent.length > 0 && !(await create(absent, doing))) moved.push(...absent);
      for (const record of left) {
        const old = there.get(record.key);
        if (old === undefined || compareBytes(old.stamp, record.stamp) >= 0) continue;
        if (!(await replace(record, old.revision, {}, doing))) moved.push(record);
      }
      if (moved.length === 0) return;
      left = moved;
    }
    throw tooBusy(doing);
  }

  return {
    async get(scope, key) {
      check(scope, key, "get");
      const where = { [r.scope]: scope, [r.key]: key, ...isThere };
      const found = await run({ operation: "get" }, () => model().findMany({ where, select }));
      const [record] = listOf(found);
      return record === undefined ? null : decode(record, "get");
    },

    async list(scope, { after = "", limit }) {
      check(scope, after === "" ? "-" : after, "list");
      const where = { [r.scope]: scope, [r.place]: { gt: placeOf(scope, after) }, ...isThere };
      const found = await run({ operation: "list" }, () =>
        model().findMany({ where, orderBy: { [r.place]: "asc" }, take: limit, select }),
      );
      return listOf(found).map((record) => decode(record, "list"));
    },

    async put(record, seen) {
      check(record.scope, record.key, "put");
      const doing = { operation: "put" };
      return seen === null ? putNew(record, doing) : replace(record, seen, isThere, doing);
    },

    async apply(records) {
      const scopes = new Map<string, Map<string, RecordWrite>>();
      for (const record of records) {
        const { scope, key, stamp } = record;
        check(scope, key, "apply");
        const keys = scopes.get(scope) ?? new Map<string, RecordWrite>();
        const newer = keys.get(key);
        if (newer === undefined || compareBytes(newer.stamp, stamp) < 0) keys.set(key, record);
        scopes.set(scope, keys);
      }
      for (const [scope, keys] of scopes) {
        // In the order of the keys: two processes that deliver the same records must not wait for each other.
        const inOrder = [...keys.values()].toSorted((a, b) => compareBytes(a.key, b.key));
        await applyOf(scope, inOrder, { operation: "apply" });
      }
    },

    async delete(scope, key, seen) {
      check(scope, key, "delete");
      const doing = { operation: "delete" };
      const where = { [r.scope]: scope, [r.key]: key, [r.revision]: seen, ...isThere };
      return countOf(await run(doing, () => model().deleteMany({ where })), doing) > 0;
    },

    async deleteScope(scope) {
      checkRecordKey(scope, "deleteScope", "scope");
      const doing = { operation: "deleteScope" };
      const remove = async (value: unknown) => {
        const where = { [r.scope]: scope, [r.value]: value };
        return countOf(await run(doing, () => model().deleteMany({ where })), doing);
      };
      const count = await remove({ not: null });
      await remove(null);
      return count;
    },

    async scopes({ after = "", limit }) {
      const behind = after === "" ? {} : { [r.place]: { gt: endOf(after) } };
      const found = await run({ operation: "scopes" }, () =>
        model().groupBy({
          by: [r.scope],
          where: { ...behind, ...isThere },
          orderBy: { _min: { [r.place]: "asc" } },
          take: limit,
        }),
      );
      return listOf(found).map((group) => reader(group, "scopes").text(r.scope));
    },
  };
}

function tooBusy({ operation }: Doing): StorageError {
  const message = `${operation}: others kept writing the same record; try again`;
  return new StorageError("STORAGE_LOCKED", message, { operation });
}

function check(scope: string, key: string, operation: string): void {
  checkRecordKey(scope, operation, "scope");
  checkRecordKey(key, operation);
}
