import { type Json, type SessionRow, StorageError, operationWindow } from "@waymark/core/adapter";

/**
 * Core's own part of a row as three columns. Each operation is a line, so that a turn appends one and drops the oldest without
 * reading what is in them. `system` is null unless there is more to keep than operations, or they are not what core writes.
 */
export interface PackedSystem {
  readonly count: number;
  readonly operations: string;
  readonly system: string | null;
}

export function packSystem({ life, system }: SessionRow): PackedSystem {
  const lines = isRecord(system) ? linesOf(life, system) : null;
  if (lines === null || !isRecord(system))
    return { count: 0, operations: "", system: JSON.stringify(system) };
  return { count: Number(system["count"]), operations: lines.join("\n"), system: null };
}

function linesOf(life: string, system: JsonRecord): string[] | null {
  const { pending, operations, count } = system;
  if (Object.keys(system).length !== 3 || !Array.isArray(pending) || pending.length > 0) return null;
  if (!Array.isArray(operations) || typeof count !== "number" || !Number.isSafeInteger(count)) return null;
  // So that the number tells whether there is room for one more.
  if (operations.length !== Math.min(count, operationWindow)) return null;
  const lines: string[] = [];
  for (const operation of operations) {
    const line = packOperation(life, operation);
    if (line === null) return null;
    lines.push(line);
  }
  return lines;
}

/** The part after one operation more. Null where it is not of the usual form. */
export function appendOperation(life: string, packed: PackedSystem, operation: Json): PackedSystem | null {
  const line = packOperation(life, operation);
  if (line === null || packed.system !== null) return null;
  const { count, operations } = packed;
  const kept = count < operationWindow ? operations : operations.slice(operations.indexOf("\n") + 1);
  return { count: count + 1, operations: kept === "" ? line : `${kept}\n${line}`, system: null };
}

/** Whether an operation's id may be among those that the row remembers. False is certain. */
export function mayRemember({ system, operations }: PackedSystem, id: string): boolean {
  return system !== null || operations.includes(JSON.stringify(id));
}

/** The id first, then the numbers of both versions: the life is the row's. Null for what core does not write. */
function packOperation(life: string, operation: Json): string | null {
  if (!isRecord(operation) || Object.keys(operation).length !== 7) return null;
  const { id, digest, from, version, first, last, at } = operation;
  const [before, after] = [numberOf(life, from), numberOf(life, version)];
  if (typeof id !== "string" || typeof digest !== "string" || before === null || after === null) return null;
  for (const number of [first, last, at])
    if (!Number.isSafeInteger(number) || Object.is(number, -0)) return null;
  const ending = digest === "" ? '""' : JSON.stringify(digest);
  return `[${JSON.stringify(id)},${before},${after},${first},${last},${at},${ending}]`;
}

export function unpackSystem(
  { id, life }: { readonly id: string; readonly life: string },
  { count, operations, system }: PackedSystem,
): Json {
  if (system !== null) return parse(system, id);
  const packed = parse(`[${operations.replaceAll("\n", ",")}]`, id);
  if (!Array.isArray(packed)) return null;
  return {
    pending: [],
    operations: packed.map((line: PackedOperation) => {
      const [name, from, version, first, last, at, digest] = line;
      return { id: name, digest, from: `${life}.${from}`, version: `${life}.${version}`, first, last, at };
    }),
    count,
  };
}

type PackedOperation = [string, number, number, number, number, number, string];
type JsonRecord = { readonly [key: string]: Json };

/** The number of a version of this life; null for anything else. */
function numberOf(life: string, version: Json | undefined): number | null {
  if (typeof version !== "string" || !version.startsWith(life) || version[life.length] !== ".") return null;
  const digits = version.slice(life.length + 1);
  const number = Number(digits);
  return Number.isSafeInteger(number) && number >= 0 && String(number) === digits ? number : null;
}

function isRecord(value: Json): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @throws `STORAGE_DAMAGED` */
export function parse(json: string, sessionId: string): Json {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new StorageError(
      "STORAGE_DAMAGED",
      "what is stored of the session is no JSON any more; it was left as it is",
      { operation: "load", sessionId, cause },
    );
  }
}
