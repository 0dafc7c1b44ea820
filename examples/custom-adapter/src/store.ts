import type { Entry, SessionRow } from "@waymark/core/adapter";

/** Ordered part by part: numbers by size, texts by their UTF-8 bytes. */
export type Key = (string | number)[];

/** What the adapter uses of a table. */
export interface Table<V> {
  get(key: Key): V | undefined;
  put(key: Key, value: V): unknown;
  remove(key: Key): unknown;
  getKeys(range: Range): Iterable<Key>;
  getRange(range: Range): Iterable<{ value: V }>;
}

interface Range {
  start: Key;
  end: Key;
  exclusiveStart?: boolean;
  inclusiveEnd?: boolean;
  limit?: number;
}

/** What the adapter uses of the database that `open` of `lmdb` gives. */
export interface Database {
  openDB<V>(options: { name: string; encoding: "json" }): Table<V>;
  /** Runs the action under the lock of all writers, of other processes too. Resolves when others can see what it wrote. */
  transaction<T>(action: () => T): Promise<T>;
  /** Resolves when what was written before is on the disk. */
  readonly flushed: PromiseLike<unknown>;
  /** Reads go on from the newest state: otherwise from that of the last moment, which other processes may have left. */
  resetReadTxn(): void;
}

export interface Store {
  /** By id. */
  readonly rows: Table<SessionRow>;
  /** Places of rows in the order of `find`, among all and among those of their user. */
  readonly places: Table<true>;
  /** By session, log and sequence. */
  readonly entries: Table<Entry>;
  read<T>(action: () => T): T;
  write<T>(action: () => T): Promise<T>;
}

export function openStore(database: Database): Store {
  return {
    rows: database.openDB({ name: "waymark-rows", encoding: "json" }),
    places: database.openDB({ name: "waymark-places", encoding: "json" }),
    entries: database.openDB({ name: "waymark-entries", encoding: "json" }),
    read(action) {
      database.resetReadTxn();
      return action();
    },
    async write(action) {
      const answer = await database.transaction(action);
      await database.flushed;
      return answer;
    },
  };
}
