import type { Json } from "./json.js";
import type { Entry, SessionRow, Status } from "./row.js";

/** A message to be stored; its sequence is given by the commit. */
export type NewEntry = {
  readonly userId: string | null;
  readonly role: string;
  readonly content: string;
  readonly createdAt: number;
  readonly body: Json;
};

/** A record to be stored with a turn; a null value removes it. */
export type NewRecord = { readonly key: string; readonly value: Json };

/** What a commit expects of the row. */
export type Expectation =
  /** No row has the id. The row begins with this life. */
  | { readonly kind: "create"; readonly life: string; readonly createdAt: number }
  /** The row has this version and, where given, this last sequence, and has had so many operations. */
  | {
      readonly kind: "version";
      readonly version: string;
      readonly last?: number;
      readonly operations?: number;
    }
  /**
   * The row exists, at whatever version; for writes that do not depend on the state. Where `operations` is given, the row
   * has had exactly so many: nothing at all was committed since.
   */
  | { readonly kind: "append"; readonly operations?: number };

/** Fields of the row that a commit sets. Absent: left as it is. Null: cleared. */
export type RowChanges = {
  readonly userId?: string | null;
  readonly agentName?: string | null;
  readonly status?: Exclude<Status, "deleting">;
  readonly completedAt?: number | null;
  readonly expiresAt?: number | null;
  readonly route?: string | null;
  readonly step?: string | null;
  /** The whole state. Present only when it changed: it moves the version. */
  readonly state?: Json;
};

/** One turn: everything that one exchange changes, stored all or none. */
export interface Commit {
  readonly id: string;
  readonly expect: Expectation;
  /** The id makes a retry harmless; the digest tells a retry from another use of the same id. */
  readonly operation: { readonly id: string; readonly digest: string };
  /** The row's next revision. */
  readonly revision: string;
  /** Milliseconds of the caller's clock: `updatedAt`. */
  readonly at: number;
  /** Where given, a row of another owner counts as absent. */
  readonly owner?: string | undefined;
  /** Without it, a row that is completed or abandoned refuses the commit. */
  readonly reopen?: boolean | undefined;
  /**
   * Present where the operation may have been applied before: a second try, or an id that the caller chose. `since` is how
   * many operations the row had when it was certainly not applied yet, null where nobody knows.
   */
  readonly retry?: { readonly since: number | null } | undefined;
  readonly set: RowChanges;
  readonly messages: readonly NewEntry[];
  /** Route history that leaves the row; numbered by core, under the guard of the version. */
  readonly history: readonly (NewEntry & { readonly sequence: number })[];
  /**
   * Records of this session, stored with the turn; null removes. Each key at most once. The commit's own conditions guard
   * them: `applyCommit` gives them their scope, revision and stamp. Only for adapters that have `records`.
   */
  readonly records?: readonly NewRecord[] | undefined;
}

/** What a commit did. `first..last` are the sequences of its messages; `last` is `first - 1` where it had none. */
export interface Committed {
  readonly status: "committed" | "replayed";
  readonly life: string;
  readonly version: string;
  readonly first: number;
  readonly last: number;
  /** The time that was stored: of the first try, for a replay. */
  readonly at: number;
  /** How many operations the row has had, this one included. */
  readonly operations: number;
}

/** The answer to one commit. All but `committed` wrote nothing. */
export type Outcome =
  | Committed
  /** The row has another version, and the operation was certainly not applied. */
  | { readonly status: "conflict"; readonly version: string }
  /** The row has another version, and whether the operation was applied can no longer be told. */
  | { readonly status: "unknown"; readonly version: string }
  | { readonly status: "exists" | "absent" | "mismatch" }
  | { readonly status: "closed"; readonly rowStatus: Status }
  /** The row holds entries of the outbox that must be delivered first. */
  | { readonly status: "busy" }
  | { readonly status: "failed"; readonly error: unknown };

/** A row with the newest entries of its messages, from one snapshot. */
export interface LoadedRow {
  readonly row: SessionRow;
  /** The last entries, ascending. */
  readonly entries: readonly Entry[];
}

/** Facet: the store writes whole turns at once, so core does not need its outbox. */
export interface Turns {
  /**
   * Whether many commits in one call cost the store less than a call each, as one statement for all of them does. Turns of
   * different sessions that are saved at the same moment then travel in one call. Default: false, each travels at once.
   */
  readonly groups?: boolean;
  /**
   * Applies each commit by the rules of `applyCommit`, its row, entries and records atomically, and answers in the same order. A commit that cannot be
   * applied does not touch its neighbours. Core sends at most one commit a session in one call. Where an id comes twice all
   * the same, the store answers the second `busy` and writes nothing of it, or applies both as if they came from two callers.
   */
  commit(commits: readonly Commit[]): Promise<readonly Outcome[]>;
  /** The row and its last `last` messages (0 to 1,000), one snapshot. Null: certainly no such row. Tombstones are rows. */
  load(id: string, options: { last: number }): Promise<LoadedRow | null>;
  /**
   * Removes whole sessions, each at once with its messages, route history and records, where the row still has the revision
   * that was seen. Answers in the same order whether it did; false also where somebody is writing the row. At most 100, each
   * id once. Default: core removes each by a tombstone, which takes four calls, or five where there are records.
   */
  remove?(sessions: readonly SeenRow[]): Promise<readonly boolean[]>;
}

/** A row as somebody has seen it. */
export type SeenRow = Pick<SessionRow, "id" | "revision">;
