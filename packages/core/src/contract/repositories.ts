import type { Entry, Filter, Page, SessionRow } from "./row.js";

/**
 * Keeps session rows. `false` and `null` are answers, not errors: an adapter that is not sure throws. Each method is
 * atomic for one row and durable, as the adapter declares, before it resolves.
 */
export interface SessionRepository {
  /** Stores a row whose id is free. False: the id is taken (a tombstone takes it too), and nothing was written. */
  create(row: SessionRow): Promise<boolean>;
  /** The newest acknowledged row, tombstones included. Null is certain. */
  findById(id: string): Promise<SessionRow | null>;
  /**
   * Replaces the whole row if its revision is `seen`; null fields clear. False: it moved or is gone, and nothing was written.
   * `id`, `life` and `createdAt` are always those of the row that is replaced, so keys and orders may be made of them. All
   * else may be another, `userId` too.
   */
  update(row: SessionRow, seen: string): Promise<boolean>;
  /** Removes the row if its revision is `seen`. False: it moved or is gone. */
  delete(id: string, seen: string): Promise<boolean>;
  /**
   * Rows that match, newest `createdAt` first, then by id ascending. `limit` is 1 to 100. Sees every acknowledged write.
   * Hides `deleting` unless the filter names it. A cursor that it did not make: `INVALID_ARGUMENT`.
   */
  find(filter: Filter, page: { limit: number; cursor?: string }): Promise<Page<SessionRow>>;
}

/** Keeps entries by key `(sessionId, log, sequence)`. Reads see every acknowledged write at once, other processes' too. */
export interface MessageRepository {
  /** Stores entries; a key that exists is left as it is. After a throw some may be stored: the caller repeats. */
  insert(entries: readonly Entry[]): Promise<void>;
  /** Entries of one log with `from <= sequence <= to`, ascending; absent keys are left out. Never more than 1,000 are asked for. */
  findBySessionId(
    sessionId: string,
    range: { log: string; from: number; to: number },
  ): Promise<readonly Entry[]>;
  /** Removes entries of one log, up to and including `to` where given. Resolves to how many; repeated: 0. */
  deleteBySessionId(sessionId: string, range: { log: string; to?: number }): Promise<number>;
  /**
   * Writes entries over what is stored under their keys, each entry at once; one whose key is not there is left out. Each key
   * at most once. Resolves to how many were written. What an entry says never changes: this is for who stores the same in
   * another form, as `encryptStore` does. After a throw some may be written: the caller repeats.
   */
  replace?(entries: readonly Entry[]): Promise<number>;
}
