import { type Entry, type Json, type SessionRow, type Status, operationWindow } from "@waymark/core/adapter";
import type { TextRow, Value } from "./client.js";

/** Columns of the sessions table with the type of their parameter, in the order of `encodeRow`. */
export const rowColumns = [
  ["id", "text"],
  ["life", "text"],
  ["revision", "text"],
  ["version", "text"],
  ["user_id", "text"],
  ["agent_name", "text"],
  ["status", "text"],
  ["first_sequence", "bigint"],
  ["last_sequence", "bigint"],
  ["last_message_at", "float8"],
  ["created_at", "float8"],
  ["updated_at", "float8"],
  ["completed_at", "float8"],
  ["expires_at", "float8"],
  ["current_route", "text"],
  ["current_step", "text"],
  ["state", "jsonb"],
  ["dirty", "boolean"],
  ["operation_count", "integer"],
  ["operation_ids", "text"],
  ["operations", "text"],
  ["system", "json"],
] as const;

/** A parameter as its column takes it: times travel as milliseconds, arrays as their text. */
export function toColumn(column: string, parameter: string): string {
  if (column === "operations" || column === "operation_ids") return `${parameter}::text[]`;
  return column.endsWith("_at") ? `to_timestamp(${parameter} / 1000)` : parameter;
}

/** A whole row as one JSON array, in the order of `rowColumns`. */
export function rowJson(alias: string): string {
  const columns = rowColumns.map(([name, type]) =>
    type === "float8" ? `date_part('epoch', ${alias}.${name})` : `${alias}.${name}`,
  );
  return `json_build_array(${columns.join(", ")})::text`;
}

export function encodeRow(row: SessionRow): Value[] {
  const packed = pack(row);
  return [
    row.id,
    row.life,
    row.revision,
    row.version,
    row.userId,
    row.agentName,
    row.status,
    row.first,
    row.last,
    row.lastMessageAt,
    row.createdAt,
    row.updatedAt,
    row.completedAt,
    row.expiresAt,
    row.route,
    row.step,
    JSON.stringify(row.state),
    row.dirty ? "t" : "f",
    packed?.count ?? notPacked,
    textArray(packed?.ids ?? []),
    textArray(packed?.operations ?? []),
    packed === null ? JSON.stringify(row.system) : null,
  ];
}

/** @param text what `rowJson` gave. */
export function decodeRow(text: string): SessionRow {
  const columns: Json[] = JSON.parse(text);
  const [id, life, revision, version, userId, agentName, status, first, last] = columns as RowStart;
  const [lastMessageAt, createdAt, updatedAt, completedAt, expiresAt] = columns.slice(9) as Times;
  const [route, step, state, dirty, count, ids, operations, system] = columns.slice(14) as RowEnd;
  return {
    id,
    life,
    revision,
    version,
    userId,
    agentName,
    status,
    first,
    last,
    lastMessageAt: toMilliseconds(lastMessageAt),
    createdAt: Math.round(createdAt * 1000),
    updatedAt: Math.round(updatedAt * 1000),
    completedAt: toMilliseconds(completedAt),
    expiresAt: toMilliseconds(expiresAt),
    route,
    step,
    state,
    dirty,
    system: count === notPacked ? system : unpack(life, { count, ids, operations }),
  };
}

type RowStart = [string, string, string, string, string | null, string | null, Status, number, number];
type Times = [number | null, number, number, number | null, number | null];
type RowEnd = [string | null, string | null, Json, boolean, number, string[], string[], Json];

/** As `operation_count`: the column `system` holds core's part as it is. */
const notPacked = -1;

function toMilliseconds(seconds: number | null): number | null {
  return seconds === null ? null : Math.round(seconds * 1000);
}

/** Core's own part of a row as three columns: as JSON it would be most of what a turn writes. */
interface Packed {
  readonly count: number;
  /** The operations' ids as JSON texts, which have no U+0000; the oldest gives its place to the newest. */
  readonly ids: readonly string[];
  /** What else is known of each: the numbers of both versions and of both sequences, time and digest. */
  readonly operations: readonly string[];
}

/** The place of an operation in both arrays, from 1, as SQL: `number` is how many the row had before. */
export function placeOf(number: string): string {
  return `${number} % ${operationWindow} + 1`;
}

/**
 * Arrays, so that a statement can look an id up and put one in the place of the oldest at a cost of about a microsecond. Null
 * where there is more to keep than operations, or where they are not what core writes: `system` then holds the value.
 */
function pack({ life, version, system }: SessionRow): Packed | null {
  if (!isRecord(system) || Object.keys(system).length !== 3 || !Array.isArray(system["pending"])) return null;
  const { count, operations } = system;
  if (system["pending"].length > 0 || !isCount(count) || !Array.isArray(operations)) return null;
  if (operations.length !== Math.min(count, operationWindow) || numberOf(life, version) === null) return null;
  const packed = { count, ids: [] as string[], operations: [] as string[] };
  for (const [index, operation] of operations.entries()) {
    const text = packOperation(life, operation);
    if (text === null) return null;
    const place = (count - operations.length + index) % operationWindow;
    packed.ids[place] = text.id;
    packed.operations[place] = text.rest;
  }
  return packed;
}

/** How the text of an operation ends, after the four numbers. */
export function operationEnd(at: number, digest: string): string {
  return `,${at},${digest === "" ? '""' : JSON.stringify(digest)}`;
}

function packOperation(life: string, operation: Json): { id: string; rest: string } | null {
  if (!isRecord(operation) || Object.keys(operation).length !== 7) return null;
  const { id, digest, from, version, first, last, at } = operation;
  if (typeof id !== "string" || typeof digest !== "string") return null;
  if (!isCount(first) || !isCount(last) || !Number.isSafeInteger(at)) return null;
  const numbers = [numberOf(life, from), numberOf(life, version), first, last];
  if (numbers.includes(null)) return null;
  return { id: JSON.stringify(id), rest: numbers.join(",") + operationEnd(Number(at), digest) };
}

function unpack(life: string, { count, ids, operations }: Packed): Json {
  const texts = operations.map((rest, place) => `[${ids[place]},${rest}]`);
  const oldest = count % operationWindow;
  const inOrder =
    texts.length < operationWindow ? texts : [...texts.slice(oldest), ...texts.slice(0, oldest)];
  const packed: [string, number, number, number, number, number, string][] = JSON.parse(
    `[${inOrder.join(",")}]`,
  );
  return {
    pending: [],
    operations: packed.map(([id, from, version, first, last, at, digest]) => ({
      id,
      digest,
      from: `${life}.${from}`,
      version: `${life}.${version}`,
      first,
      last,
      at,
    })),
    count,
  };
}

/** The number of a version of this life; null for anything else. */
export function numberOf(life: string, version: Json | undefined): number | null {
  if (typeof version !== "string" || !version.startsWith(life) || version[life.length] !== ".") return null;
  const digits = version.slice(life.length + 1);
  const number = Number(digits);
  return isCount(number) && String(number) === digits ? number : null;
}

function isCount(value: Json | undefined): value is number {
  return (
    typeof value === "number" &&
    value >= 0 &&
    value <= 2 ** 31 - 1 &&
    Number.isInteger(value) &&
    !Object.is(value, -0)
  );
}

function isRecord(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A text array, as PostgreSQL reads it. */
export function textArray(values: readonly (string | null)[]): string {
  let text = "{";
  for (const value of values) {
    if (text.length > 1) text += ",";
    text += value === null ? "NULL" : `"${/["\\]/.test(value) ? value.replace(/["\\]/g, "\\$&") : value}"`;
  }
  return `${text}}`;
}

/** An array of numbers or texts, by the type of its elements. */
export function arrayOf(values: readonly Value[], type: string): string {
  if (type !== "text" && type !== "json" && type !== "jsonb")
    return `{${values.map((value) => value ?? "NULL").join(",")}}`;
  return textArray(values as readonly (string | null)[]);
}

/** Columns of the messages table with the type of their parameter, in the order of `encodeEntries`. */
export const entryColumns = [
  ["session_id", "text"],
  ["log", "text"],
  ["sequence", "bigint"],
  ["user_id", "text"],
  ["role", "text"],
  ["content", "text"],
  ["created_at", "float8"],
  ["body", "json"],
] as const;

/** Entries as one array a column. */
export function encodeEntries(entries: readonly Entry[]): Value[] {
  return [
    textArray(entries.map(({ sessionId }) => sessionId)),
    textArray(entries.map(({ log }) => log)),
    arrayOf(
      entries.map(({ sequence }) => sequence),
      "bigint",
    ),
    textArray(entries.map(({ userId }) => userId)),
    textArray(entries.map(({ role }) => role)),
    textArray(entries.map(({ content }) => content)),
    arrayOf(
      entries.map(({ createdAt }) => createdAt),
      "float8",
    ),
    textArray(entries.map(({ body }) => JSON.stringify(body))),
  ];
}

/** Expressions for `decodeEntry`. */
export function entryExpressions(alias: string): string {
  const columns = ["sequence", "user_id", "role", "content"].map((name) => `${alias}.${name}`);
  return `${columns.join(", ")}, date_part('epoch', ${alias}.created_at), ${alias}.body::text`;
}

export function decodeEntry(sessionId: string, log: string, columns: TextRow): Entry {
  const [sequence, userId = null, role, content, createdAt, body] = columns;
  return {
    sessionId,
    log,
    sequence: Number(sequence),
    userId,
    role: role ?? "",
    content: content ?? "",
    createdAt: Math.round(Number(createdAt) * 1000),
    body: JSON.parse(body ?? "null"),
  };
}
