import type { Json } from "./json.js";
import type { Page } from "./row.js";

/** A stored record. */
export type StoredRecord = {
  /** Whose it is, as `applicationScope`, `userScope` and `sessionScope` name it: 1 to 256 bytes, compared byte by byte. */
  readonly scope: string;
  /** 1 to 256 bytes of UTF-8, compared byte by byte. */
  readonly key: string;
  /** Never null, which stands for no record. */
  readonly value: Json;
  /** Made new at every write of the record: what `put` and `delete` compare. */
  readonly revision: string;
  /** Orders the writes of `apply` and of turns: the higher stamp, compared as bytes, wins. */
  readonly stamp: string;
};

/** A write of a record that depends on nothing but its stamp. A null value removes the record. */
export type RecordWrite = StoredRecord;

/**
 * Facet: an ordered, versioned key-value store beside the sessions. Keys and scopes are ordered by their UTF-8 bytes. Each
 * method is atomic for one record, durable as the adapter declares, and reads see every acknowledged write.
 *
 * Of one scope, core writes either by `put` and `delete` (of a user, of the application) or by `apply` and with turns (of a
 * session), and never by both.
 */
export interface Records {
  get(scope: string, key: string): Promise<StoredRecord | null>;
  /** Records of a scope with keys greater than `after`, ascending, from one snapshot. `limit` is 1 to 1,000. */
  list(scope: string, page: { after?: string; limit: number }): Promise<readonly StoredRecord[]>;
  /** Stores if the present revision is `seen` (null: if there is none). False: it is not, and nothing was written. */
  put(record: StoredRecord, seen: string | null): Promise<boolean>;
  /**
   * Stores each record unless what is there has a higher or equal stamp. A null value removes the record and keeps its key
   * with the stamp, so that a write which arrives late does not bring it back: what remains is no record for `get`, `list`,
   * `put`, `delete`, `scopes` and the number that `deleteScope` gives. A later write of the key takes its place, and
   * `deleteScope` removes it. After a throw some may be stored: the caller repeats.
   */
  apply(records: readonly RecordWrite[]): Promise<void>;
  /** Removes the record if its revision is `seen`, and leaves nothing of it. False: it moved or is gone. */
  delete(scope: string, key: string, seen: string): Promise<boolean>;
  /** Removes all of a scope; resolves to how many records there were. Repeated: 0. */
  deleteScope(scope: string): Promise<number>;
  /** Scopes that hold records, greater than `after`, ascending. `limit` is 1 to 1,000. */
  scopes(page: { after?: string; limit: number }): Promise<readonly string[]>;
}

/** What is looked for; all conditions must hold. */
export interface SearchQuery {
  /** All of its words have to be there; see `Search`. At most 16,384 characters. */
  readonly text: string;
  /** Only in sessions that belong to this user. */
  readonly userId?: string;
  readonly sessionId?: string;
  /** Only messages whose `createdAt` is in `from..to`, both inclusive. */
  readonly from?: number;
  readonly to?: number;
  /** Only in sessions without an `expiresAt`, or with one after this time: `find` has the same condition. */
  readonly expiresAfter?: number;
  /** 1 to 100. */
  readonly limit: number;
  readonly cursor?: string;
}

/** A message that was found. */
export interface SearchHit {
  readonly sessionId: string;
  readonly log: string;
  readonly sequence: number;
  readonly role: string;
  readonly createdAt: number;
  /** A part of the entry's `content`, exactly as it stands there, around what was found: at most 1,000 characters. */
  readonly snippet: string;
}

/**
 * Facet: full text over the messages. It finds those that a reader of the session sees, and no others: the row is there and
 * no tombstone, the entry is in the log of its life, within `first..last`, and within the ranges that `state.visible` names
 * where a rewind or a branch has named some (pairs of sequences, both inclusive; the end of the last may be null, and is then
 * open). An entry that is still in the outbox of its row is found when it has been delivered. Beyond that, searches see every
 * acknowledged write.
 *
 * A message is found if it has all words of the text, whatever the case of their letters. Words in double quotes have to
 * follow each other; a word or such a group behind a `-` must not be there. What a word is, is the store's, as are stems and
 * accents; letters and digits without anything between them are one. No text is an error: one without words, or in which all are
 * excluded, finds nothing. A store may look only at the first 100,000 characters of a message.
 *
 * Hits are ordered by `createdAt` descending, then by the bytes of `sessionId`, then by `sequence` descending. A cursor is a
 * position in that order, as for `find`: the next page goes on behind it, whatever came or went. A cursor that it did not
 * make, or a limit out of range: `INVALID_ARGUMENT`.
 */
export interface Search {
  query(query: SearchQuery): Promise<Page<SearchHit>>;
}
