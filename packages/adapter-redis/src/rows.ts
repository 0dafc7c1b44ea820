import {
  type Entry,
  type Json,
  type NewEntry,
  type SessionRow,
  operationWindow,
} from "@waymark/core/adapter";
import { damaged } from "./client.js";

/**
 * A row is a hash, and each field is JSON text: scripts compare texts and never parse what people stored. `system` is taken
 * apart, so that a turn writes one operation and not sixteen: `count`, a ring `op0` to `op15`, and
 * `pending`.
 */
export const rowFields = [
  "id",
  "life",
  "revision",
  "version",
  "userId",
  "agentName",
  "status",
  "first",
  "last",
  "lastMessageAt",
  "createdAt",
  "updatedAt",
  "completedAt",
  "expiresAt",
  "route",
  "step",
  "state",
  "dirty",
] as const;

/** Where the newest operation takes the place of the oldest. */
export const ring = Array.from({ length: operationWindow }, (_, slot) => `op${slot}`);

/** Fields that a row may have or not. */
const optional = ["system", "count", "pending", ...ring];

/** The fields of a row as name, text, name, text …; and the names that it does not have. */
export function encodeRow(row: SessionRow): { pairs: string[]; absent: string[] } {
  const pairs: string[] = [];
  for (const name of rowFields) pairs.push(name, JSON.stringify(row[name]));
  const system = encodeSystem(row);
  for (const [name, text] of system) pairs.push(name, text);
  return { pairs, absent: optional.filter((name) => !system.has(name)) };
}

function encodeSystem({ system, dirty }: SessionRow): Map<string, string> {
  const fields = new Map<string, string>();
  if (!isOrdinary(system) || (system.pending.length > 0 && !dirty))
    return fields.set("system", JSON.stringify(system));
  const { pending, operations, count } = system;
  fields.set("count", String(count));
  if (pending.length > 0) fields.set("pending", JSON.stringify(pending));
  operations.forEach((operation, index) => {
    const slot = ring[(count - operations.length + index) % operationWindow] ?? "";
    fields.set(slot, JSON.stringify(operation));
  });
  return fields;
}

type Ordinary = {
  readonly pending: readonly Json[];
  readonly operations: readonly { readonly id: string; readonly [key: string]: Json }[];
  readonly count: number;
};

/** Whether this is what core writes today; all else is kept in one piece. */
function isOrdinary(system: Json): system is Ordinary {
  if (typeof system !== "object" || system === null || !("count" in system)) return false;
  const { pending, operations, count } = system;
  if (Object.keys(system).length !== 3 || !Array.isArray(pending) || !Array.isArray(operations)) return false;
  return (
    typeof count === "number" &&
    Number.isSafeInteger(count) &&
    operations.length === Math.min(count, operationWindow) &&
    operations.every(isOperation)
  );
}

function isOperation(one: Json): boolean {
  if (typeof one !== "object" || one === null || !("id" in one) || !("digest" in one)) return false;
  return typeof one.id === "string" && typeof one.digest === "string";
}

/** A row from the text that scripts make of a hash. @throws `STORAGE_DAMAGED` */
export function decodeRow(text: unknown, id: string, operation: string): SessionRow {
  const fields = parse(text, id, operation);
  if (!isRow(fields))
    throw damaged("the session's fields are not those of a session", { operation, sessionId: id });
  const row: Record<string, Json> = {};
  for (const name of rowFields) row[name] = fields[name] ?? null;
  return { ...(row as Omit<SessionRow, "system">), system: decodeSystem(fields) };
}

type Fields = { readonly [name: string]: Json };

function isRow(fields: Fields): boolean {
  return (
    [fields["id"], fields["life"], fields["revision"], fields["version"], fields["status"]].every(
      (field) => typeof field === "string",
    ) && [fields["first"], fields["last"], fields["createdAt"]].every((field) => typeof field === "number")
  );
}

function decodeSystem(fields: Fields): Json {
  if (fields["system"] !== undefined) return fields["system"];
  const count = typeof fields["count"] === "number" ? fields["count"] : 0;
  const operations: Json[] = [];
  for (let number = Math.max(0, count - operationWindow); number < count; number++) {
    const operation = fields[`op${number % operationWindow}`];
    if (operation !== undefined) operations.push(operation);
  }
  return { pending: fields["pending"] ?? [], operations, count };
}

function parse(text: unknown, sessionId: string, operation: string): Fields {
  try {
    return JSON.parse(String(text));
  } catch (cause) {
    throw damaged("the session's fields are not JSON", { operation, sessionId, cause });
  }
}

/** The field of an entry in the hash of messages; `log` as JSON text ends where it ends. */
export function entryField(log: string, sequence: number): string {
  return `${JSON.stringify(log)}:${sequence}`;
}

export function encodeEntry({ createdAt, role, content, userId, body }: NewEntry): string {
  return JSON.stringify([createdAt, role, content, userId, body]);
}

/** Entries from the texts of successive sequences, beginning with `from`; null where there is none. */
export function decodeEntries(
  texts: readonly unknown[],
  { sessionId, log, from, operation }: { sessionId: string; log: string; from: number; operation: string },
): Entry[] {
  const entries: Entry[] = [];
  for (const [index, text] of texts.entries()) {
    if (typeof text !== "string") continue;
    const sequence = from + index;
    try {
      const [createdAt, role, content, userId, body] = JSON.parse(text);
      entries.push({ sessionId, log, sequence, userId, role, content, createdAt, body });
    } catch (cause) {
      throw damaged(`message ${sequence} is not JSON`, { operation, sessionId, cause });
    }
  }
  return entries;
}
