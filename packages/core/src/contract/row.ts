import type { Json } from "./json.js";

/** Where a session stands. `deleting` is a tombstone: a delete that has begun and is finished by the next delete, create or prune. */
export type Status = "active" | "completed" | "abandoned" | "deleting";

/** A status that an application sees and sets. */
export type SessionStatus = Exclude<Status, "deleting">;

/**
 * A session as a store keeps it. All times are integer milliseconds of the caller's clock; no rule depends on them but
 * expiry and queries. An adapter stores each field as it is and interprets none beyond what its queries need.
 */
export type SessionRow = {
  /** 1 to 128 bytes of UTF-8, compared byte by byte. */
  readonly id: string;
  /** Random at each creation of the id; the log of its messages has this name, so nothing of an earlier life is ever seen. */
  readonly life: string;
  /** Made new by the writer at every write and never used again: what `update` and `delete` compare. */
  readonly revision: string;
  /** `<life>.<n>`; moves only when the state changes. */
  readonly version: string;
  readonly userId: string | null;
  readonly agentName: string | null;
  readonly status: Status;
  /** Messages `first..last` exist; `last` is 0 and `first` is 1 before the first one. */
  readonly first: number;
  readonly last: number;
  readonly lastMessageAt: number | null;
  /** Given with the life, and the same until its end. */
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly completedAt: number | null;
  readonly expiresAt: number | null;
  /** Copies of the position, for queries. */
  readonly route: string | null;
  readonly step: string | null;
  /** The session's state as plain JSON; null in a tombstone. */
  readonly state: Json;
  /** `system` may hold entries that are not in the message repository yet. */
  readonly dirty: boolean;
  /** Core's own part: pending entries (message text among them) and recent operations. Stored as it is. */
  readonly system: Json;
};

/** One message, or one entry of the route history, under its key `(sessionId, log, sequence)`. */
export type Entry = {
  readonly sessionId: string;
  /** `life` for messages; `<life>r` for route history that left the row. */
  readonly log: string;
  /** From 1, without gaps, never given twice in a life. */
  readonly sequence: number;
  readonly userId: string | null;
  readonly role: string;
  /** The text, for people and for search. */
  readonly content: string;
  readonly createdAt: number;
  /** Everything else of the message; key order is kept where the store can. */
  readonly body: Json;
};

/** What `find` selects by; all conditions must hold. Bounds are exclusive. */
export interface Filter {
  readonly userId?: string;
  readonly agentName?: string;
  /** Default: every status but `deleting`. */
  readonly status?: readonly Status[];
  readonly updatedBefore?: number;
  readonly updatedAfter?: number;
  /** Rows with an `expiresAt` before this time. */
  readonly expiresBefore?: number;
  /** Rows without an `expiresAt`, or with one after this time. */
  readonly expiresAfter?: number;
  readonly dirty?: true;
}

/** A page of a list; `next` is the cursor of the following page, null on the last. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}
