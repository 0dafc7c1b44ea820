import { digest } from "../codec/digest.js";
import { jsonEqual } from "../codec/equal.js";
import { storableText } from "../codec/text.js";
import type { Json } from "../contract/json.js";
import type { Commit, NewEntry, NewRecord, RowChanges } from "../contract/turns.js";
import { ValidationError } from "../errors.js";
import { isObject } from "./rebase.js";
import { jsonBytes } from "./size.js";

/** What the store held when the state that is now to be saved was read or last saved. */
export interface Base {
  readonly version: string;
  /** The state as it was stored, in the present version of its schema. */
  readonly state: Json;
  /** The store has it in an older version of its schema, so that the next save writes it. */
  readonly isMigrated: boolean;
  /** How many operations the row had had; null where that is not known. */
  readonly operations: number | null;
  /** Milliseconds; null where that is not known. */
  readonly createdAt: number | null;
}

/** Everything that one exchange changes, encoded. */
export interface TurnChanges {
  readonly id: string;
  /** Null: the session is not stored yet. */
  readonly base: Base | null;
  readonly state: Json;
  readonly messages: readonly NewEntry[];
  /** Undefined where there are none. */
  readonly records: readonly NewRecord[] | undefined;
  readonly operation: { readonly id: string; readonly digest: string };
  /** As in a commit: present where the operation may have been sent before. */
  readonly retry: { readonly since: number | null } | undefined;
  /** Fields of the row besides the state. */
  readonly set: RowChanges;
  readonly createdAt: number;
  readonly at: number;
  readonly owner: string | undefined;
  readonly reopen: boolean;
  readonly commitBytes: number;
  newId(): string;
}

export interface TurnPlan {
  readonly base: Base | null;
  readonly commit: Commit;
  /** The state as it will be stored. */
  readonly state: Json;
}

/** How much route history stays in the row: what is older is appended elsewhere, so that a turn costs the same for ever. */
export const historyKept = 100;

/** What a commit that reopens a session sets. */
export const opened: RowChanges = { status: "active", completedAt: null };

/** When a session ends that is to live so long from now on; `Infinity`: never. Nothing where nobody says. */
export function expiry(expireAfterMs: number | undefined, at: number): RowChanges {
  if (expireAfterMs === undefined) return unchanged;
  return { expiresAt: expireAfterMs === Infinity ? null : Math.ceil(at + expireAfterMs) };
}

const unchanged: RowChanges = {};

/** Makes the commit that turns `base` into `state`. @throws `COMMIT_TOO_LARGE` */
export function planTurn(changes: TurnChanges): TurnPlan {
  const { id, base, messages, records, operation, retry, at, owner, reopen } = changes;
  const { state, history } = spill(changes.state, at);
  const isChanged = base === null || base.isMigrated || !jsonEqual(base.state, state);
  let { set } = changes;
  if (reopen) set = { ...set, ...opened };
  if (isChanged)
    set = { ...set, state, route: idOf(state, "currentRoute"), step: idOf(state, "currentStep") };
  checkSize(changes, state, history);
  return {
    base,
    state,
    commit: {
      id,
      expect:
        base === null
          ? { kind: "create", life: changes.newId(), createdAt: changes.createdAt }
          : { kind: "version", version: base.version },
      operation,
      revision: changes.newId(),
      at,
      owner,
      reopen,
      retry,
      set,
      messages,
      history,
      records,
    },
  };
}

/**
 * Tells a retry from another use of its operation id: what the caller passed, without times, and without what a first try
 * that was stored has changed in the object.
 */
export function turnDigest(
  state: Json,
  messages: readonly NewEntry[],
  records: readonly NewRecord[] | undefined,
): string {
  const { state: kept } = spill(state, 0);
  const own = isObject(kept) ? { ...kept, historyBefore: null, visible: null, schemaVersion: null } : kept;
  const said = messages.map(({ role, content, body }) => [role, content, body]);
  // A turn without records has the digest that it had before there were any.
  return digest(records === undefined ? [own, said] : [own, said, recordPairs(records)]);
}

function recordPairs(records: readonly NewRecord[]): Json {
  return records.map(({ key, value }) => [key, value]);
}

function spill(state: Json, at: number): { state: Json; history: Commit["history"] } {
  if (!isObject(state) || !Array.isArray(state.routeHistory)) return { state, history: [] };
  const entries: readonly Json[] = state.routeHistory;
  const excess = entries.length - historyKept;
  if (excess <= 0) return { state, history: [] };
  const before = typeof state.historyBefore === "number" ? state.historyBefore : 0;
  const history = entries.slice(0, excess).map((body, index) => ({
    userId: null,
    role: "route",
    content: "",
    createdAt: at,
    body,
    sequence: before + index + 1,
  }));
  return {
    state: { ...state, routeHistory: entries.slice(excess), historyBefore: before + excess },
    history,
  };
}

function idOf(state: Json, part: "currentRoute" | "currentStep"): string | null {
  const ref = isObject(state) ? state[part] : undefined;
  return isObject(ref) && typeof ref.id === "string" ? storableText(ref.id) : null;
}

function checkSize(
  { id, commitBytes, messages, records }: TurnChanges,
  state: Json,
  history: Commit["history"],
): void {
  let bytes = jsonBytes(state, commitBytes);
  for (const entry of messages) bytes += entryBytes(entry, commitBytes);
  for (const entry of history) bytes += entryBytes(entry, commitBytes);
  if (records !== undefined) for (const record of records) bytes += recordBytes(record, commitBytes);
  if (bytes > commitBytes) throw tooLarge(id, bytes, commitBytes);
}

/** Bytes that a record takes in a commit, its scope, revision and stamp included. */
export function recordBytes({ key, value }: NewRecord, limit: number): number {
  return jsonBytes([key, value], limit) + 300;
}

/** Bytes that a message takes in a commit, the row's own fields included. */
export function entryBytes({ content, body }: NewEntry, limit: number): number {
  return jsonBytes([content, body], limit) + 300;
}

/** The error for a commit that the store would not take. */
export function tooLarge(sessionId: string, bytes: number, limit: number): ValidationError {
  return new ValidationError(
    "COMMIT_TOO_LARGE",
    `the turn has ${bytes} bytes of JSON and the store takes ${limit}; nothing was written. ` +
      "Keep large values elsewhere and a reference to them in the session",
    { operation: "commit", sessionId },
  );
}
