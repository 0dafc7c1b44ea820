import type { RecordWrite } from "../contract/facets.js";
import type { Json } from "../contract/json.js";
import type { Entry, SessionRow } from "../contract/row.js";
import type { Operation } from "../turn/system.js";

/** A row as this process holds it. */
export interface Cell {
  /** Never handed out: `toRow` makes a copy. Its `state` is null. */
  readonly row: SessionRow;
  /** The state as text, where it came from a caller, whose objects are never held. */
  readonly state: { readonly text: string } | { readonly value: Json };
}

/** What has left a log of messages for its archive. */
export interface Archive {
  readonly log: string;
  readonly file: string;
  /** Where the newest index node stands. */
  readonly node: number;
  /** The least and the greatest sequence in the file. */
  readonly from: number;
  readonly to: number;
  /** Sequences up to here were removed. */
  readonly floor: number;
  /** How many entries above the floor it has. */
  readonly alive: number;
}

/** Removes entries of a log, up to and including `to` where that is not null. */
export interface Drop {
  readonly log: string;
  readonly to: number | null;
  /** How many entries the log's archive has left. */
  readonly left: number;
}

/** What the `system` of a row has that the one before it had not: of sixteen operations, the record of a turn says one. */
export interface Added {
  readonly operation: Operation;
  readonly count: number;
}

/** What one record of a session's log says. Everything in it becomes true at once. */
export interface Change {
  /** First record of a log: everything that older logs said and that still holds. */
  readonly base?: readonly Archive[];
  /** The new row; null removes it. */
  readonly cell?: Cell | null;
  /** Present where the cell's `system` is that of the record before with this operation more. */
  readonly added?: Added;
  readonly entries?: readonly Entry[];
  readonly drop?: Drop;
  /** Removes the records of a scope; of one key where that is given. Before `records`. */
  readonly forget?: { readonly scope: string; readonly key?: string };
  /** Each takes the place of what its key had. A null value keeps the stamp of a record that was removed. */
  readonly records?: readonly RecordWrite[];
  /** The log is closed, and goes on in the file of this name. */
  readonly next?: string;
  /** Nothing is left of the session: its files are to be removed. */
  readonly gone?: true;
}

/** As the JSON of a record. `rowAt`: where the record stands that has the row, for those without one. */
export function encodeChange(change: Change, rowAt: number): string {
  const { base, cell, added, entries, drop, forget, records, next, gone } = change;
  const parts: string[] = [];
  if (base !== undefined) parts.push(`"base":${JSON.stringify(base)}`);
  if (cell === undefined) parts.push(`"rowAt":${rowAt}`);
  else if (cell === null) parts.push(`"row":null`);
  else if (added === undefined) parts.push(`"row":${JSON.stringify(cell.row)},"state":${textOf(cell)}`);
  else {
    const row = JSON.stringify({ ...cell.row, system: null });
    parts.push(`"row":${row},"added":${JSON.stringify(added)},"state":${textOf(cell)}`);
  }
  if (entries !== undefined && entries.length > 0) parts.push(`"entries":${JSON.stringify(entries)}`);
  if (drop !== undefined) parts.push(`"drop":${JSON.stringify(drop)}`);
  if (forget !== undefined) parts.push(`"forget":${JSON.stringify(forget)}`);
  if (records !== undefined && records.length > 0) parts.push(`"records":${JSON.stringify(records)}`);
  if (next !== undefined) parts.push(`"next":${JSON.stringify(next)}`);
  if (gone !== undefined) parts.push(`"gone":true`);
  return `{${parts.join(",")}}`;
}

function textOf({ state }: Cell): string {
  return "text" in state ? state.text : JSON.stringify(state.value);
}

/** Reads a record's JSON. Null: it is not what this format has. A cell with `added` has no `system` yet. */
export function decodeChange(
  json: string,
): { readonly change: Change; readonly rowAt: number | null } | null {
  const value = parse(json);
  if (!isObject(value)) return null;
  const { row, state, rowAt, added, base, entries, drop, forget, records, next, gone } = value;
  if (row !== undefined && row !== null && !(isRow(row) && isJson(state))) return null;
  if (added !== undefined && !isAdded(added)) return null;
  if (base !== undefined && !isListOf(base, isArchive)) return null;
  if (entries !== undefined && !isListOf(entries, isEntry)) return null;
  if (drop !== undefined && !isDrop(drop)) return null;
  if (forget !== undefined && !isForget(forget)) return null;
  if (records !== undefined && !isListOf(records, isRecord)) return null;
  if (next !== undefined && typeof next !== "string") return null;
  return {
    change: {
      ...(base === undefined ? {} : { base }),
      ...(row === undefined
        ? {}
        : { cell: row === null || !isRow(row) || !isJson(state) ? null : { row, state: { value: state } } }),
      ...(added === undefined ? {} : { added }),
      ...(entries === undefined ? {} : { entries }),
      ...(drop === undefined ? {} : { drop }),
      ...(forget === undefined ? {} : { forget }),
      ...(records === undefined ? {} : { records }),
      ...(next === undefined ? {} : { next }),
      ...(gone === true ? { gone } : {}),
    },
    rowAt: typeof rowAt === "number" ? rowAt : null,
  };
}

/** A cell of a row that belongs to a caller. */
export function copyToCell(row: SessionRow): Cell {
  return { row: copy({ ...row, state: null }), state: { text: JSON.stringify(row.state) } };
}

/** A row that the caller may keep and change. */
export function toRow(cell: Cell): SessionRow {
  return { ...copy(cell.row), state: JSON.parse(textOf(cell)) };
}

/** JSON there and back is several times faster than `structuredClone`, and all that is stored is JSON. */
function copy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}

export function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

type Fields = { readonly [key: string]: unknown };

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isListOf<T>(value: unknown, isItem: (item: unknown) => item is T): value is readonly T[] {
  return Array.isArray(value) && value.every(isItem);
}

// The checksum says that a record is what was written; these say that it was written in this format.

function isRow(value: unknown): value is SessionRow {
  return (
    isObject(value) &&
    typeof value["id"] === "string" &&
    typeof value["life"] === "string" &&
    typeof value["revision"] === "string" &&
    typeof value["status"] === "string" &&
    typeof value["createdAt"] === "number" &&
    value["system"] !== undefined
  );
}

/** What `JSON.parse` gave, unless there was nothing. */
function isJson(value: unknown): value is Json {
  return value !== undefined;
}

export function isEntry(value: unknown): value is Entry {
  return isObject(value) && typeof value["log"] === "string" && typeof value["sequence"] === "number";
}

function isRecord(value: unknown): value is RecordWrite {
  return (
    isObject(value) &&
    ["scope", "key", "revision", "stamp"].every((name) => typeof value[name] === "string") &&
    value["value"] !== undefined
  );
}

function isForget(value: unknown): value is NonNullable<Change["forget"]> {
  if (!isObject(value) || typeof value["scope"] !== "string") return false;
  return value["key"] === undefined || typeof value["key"] === "string";
}

function isAdded(value: unknown): value is Added {
  return isObject(value) && isObject(value["operation"]) && typeof value["count"] === "number";
}

function isArchive(value: unknown): value is Archive {
  return (
    isObject(value) &&
    typeof value["log"] === "string" &&
    typeof value["file"] === "string" &&
    ["node", "from", "to", "floor", "alive"].every((name) => typeof value[name] === "number")
  );
}

function isDrop(value: unknown): value is Drop {
  return (
    isObject(value) &&
    typeof value["log"] === "string" &&
    typeof value["left"] === "number" &&
    (value["to"] === null || typeof value["to"] === "number")
  );
}
