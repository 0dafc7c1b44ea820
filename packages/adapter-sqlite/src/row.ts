import { type Entry, type Json, type SessionRow, type Status, StorageError } from "@waymark/core/adapter";
import type { Value } from "./client.js";
import { type PackedSystem, packSystem, parse, unpackSystem } from "./system.js";

/** A row of the sessions table but for its state, which is not needed to see what a turn makes of it. */
export interface Head {
  readonly rowid: number;
  readonly id: string;
  readonly life: string;
  readonly revision: string;
  readonly version: string;
  readonly user_id: string | null;
  readonly agent_name: string | null;
  readonly status: Status;
  readonly first_sequence: number;
  readonly last_sequence: number;
  readonly last_message_at: number | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly completed_at: number | null;
  readonly expires_at: number | null;
  readonly current_route: string | null;
  readonly current_step: string | null;
  readonly dirty: number;
  readonly operation_count: number;
  readonly operations: string;
  readonly system: string | null;
}

export interface Whole extends Head {
  readonly state: string;
}

/** Columns that stay as they are from the first write of a row to its end. */
const keyColumns = ["id", "life", "created_at"];
/** Columns that each turn may set: none of them has an index. */
export const plainColumns = [
  ...["revision", "version", "agent_name", "first_sequence", "last_sequence", "last_message_at"],
  ...["updated_at", "completed_at", "expires_at", "current_route", "current_step"],
  ...["operation_count", "operations", "system"],
];
/** Columns that an index has. */
export const indexedColumns = ["user_id", "status", "dirty", "updated_day", "expires_day"];

export const headColumns = [
  "rowid",
  ...keyColumns,
  ...plainColumns,
  ...indexedColumns.filter((name) => !name.endsWith("_day")),
];
/** In the order of `encodeRow`. */
export const rowColumns = [...keyColumns, ...plainColumns, ...indexedColumns, "state"];

/** Columns with texts of other people's making, of all tables. */
export const textColumns: ReadonlySet<string> = new Set([
  ...["id", "life", "revision", "version", "user_id", "agent_name", "current_route", "current_step"],
  ...["role", "content", "scope", "key", "stamp"],
]);

export function encodeRow(row: SessionRow): Value[] {
  return [
    text(row.id),
    text(row.life),
    row.createdAt,
    ...encodePlain(row, packSystem(row)),
    ...encodeIndexed(row),
    JSON.stringify(row.state),
  ];
}

/** Values of `plainColumns`. */
export function encodePlain(row: SessionRow, { count, operations, system }: PackedSystem): Value[] {
  return [
    text(row.revision),
    text(row.version),
    text(row.agentName),
    row.first,
    row.last,
    row.lastMessageAt,
    row.updatedAt,
    row.completedAt,
    row.expiresAt,
    text(row.route),
    text(row.step),
    count,
    operations,
    system,
  ];
}

/** Values of `indexedColumns`. */
export function encodeIndexed(row: SessionRow): Value[] {
  return [
    text(row.userId),
    row.status,
    row.dirty ? 1 : 0,
    dayOf(row.updatedAt),
    row.expiresAt === null ? null : dayOf(row.expiresAt),
  ];
}

const dayMs = 24 * 60 * 60 * 1000;

export function dayOf(time: number): number {
  return Math.floor(time / dayMs);
}

/** U+0000 ends a text for some drivers, and a lone surrogate becomes the text of somebody else in all of them. */
export const illFormed = /[\0\p{Surrogate}]/u;

export function text<T extends string | null>(value: T): T {
  if (value !== null && illFormed.test(value))
    throw new StorageError(
      "STORAGE_FAILED",
      "a text has a U+0000 or a lone surrogate, which SQLite does not keep; nothing was written",
      { operation: "commit" },
    );
  return value;
}

/** What the rules of a turn need to know of a row: not its state, and of the operations only their text. */
export interface Seen {
  readonly rowid: number;
  /** Without the state, and without the operations in `system`. */
  readonly row: SessionRow;
  readonly packed: PackedSystem;
}

export function seenOf(head: Head): Seen {
  const packed = packedOf(head);
  return { rowid: head.rowid, row: decodeHead(head, null, withoutOperations(packed)), packed };
}

/** The same after a turn. Field by field, as a spread would cost some microseconds. */
export function seenAfter({ rowid }: Seen, row: SessionRow, packed: PackedSystem): Seen {
  const { id, life, revision, version, userId, agentName, status, first, last, lastMessageAt } = row;
  const { createdAt, updatedAt, completedAt, expiresAt, route, step, dirty } = row;
  const seen: SessionRow = {
    id,
    life,
    revision,
    version,
    userId,
    agentName,
    status,
    first,
    last,
    lastMessageAt,
    createdAt,
    updatedAt,
    completedAt,
    expiresAt,
    route,
    step,
    state: null,
    dirty,
    system: withoutOperations(packed),
  };
  return { rowid, row: seen, packed };
}

function withoutOperations({ count }: PackedSystem): Json {
  return { pending: [], operations: [], count };
}

function packedOf({ operation_count: count, operations, system }: Head): PackedSystem {
  return { count, operations, system };
}

function decodeHead(head: Head, state: Json, system: Json): SessionRow {
  return {
    id: head.id,
    life: head.life,
    revision: head.revision,
    version: head.version,
    userId: head.user_id,
    agentName: head.agent_name,
    status: head.status,
    first: head.first_sequence,
    last: head.last_sequence,
    lastMessageAt: head.last_message_at,
    createdAt: head.created_at,
    updatedAt: head.updated_at,
    completedAt: head.completed_at,
    expiresAt: head.expires_at,
    route: head.current_route,
    step: head.current_step,
    state,
    dirty: head.dirty === 1,
    system,
  };
}

/** @throws `STORAGE_DAMAGED` */
export function decodeRow(whole: Whole): SessionRow {
  return decodeHead(whole, parse(whole.state, whole.id), unpackSystem(whole, packedOf(whole)));
}

/** A row of the messages table without what the reader knows. */
export interface EntryColumns {
  readonly sequence: number;
  readonly user_id: string | null;
  readonly role: string;
  readonly content: string;
  readonly created_at: number;
  readonly body: string;
}

/** In the order of `encodeEntry`. */
export const entryColumns = [
  ...["session_id", "log", "sequence", "user_id", "role", "content", "created_at", "body"],
];

export function encodeEntry(entry: Entry): Value[] {
  return [
    text(entry.sessionId),
    text(entry.log),
    entry.sequence,
    text(entry.userId),
    text(entry.role),
    text(entry.content),
    entry.createdAt,
    JSON.stringify(entry.body),
  ];
}

export function decodeEntry(sessionId: string, log: string, columns: EntryColumns): Entry {
  return {
    sessionId,
    log,
    sequence: columns.sequence,
    userId: columns.user_id,
    role: columns.role,
    content: columns.content,
    createdAt: columns.created_at,
    body: parse(columns.body, sessionId),
  };
}
