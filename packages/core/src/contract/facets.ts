import type { Json } from "./json.js";
import type { Page } from "./row.js";

/** A stored record. */
export interface StoredRecord {
  readonly scope: string;
  readonly key: string;
  readonly value: Json;
  /** Made new at every write of the record: what `put` and `delete` compare. */
  readonly revision: string;
  /** Orders unconditional writes: the higher stamp, compared as bytes, wins. */
  readonly stamp: string;
}

/** Facet: an ordered, versioned key-value store beside the sessions. Keys are ordered by their UTF-8 bytes. */
export interface Records {
  get(scope: string, key: string): Promise<StoredRecord | null>;
  /** Records of a scope with keys greater than `after`, ascending. `limit` is 1 to 100. */
  list(scope: string, page: { after?: string; limit: number }): Promise<readonly StoredRecord[]>;
  /** Stores if the present revision is `seen` (null: if there is none). False: it is not. */
  put(record: StoredRecord, seen: string | null): Promise<boolean>;
  /** Stores each record unless the present one has a higher or equal stamp. A null value deletes. */
  apply(
    records: readonly { scope: string; key: string; value: Json; stamp: string; revision: string }[],
  ): Promise<void>;
  delete(scope: string, key: string, seen: string): Promise<boolean>;
  /** Removes all records of a scope; resolves to how many. */
  deleteScope(scope: string): Promise<number>;
  /** Scopes that hold records, ascending. */
  scopes(page: { after?: string; limit: number }): Promise<readonly string[]>;
}

/** What a search found: a key of an entry and the text around the match. */
export interface SearchHit {
  readonly sessionId: string;
  readonly log: string;
  readonly sequence: number;
  readonly snippet: string;
}

/** Facet: full text over the messages. */
export interface Search {
  query(query: {
    text: string;
    userId?: string;
    sessionId?: string;
    from?: number;
    to?: number;
    limit: number;
    cursor?: string;
  }): Promise<Page<SearchHit>>;
}

/** Facet: the store itself removes whole sessions, messages and records included, by `expiresAt`. */
export interface Expiry {
  /** Removes up to `limit` sessions whose time is over at `now`; resolves to how many. */
  sweep(options: { now: number; limit: number }): Promise<number>;
}
