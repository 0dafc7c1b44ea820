import { type Entry, type Json, type SessionRow, type Status, StorageError } from "@waymark/core/adapter";
import { isObject } from "./client.js";
import type { Names } from "./schema.js";

/** Fields of a model by the application's names for them. */
export type Data = Record<string, unknown>;

/** Rows and entries as the fields of the application's models. */
export interface Codec {
  encodeRow(row: SessionRow): Data;
  /** Only what differs; the state where `isStateNew`. */
  encodeChanges(before: SessionRow, after: SessionRow, isStateNew: boolean): Data;
  decodeRow(found: unknown, operation: string): SessionRow;
  /** An entry without its session, as it is written with it. */
  encodeEntry(entry: Entry): Data;
  /** What is written over an entry: of the copies that there were, nothing is left. */
  encodeOver(entry: Entry): Data;
  decodeEntry(found: unknown, sessionId: string): Entry;
  /** What `decodeRow` and `decodeEntry` need. */
  readonly rowSelect: Data;
  readonly entrySelect: Data;
}

/** `roundsNumbers`: whether the client keeps only the first 16 digits of a number in a field of JSON. */
export function createCodec(
  { sessions: { fields: f }, messages: { fields: m } }: Names,
  roundsNumbers: boolean,
): Codec {
  function stateOf(state: Json): Json {
    if (isDeeper(state, deepest) || (roundsNumbers && isRounded(state)))
      return { [asText]: JSON.stringify(state) };
    // Prisma rounds a number that stands alone, and null has two meanings for it.
    return typeof state === "object" && state !== null ? state : { [wrapped]: state };
  }

  function encodeRow(row: SessionRow): Data {
    return {
      [f.id]: row.id,
      [f.userId]: row.userId,
      [f.agentName]: row.agentName,
      [f.status]: row.status,
      [f.currentRoute]: row.route,
      [f.currentStep]: row.step,
      [f.collectedData]: stateOf(row.state),
      [f.messageCount]: row.last - row.first + 1,
      [f.lastMessageAt]: dateOf(row.lastMessageAt),
      [f.completedAt]: dateOf(row.completedAt),
      [f.createdAt]: dateOf(row.createdAt),
      [f.updatedAt]: dateOf(row.updatedAt),
      [f.life]: row.life,
      [f.revision]: row.revision,
      [f.version]: row.version,
      [f.firstSequence]: row.first,
      [f.expiresAt]: dateOf(row.expiresAt),
      [f.dirty]: row.dirty,
      [f.system]: JSON.stringify(row.system),
    };
  }

  function encodeEntry({ log, sequence, userId, role, content, createdAt, body }: Entry): Data {
    const { route, step, toolCalls, event }: { readonly [key: string]: Json | undefined } = isRecord(body)
      ? body
      : {};
    return {
      [m.log]: log,
      [m.sequence]: sequence,
      [m.userId]: userId,
      [m.role]: role,
      [m.content]: content,
      [m.createdAt]: dateOf(createdAt),
      [m.body]: JSON.stringify(body),
      // Copies for the application's queries; what is read back is the body.
      ...(typeof route === "string" ? { [m.route]: route } : {}),
      ...(typeof step === "string" ? { [m.step]: step } : {}),
      ...(toolCalls == null || isDeeper(toolCalls, deepest) ? {} : { [m.toolCalls]: toolCalls }),
      ...(event == null || isDeeper(event, deepest) ? {} : { [m.event]: event }),
    };
  }

  return {
    rowSelect: Object.fromEntries(Object.values(f).map((name) => [name, true])),
    entrySelect: Object.fromEntries(
      [m.log, m.sequence, m.userId, m.role, m.content, m.createdAt, m.body].map((name) => [name, true]),
    ),

    encodeRow,

    encodeChanges(before, after, isStateNew) {
      const data: Data = {
        [f.revision]: after.revision,
        [f.updatedAt]: dateOf(after.updatedAt),
        [f.system]: JSON.stringify(after.system),
      };
      if (isStateNew) data[f.collectedData] = stateOf(after.state);
      if (after.last - after.first !== before.last - before.first)
        data[f.messageCount] = after.last - after.first + 1;
      if (after.version !== before.version) data[f.version] = after.version;
      if (after.userId !== before.userId) data[f.userId] = after.userId;
      if (after.agentName !== before.agentName) data[f.agentName] = after.agentName;
      if (after.status !== before.status) data[f.status] = after.status;
      if (after.route !== before.route) data[f.currentRoute] = after.route;
      if (after.step !== before.step) data[f.currentStep] = after.step;
      if (after.lastMessageAt !== before.lastMessageAt) data[f.lastMessageAt] = dateOf(after.lastMessageAt);
      if (after.completedAt !== before.completedAt) data[f.completedAt] = dateOf(after.completedAt);
      if (after.expiresAt !== before.expiresAt) data[f.expiresAt] = dateOf(after.expiresAt);
      return data;
    },

    decodeRow(found, operation) {
      const read = reader(found, operation);
      const first = read.number(f.firstSequence);
      return {
        id: read.text(f.id),
        life: read.text(f.life),
        revision: read.text(f.revision),
        version: read.text(f.version),
        userId: read.textOrNull(f.userId),
        agentName: read.textOrNull(f.agentName),
        status: read.status(f.status),
        first,
        last: first + read.number(f.messageCount) - 1,
        lastMessageAt: read.timeOrNull(f.lastMessageAt),
        createdAt: read.time(f.createdAt),
        updatedAt: read.time(f.updatedAt),
        completedAt: read.timeOrNull(f.completedAt),
        expiresAt: read.timeOrNull(f.expiresAt),
        route: read.textOrNull(f.currentRoute),
        step: read.textOrNull(f.currentStep),
        state: stateFrom(read.json(f.collectedData)),
        dirty: read.boolean(f.dirty),
        system: read.jsonText(f.system),
      };
    },

    encodeEntry,

    // The client takes no plain null for a field of JSON.
    encodeOver: (entry) => ({
      [m.route]: null,
      [m.step]: null,
      [m.toolCalls]: [],
      [m.event]: {},
      ...encodeEntry(entry),
    }),

    decodeEntry(found, sessionId) {
      const read = reader(found, "findBySessionId", sessionId);
      return {
        sessionId,
        log: read.text(m.log),
        sequence: read.number(m.sequence),
        userId: read.textOrNull(m.userId),
        role: read.text(m.role),
        content: read.text(m.content),
        createdAt: read.time(m.createdAt),
        body: read.jsonText(m.body),
      };
    },
  };
}

/** No key of core's begins like these. */
const wrapped = "~value";
const asText = "~json";

/** MariaDB takes no JSON of more than 32 levels. */
const deepest = 30;

function stateFrom(found: Json): Json {
  if (!isRecord(found)) return found;
  const text = found[asText];
  if (typeof text === "string") return JSON.parse(text);
  return wrapped in found ? (found[wrapped] ?? null) : found;
}

function isDeeper(value: Json, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}

/** Whether there is a number of more than 16 digits. */
function isRounded(value: Json): boolean {
  if (typeof value === "object" && value !== null) return Object.values(value).some(isRounded);
  if (typeof value !== "number") return false;
  const digits = String(value).replace(/e.*|\D/g, "");
  return digits.replace(/^0+|0+$/g, "").length > 16;
}

function dateOf(time: number | null): Date | null {
  return time === null ? null : new Date(time);
}

function isRecord(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const statuses: readonly Status[] = ["active", "completed", "abandoned", "deleting"];

/** Reads the fields of what the client found. @throws `STORAGE_DAMAGED` for a value of another type. */
export function reader(found: unknown, operation: string, sessionId?: string) {
  const data = isObject(found) ? found : {};

  function damaged(name: string): StorageError {
    const message = `${operation}: the field \`${name}\` does not read back as Waymark writes it; it was left as it is`;
    return new StorageError("STORAGE_DAMAGED", message, { operation, sessionId });
  }

  function get<T>(name: string, is: (value: unknown) => value is T): T {
    const value = data[name];
    if (is(value)) return value;
    throw damaged(name);
  }

  return {
    text: (name: string) => get(name, isText),
    textOrNull: (name: string) => get(name, isTextOrNull),
    number: (name: string) => get(name, isNumber),
    boolean: (name: string) => get(name, isBoolean),
    status: (name: string) => get(name, isStatus),
    time: (name: string) => get(name, isDate).getTime(),
    timeOrNull: (name: string) => (data[name] === null ? null : get(name, isDate).getTime()),
    json: (name: string) => get(name, isJson),
    jsonText(name: string): Json {
      try {
        return JSON.parse(get(name, isText));
      } catch {
        throw damaged(name);
      }
    },
  };
}

const isText = (value: unknown) => typeof value === "string";
const isTextOrNull = (value: unknown) => value === null || typeof value === "string";
const isNumber = (value: unknown) => typeof value === "number";
const isBoolean = (value: unknown) => typeof value === "boolean";
const isDate = (value: unknown): value is Date => Object.prototype.toString.call(value) === "[object Date]";
const isStatus = (value: unknown): value is Status => statuses.some((status) => status === value);
/** The client has parsed it, so nothing else is possible. */
const isJson = (value: unknown): value is Json => value !== undefined;
