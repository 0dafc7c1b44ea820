import { type RecordWrite, type Records, type StoredRecord, checkRecordKey } from "@waymark/core/adapter";
import { damaged, guard } from "./client.js";
import type { ListEntry, ListedScope } from "./lists.js";
import {
  applyRecords,
  listRecords,
  peekScope,
  putRecord,
  readRecord,
  removeRecord,
  removeScope,
} from "./record-scripts.js";
import { dropUnused, encodeBrought, encodeRest, placeOf } from "./scopes.js";
import type { Store } from "./store.js";

/** Enough for any page; a script should not hold the server for longer. */
const recordsLimit = 1000;

export function createRecords(store: Store): Records {
  const { run, keys, lists } = store;

  /** Sends a write, and once more with an entry where the scope is in no list. Resolves to the reply. */
  async function write(
    scope: string,
    send: (listed: ListedScope | undefined) => Promise<unknown>,
  ): Promise<unknown> {
    let reply = await send(undefined);
    while (reply === "unlisted") {
      const listed = await lists.addScope(scope);
      reply = await send(listed);
      // Refused, late, or somebody else's was first.
      if (reply !== listed.stamp) await dropUnused(store, scope, listed);
    }
    return reply;
  }

  async function applyTo(scope: string, writes: readonly RecordWrite[]): Promise<void> {
    const place = placeOf(keys, scope);
    for (let begin = 0; begin < writes.length; begin += recordsLimit) {
      const some = writes.slice(begin, begin + recordsLimit);
      await write(scope, (listed) =>
        run({ script: applyRecords, keys: place.keys, args: encodeBrought(place.prefix, some, listed) }),
      );
    }
  }

  /** Whether the scope of an entry holds records; null where the entry names nothing. */
  async function look({ name, stamp }: ListEntry): Promise<boolean | null> {
    const { prefix, begin, end, keys: keysOf } = placeOf(keys, name);
    const reply = await run({ script: peekScope, keys: keysOf, args: [prefix, begin, end] });
    const [present, count]: unknown[] = Array.isArray(reply) ? reply : [];
    return present === stamp ? Number(count) > 0 : null;
  }

  async function scopesOf(entries: readonly ListEntry[]): Promise<string[]> {
    const looks = await Promise.all(entries.map(look));
    const dead = entries.filter(({ isOld }, index) => looks[index] === null && isOld);
    // Housekeeping: what fails here is tried again by the next query.
    if (dead.length > 0) await lists.drop(dead).catch(() => {});
    return entries.filter((_, index) => looks[index] === true).map(({ name }) => name);
  }

  return {
    async get(scope, key) {
      check(scope, key, "get");
      return guard("get", undefined, async () => {
        const { prefix, keys: keysOf } = placeOf(keys, scope);
        const text = await run({ script: readRecord, keys: keysOf, args: [prefix + key] });
        const record = text == null ? null : decodeRecord(scope, key, text, "get");
        return record === null || record.value === null ? null : record;
      });
    },

    async list(scope, { after, limit }) {
      check(scope, after ?? "a", "list");
      return guard("list", undefined, async () => {
        const { prefix, begin, end, keys: keysOf } = placeOf(keys, scope);
        const args = [after === undefined ? begin : `(${prefix}${after}`, end, String(limit)];
        const reply = await run({ script: listRecords, keys: keysOf, args });
        const [fields, texts]: unknown[] = Array.isArray(reply) ? reply : [];
        if (!Array.isArray(fields) || !Array.isArray(texts)) return [];
        return fields.map((field, index) =>
          decodeRecord(scope, String(field).slice(prefix.length), texts[index], "list"),
        );
      });
    },

    async put(record, seen) {
      const { scope, key, stamp, revision } = record;
      check(scope, key, "put");
      return guard("put", undefined, async () => {
        const { prefix, keys: keysOf } = placeOf(keys, scope);
        const revisions = [seen === null ? "" : JSON.stringify(seen), JSON.stringify(revision)];
        const args = [prefix, key, ...revisions, `${stamp}\n${encodeRest(record)}`];
        const reply = await write(scope, (listed) =>
          run({
            script: putRecord,
            keys: keysOf,
            args: [...args, listed?.stamp ?? "", listed?.deadline ?? ""],
          }),
        );
        return reply !== "moved";
      });
    },

    async apply(writes) {
      const byScope = new Map<string, RecordWrite[]>();
      for (const record of writes) {
        check(record.scope, record.key, "apply");
        const others = byScope.get(record.scope);
        if (others === undefined) byScope.set(record.scope, [record]);
        else others.push(record);
      }
      await guard("apply", undefined, () =>
        Promise.all([...byScope].map(([scope, some]) => applyTo(scope, some))),
      );
    },

    async delete(scope, key, seen) {
      check(scope, key, "delete");
      return guard("delete", undefined, async () => {
        const { prefix, keys: keysOf } = placeOf(keys, scope);
        const args = [prefix, key, JSON.stringify(seen)];
        const stamp = await run({ script: removeRecord, keys: keysOf, args });
        if (typeof stamp !== "string") return false;
        if (stamp !== "") await lists.forgetScope(scope, stamp).catch(() => {});
        return true;
      });
    },

    async deleteScope(scope) {
      checkRecordKey(scope, "deleteScope", "scope");
      return guard("deleteScope", undefined, async () => {
        const { prefix, begin, end, keys: keysOf } = placeOf(keys, scope);
        const reply = await run({ script: removeScope, keys: keysOf, args: [prefix, begin, end] });
        const [count, stamp]: unknown[] = Array.isArray(reply) ? reply : [];
        if (typeof stamp === "string" && stamp !== "") await lists.forgetScope(scope, stamp).catch(() => {});
        return Number(count);
      });
    },

    scopes: ({ after, limit }) =>
      guard("scopes", undefined, async () => {
        const found: string[] = [];
        let batch: ListEntry[] = [];
        for await (const entry of lists.readScopes(after, limit)) {
          batch.push(entry);
          if (batch.length < Math.min(limit, 200)) continue;
          found.push(...(await scopesOf(batch)));
          batch = [];
          if (found.length >= limit) break;
        }
        found.push(...(await scopesOf(batch)));
        return found.slice(0, limit);
      }),
  };
}

/** @throws `STORAGE_DAMAGED` */
function decodeRecord(scope: string, key: string, text: unknown, operation: string): StoredRecord {
  try {
    // The stamp is the first line, and JSON has no line breaks.
    const lines = String(text).split("\n");
    const value = JSON.parse(lines.at(-1) ?? "");
    const revision = JSON.parse(lines.at(-2) ?? "");
    return { scope, key, value, revision, stamp: lines.slice(0, -2).join("\n") };
  } catch (cause) {
    throw damaged("the record is not what was written there", { operation, cause });
  }
}

function check(scope: string, key: string, operation: string): void {
  checkRecordKey(scope, operation, "scope");
  checkRecordKey(key, operation);
}
