import type { Json } from "../contract/json.js";
import type { SessionRow } from "../contract/row.js";
import { type StateExtras, decodeState } from "../state/envelope.js";
import type { Schema } from "../state/schema.js";
import type { SessionState } from "../state/session.js";
import { isCount, isVisibleRanges } from "../state/shape.js";
import type { TurnEnvironment } from "../turn/environment.js";
import type { OwnVersions } from "../turn/own.js";
import type { Base } from "../turn/plan.js";
import { isObject } from "../turn/rebase.js";
import { systemOf } from "../turn/system.js";
import type { TurnStore } from "../turn/store.js";
import type { ConflictPolicy } from "./options.js";

/** What the manager's calls work with. */
export interface Saving<TData> {
  readonly store: TurnStore;
  readonly environment: TurnEnvironment;
  readonly commitBytes: number;
  readonly deadlineMs: number;
  readonly conflict: ConflictPolicy<TData>;
  readonly schema: Schema | undefined;
  readonly userId: string | undefined;
  readonly agentName: string | undefined;
  /** What the store is known to hold for a state object that was loaded or saved here; forgotten with the object. */
  readonly known: WeakMap<SessionState<TData>, Base>;
  /** Operation ids that a state object was saved with, each with how many operations the session had had before. */
  readonly tried: WeakMap<SessionState<TData>, Map<string, number | null>>;
  readonly own: OwnVersions;
}

/** The parts of a stored state, as an application holds them. @throws `STORAGE_DAMAGED` */
export function partsOf<TData>(state: Json, sessionId: string): Omit<SessionState<TData>, "id" | "version"> {
  return decodeState<TData>(state, { operation: "load", sessionId }).state;
}

/** The state of a row. @throws `STORAGE_DAMAGED` */
export function sessionOf<TData>(row: SessionRow): SessionState<TData> {
  const { metadata, ...parts } = partsOf<TData>(row.state, row.id);
  const times = { createdAt: new Date(row.createdAt), updatedAt: new Date(row.updatedAt) };
  return { id: row.id, ...parts, metadata: { ...metadata, ...times }, version: row.version };
}

/** A row, as what a state that is read from it is based on. */
export function baseOfRow(row: SessionRow): Base {
  return {
    version: row.version,
    state: row.state,
    operations: systemOf(row).count,
    createdAt: row.createdAt,
  };
}

/** What core keeps in a stored state for itself: an application's object does not show it. */
export function hiddenParts(state: Json | undefined): StateExtras {
  if (!isObject(state)) return {};
  const { historyBefore, visible } = state;
  return {
    historyBefore: isCount(historyBefore) ? historyBefore : undefined,
    visible: isVisibleRanges(visible) ? visible : undefined,
  };
}
