import type { Json } from "../contract/json.js";
import type { SessionRow } from "../contract/row.js";
import { type StateExtras, checkFormat, decodeState } from "../state/envelope.js";
import { type SchemaVersions, migrateState } from "../state/migrate.js";
import type { Schema } from "../state/schema.js";
import type { SessionState } from "../state/session.js";
import { isCount, isVisibleRanges } from "../state/shape.js";
import type { TurnEnvironment } from "../turn/environment.js";
import type { OwnVersions } from "../turn/own.js";
import type { Base } from "../turn/plan.js";
import { isObject } from "../turn/rebase.js";
import { systemOf } from "../turn/system.js";
import type { TurnStore } from "../turn/store.js";
import type { Followers } from "./follow.js";
import type { HookCall } from "./hook-runner.js";
import type { ValidationResult } from "./hooks.js";
import type { ConflictPolicy } from "./options.js";
import type { ProvisionalVersions } from "./provisional.js";

/** What the manager's calls work with. */
export interface Saving<TData> {
  readonly store: TurnStore;
  readonly environment: TurnEnvironment;
  readonly commitBytes: number;
  /** The longest id of a user that the store takes. */
  readonly idBytes: number;
  readonly deadlineMs: number;
  readonly conflict: ConflictPolicy<TData>;
  readonly schema: Schema | undefined;
  readonly versions: SchemaVersions;
  readonly userId: string | undefined;
  readonly agentName: string | undefined;
  readonly expireAfterMs: number | undefined;
  /** What the store is known to hold for a state object that was loaded or saved here; forgotten with the object. */
  readonly known: WeakMap<object, Base>;
  /** Operation ids that a state object was saved with, each with how many operations the session had had before. */
  readonly tried: WeakMap<object, Map<string, number | null>>;
  readonly own: OwnVersions;
  /** How states show their versions. */
  readonly shownVersions: ProvisionalVersions;
  /** The application's own validation, if it has one; issues refuse. */
  readonly validate: Validate<TData> | undefined;
  readonly followers: Followers<TData> | undefined;
}

/** @throws `HOOK_FAILED` */
export type Validate<TData> = (session: SessionState<TData>, call: HookCall) => Promise<ValidationResult>;

/** One call of the manager, as the code that does its work sees it. */
export interface ManagerCall<TData> {
  readonly operation: string;
  readonly ticket: number;
  /** Connects, if nothing has yet. */
  ready(): Promise<Saving<TData>>;
}

/** What reading needs of it. */
export type Reading = Omit<Saving<unknown>, "conflict" | "validate" | "followers">;

/** The parts of a stored state, as an application holds them. @throws `STORAGE_DAMAGED` */
export function partsOf<TData>(state: Json, sessionId: string): Omit<SessionState<TData>, "id" | "version"> {
  return decodeState<TData>(state, { operation: "load", sessionId }).state;
}

/** The state of a row, from what a state that is read from it is based on. @throws `STORAGE_DAMAGED` */
export function sessionOf<TData>(row: SessionRow, base: Base): SessionState<TData> {
  const { metadata, ...parts } = partsOf<TData>(base.state, row.id);
  const times = { createdAt: new Date(row.createdAt), updatedAt: new Date(row.updatedAt) };
  return { id: row.id, ...parts, metadata: { ...metadata, ...times }, version: row.version };
}

/**
 * A row, as what a state that is read from it is based on. Every stored state comes in here, whether it is loaded or merged
 * with. @throws `STATE_TOO_NEW`, `MIGRATION_FAILED`, `STORAGE_DAMAGED`
 */
export function baseOfRow(row: SessionRow, versions: SchemaVersions, operation: string): Base {
  const context = { operation, sessionId: row.id };
  checkFormat(row.state, context);
  const state = migrateState(row.state, versions, context);
  return {
    version: row.version,
    state,
    isMigrated: state !== row.state,
    operations: systemOf(row).count,
    createdAt: row.createdAt,
  };
}

/** What core keeps in a stored state for itself: an application's object does not show it. */
export function hiddenParts(state: Json | undefined, { version }: SchemaVersions): StateExtras {
  const { historyBefore, visible }: { readonly [key: string]: Json } = isObject(state) ? state : {};
  return {
    historyBefore: isCount(historyBefore) ? historyBefore : undefined,
    visible: isVisibleRanges(visible) ? visible : undefined,
    schemaVersion: version,
  };
}
