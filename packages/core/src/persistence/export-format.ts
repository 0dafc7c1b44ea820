import { isPlainObject } from "../codec/kind.js";
import { isStorableText } from "../codec/text.js";
import { checkId } from "../contract/id.js";
import type { Json } from "../contract/json.js";
import type { SessionStatus } from "../contract/row.js";
import type { NewEntry } from "../contract/turns.js";
import { CapabilityError, WaymarkError } from "../errors.js";
import { statuses } from "./lifecycle.js";

/**
 * One session as plain JSON, as `export` gives it and `import` takes it. All times are milliseconds since 1970. Values that
 * JSON has not are written as in a store.
 */
export interface SessionExport {
  readonly format: "waymark-session";
  /** Of this format. */
  readonly version: 1;
  /**
   * `sha256:` and the hexadecimal SHA-256 of all else of the document, as UTF-8 of its JSON without blanks and with the keys
   * of each object in ascending order of their UTF-16 units (RFC 8785). It finds damage; it does not prove who wrote it.
   */
  readonly checksum: string;
  readonly session: {
    /** Null for a conversation that was kept in memory. */
    readonly id: string | null;
    readonly userId: string | null;
    readonly agentName: string | null;
    readonly status: SessionStatus;
    readonly createdAt: number;
    readonly completedAt: number | null;
    /** With its schema version; of the route history, the newest 100 entries. */
    readonly state: Json;
  };
  /** All of them, oldest first. */
  readonly messages: readonly NewEntry[];
}

/** What is exported, before it has its checksum. */
export type ExportContents = Pick<SessionExport, "session" | "messages">;

const format = "waymark-session";
const version = 1;
/** Deeper than anything that the codec writes. */
const deepest = 500;
const latestTime = 8.64e15;

/** @throws `CAPABILITY_MISSING` */
export async function sealExport(contents: ExportContents, operation: string): Promise<SessionExport> {
  const { session, messages } = contents;
  const body = { format, version, session, messages } as const;
  return { ...body, checksum: await checksumOf(body, operation) };
}

/**
 * Tells an export that is whole from everything else, whatever it is given.
 * @throws `EXPORT_DAMAGED`, `EXPORT_TOO_NEW`, `CAPABILITY_MISSING`
 */
export async function openExport(data: unknown, operation: string): Promise<ExportContents> {
  if (!isJson(data, deepest) || !isPlainObject(data) || data["format"] !== format)
    throw damagedExport("is not an exported session", operation);
  if (typeof data["version"] === "number" && data["version"] > version) {
    const message = `${operation}: the export has format version ${data["version"]}, and this release knows ${version}; nothing was imported`;
    throw new WaymarkError("EXPORT_TOO_NEW", message, { operation });
  }
  const { checksum, ...body } = data;
  if (checksum !== (await checksumOf(body, operation)))
    throw damagedExport("does not have the contents that its checksum was made of", operation);
  if (!isContents(data)) throw damagedExport("has parts that no export has", operation);
  return data;
}

export function damagedExport(problem: string, operation: string, cause?: unknown): WaymarkError {
  return new WaymarkError("EXPORT_DAMAGED", `${operation}: the export ${problem}; nothing was imported`, {
    operation,
    ...(cause === undefined ? {} : { cause }),
  });
}

async function checksumOf(body: unknown, operation: string): Promise<string> {
  // Browsers have it only on pages that came by HTTPS.
  const subtle: SubtleCrypto | undefined = globalThis.crypto?.subtle;
  if (subtle === undefined)
    throw new CapabilityError(
      `${operation}: this runtime has no \`crypto.subtle\`, which the checksum needs`,
      {
        operation,
      },
    );
  const hash = await subtle.digest("SHA-256", new TextEncoder().encode(canonical(body)));
  return `sha256:${Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isPlainObject(value)) return JSON.stringify(value);
  const keys = Object.keys(value).toSorted();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}

function isJson(value: unknown, depth: number): value is Json {
  if (value === null || typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (depth === 0) return false;
  if (Array.isArray(value)) return value.every((item: unknown) => isJson(item, depth - 1));
  return isPlainObject(value) && Object.values(value).every((item) => isJson(item, depth - 1));
}

function isContents(data: Record<string, unknown>): data is Record<string, unknown> & ExportContents {
  const { session, messages } = data;
  return (
    isPlainObject(session) &&
    isOptional(session["id"], isId) &&
    isOptional(session["userId"], isId) &&
    isOptional(session["agentName"], isText) &&
    statuses.includes(session["status"]) &&
    isTime(session["createdAt"]) &&
    isOptional(session["completedAt"], isTime) &&
    isPlainObject(session["state"]) &&
    Array.isArray(messages) &&
    messages.every(isEntry)
  );
}

function isEntry(entry: unknown): boolean {
  return (
    isPlainObject(entry) &&
    isOptional(entry["userId"], isId) &&
    isText(entry["role"]) &&
    isText(entry["content"]) &&
    isTime(entry["createdAt"]) &&
    isPlainObject(entry["body"])
  );
}

function isOptional(value: unknown, test: (value: unknown) => boolean): boolean {
  return value === null || test(value);
}

function isText(value: unknown): boolean {
  return typeof value === "string" && isStorableText(value);
}

function isTime(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && Math.abs(value) <= latestTime;
}

function isId(value: unknown): boolean {
  try {
    checkId(value, "import");
    return true;
  } catch {
    return false;
  }
}
