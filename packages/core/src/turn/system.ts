import type { RecordWrite } from "../contract/facets.js";
import type { Json } from "../contract/json.js";
import type { Entry, SessionRow } from "../contract/row.js";
import { StorageError } from "../errors.js";

/** One operation that the row has had. `from` is the version before it. */
export type Operation = {
  readonly id: string;
  readonly digest: string;
  readonly from: string;
  readonly version: string;
  readonly first: number;
  readonly last: number;
  readonly at: number;
};

/** Core's own part of a row. */
export type System = {
  /** Entries that the row has committed and that may not be in the message repository yet; never more than one turn. */
  readonly pending: readonly Entry[];
  /** The same for records; absent where there are none. */
  readonly records?: readonly RecordWrite[];
  /** The newest operations, oldest first. */
  readonly operations: readonly Operation[];
  /** How many operations the row has had in this life. */
  readonly count: number;
};

/** How many operations a row remembers: a retry is recognised while it is among them. */
export const operationWindow = 16;

export const emptySystem: System = { pending: [], operations: [], count: 0 };

/** Reads core's part of a row. @throws `STORAGE_DAMAGED` */
export function systemOf(row: SessionRow): System {
  const { system } = row;
  if (isSystem(system)) return system;
  throw new StorageError(
    "STORAGE_DAMAGED",
    "the session's `system` field is not what was written there; it was left as it is",
    { operation: "load", sessionId: row.id },
  );
}

/** Whether it is what core writes. */
export function isSystem(value: Json): value is System {
  return (
    typeof value === "object" &&
    value !== null &&
    "pending" in value &&
    Array.isArray(value.pending) &&
    "operations" in value &&
    Array.isArray(value.operations) &&
    "count" in value &&
    typeof value.count === "number" &&
    (!("records" in value) || Array.isArray(value.records))
  );
}

/** The part as it is after one operation more; the oldest that it has no room for is forgotten. */
export function withOperation({ operations, count }: System, operation: Operation): System {
  return { pending: [], operations: [...operations.slice(1 - operationWindow), operation], count: count + 1 };
}

/** The part of a row whose entries and records are where they belong. */
export function withoutPending({ operations, count }: System): System {
  return { pending: [], operations, count };
}

/** How many digits a stamp has. */
export const stampDigits = 16;

/** The stamp of what a row's operation of this number has written: numbers in the order of their bytes. */
export function stampOf(operations: number): string {
  return String(operations).padStart(stampDigits, "0");
}

/** Name of the log that keeps what left the inline route history. */
export function historyLog(life: string): string {
  return `${life}r`;
}
