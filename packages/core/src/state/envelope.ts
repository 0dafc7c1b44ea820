import { decodeValue, type DecodeContext } from "../codec/decode.js";
import { encodeValue } from "../codec/encode.js";
import { isPlainObject } from "../codec/kind.js";
import { setOwn } from "../codec/own.js";
import type { Json } from "../contract/json.js";
import { StorageError, ValidationError, WaymarkError, type ValidationIssue } from "../errors.js";
import type { SessionState } from "./session.js";
import { isCount, isStateShape, isVisibleRanges, type StateParts, type VisibleRanges } from "./shape.js";

/** What the stored state has beside the session object. */
export interface StateExtras {
  /** How many entries of the route history are older than those of the state. Default: 0. */
  readonly historyBefore?: number | undefined;
  /** Absent: all messages. */
  readonly visible?: VisibleRanges | undefined;
  /** The application's version of the schema. Default, which is not written: 1. */
  readonly schemaVersion?: number | undefined;
}

/** A stored state, read back. Its times, id and version are in the row, not here. */
export interface DecodedState<TData> {
  readonly state: StateParts<TData>;
  readonly historyBefore: number;
  readonly visible: VisibleRanges | undefined;
}

/**
 * How the parts below are written. It is in a stored state only where it is not 1, so that a release of Waymark which does
 * not know it refuses the state instead of reading it wrongly.
 */
const stateFormat = 1;

/** Kept in columns of the row. */
const rowTimes: ReadonlySet<string> = new Set(["createdAt", "updatedAt"]);
const stateKeys = ["data", "dataByRoute", "routeHistory", "currentRoute", "currentStep", "metadata"] as const;
const sessionKeys: ReadonlySet<unknown> = new Set([...stateKeys, "id", "version"]);
const storedKeys: ReadonlySet<string> = new Set([
  ...stateKeys,
  ...["historyBefore", "visible", "schemaVersion", "format"],
]);

/**
 * A session as the plain JSON of its row. `id`, `version` and the two times of the metadata are left out: the row has them.
 * @throws ValidationError `INVALID_STATE` naming each part that is not of its type or would be lost, `INVALID_VALUE` and
 * `COMMIT_TOO_LARGE` as `encodeValue`.
 */
export function encodeState<TData>(
  session: SessionState<TData>,
  context: DecodeContext,
  extras: StateExtras = {},
): Json {
  const issues: ValidationIssue[] = [];
  checkSession(session, issues);
  const { historyBefore = 0, visible, schemaVersion = 1 } = extras;
  if (!isCount(historyBefore))
    issues.push({ path: ["historyBefore"], message: "must be a whole number from 0" });
  if (visible !== undefined && !isVisibleRanges(visible)) {
    issues.push({ path: ["visible"], message: "must be ascending ranges of sequences" });
  }
  if (issues.length > 0) throw invalidState(issues, context);

  const { operation, sessionId = session.id } = context;
  const part = (name: (typeof stateKeys)[number], omit?: ReadonlySet<string>) =>
    encodeValue(asRecord(session[name]), { operation, sessionId, path: [name], omit });
  const metadata = session.metadata === undefined ? {} : part("metadata", rowTimes);
  // Assigned, not spread: spreading costs some microseconds of the few that a turn has.
  const state: Record<string, Json> = {
    data: part("data"),
    dataByRoute: encodeValue(asRecords(session.dataByRoute), { operation, sessionId, path: ["dataByRoute"] }),
    routeHistory: part("routeHistory"),
    historyBefore,
  };
  if (session.currentRoute !== undefined) state["currentRoute"] = part("currentRoute");
  if (session.currentStep !== undefined) state["currentStep"] = part("currentStep");
  if (!isEmpty(metadata)) state["metadata"] = metadata;
  if (visible !== undefined) state["visible"] = visible.map(([from, to]) => [from, to]);
  if (schemaVersion !== 1) state["schemaVersion"] = schemaVersion;
  return state;
}

/**
 * The inverse of {@link encodeState}; whatever the schema version is.
 * @throws StorageError `STORAGE_DAMAGED` when the JSON is not of its making. `STATE_TOO_NEW`
 */
export function decodeState<TData>(json: Json, context: DecodeContext): DecodedState<TData> {
  checkFormat(json, context);
  const stored = decodeValue(json, context);
  const issues: ValidationIssue[] = [];
  if (!isPlainObject(stored)) throw damagedState(["the whole"], context);
  const hasUnknown = Object.keys(stored).some((key) => !storedKeys.has(key));
  if (hasUnknown) throw damagedState(["a part that this version does not know"], context);
  const { historyBefore, visible, schemaVersion, format, ...state } = stored;
  if (format !== undefined && format !== stateFormat) throw damagedState(["format"], context);
  if (schemaVersion !== undefined && !isSchemaVersion(schemaVersion))
    throw damagedState(["schemaVersion"], context);
  if (!isCount(historyBefore)) throw damagedState(["historyBefore"], context);
  if (visible !== undefined && !isVisibleRanges(visible)) throw damagedState(["visible"], context);
  if (!isStateShape<TData>(state, issues))
    throw damagedState(
      issues.map((issue) => issue.path[0]),
      context,
    );
  return { state, historyBefore, visible };
}

/**
 * Before anything else of a stored state is looked at: another format may mean other things by the same parts.
 * @throws `STATE_TOO_NEW` for a state that a newer release of Waymark wrote.
 */
export function checkFormat(state: Json, { operation, sessionId }: DecodeContext): void {
  const format = partOf(state, "format");
  if (typeof format !== "number" || format <= stateFormat) return;
  throw new WaymarkError(
    "STATE_TOO_NEW",
    `${operation}: a newer release of Waymark wrote the session's state, in format ${format}; this one knows ` +
      `${stateFormat}. It was left as it is`,
    { operation, sessionId },
  );
}

/** The schema version of a stored state; 1 where it has none. */
export function schemaVersionOf(state: Json): number {
  const version = partOf(state, "schemaVersion");
  return isSchemaVersion(version) ? version : 1;
}

/** Whether this is a version that a schema can have. */
export function isSchemaVersion(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1;
}

function partOf(state: Json, name: "format" | "schemaVersion"): unknown {
  return isPlainObject(state) ? state[name] : undefined;
}

function checkSession(session: unknown, issues: ValidationIssue[]): void {
  if (!isPlainObject(session)) {
    issues.push({ path: [], message: "a session must be a plain object, such as `createSession()` gives" });
    return;
  }
  isStateShape(session, issues);
  for (const name of ["id", "version"]) {
    const value = session[name];
    if (value !== undefined && typeof value !== "string")
      issues.push({ path: [name], message: "must be a string or undefined" });
  }
  for (const key of Reflect.ownKeys(session)) {
    if (sessionKeys.has(key) || Reflect.get(session, key) === undefined) continue;
    const message = "is not a part of a session and would be lost; keep it in `data` or `metadata`";
    issues.push({ path: [String(key)], message });
  }
}

function invalidState(issues: readonly ValidationIssue[], context: DecodeContext): ValidationError {
  const [first] = issues;
  const where = first === undefined || first.path.length === 0 ? "" : `\`${first.path.join(".")}\` `;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more, see \`issues\`)` : "";
  const message = `${context.operation}: ${where}${first?.message ?? ""}${more}`;
  return new ValidationError("INVALID_STATE", message, { ...context, issues });
}

function damagedState(parts: readonly (string | undefined)[], context: DecodeContext): StorageError {
  const names = [...new Set(parts)].join(", ");
  const message = `${context.operation}: the stored state is not one in: ${names}; it was left as it is`;
  return new StorageError("STORAGE_DAMAGED", message, context);
}

/**
 * The parts of a state are records, whatever their prototype: they are merged key by key, so that they may not become one
 * tagged value.
 */
function asRecord(part: unknown): unknown {
  return isPlainObject(part) && Object.getPrototypeOf(part) === null ? { ...part } : part;
}

function asRecords(parts: Readonly<Record<string, unknown>>): unknown {
  if (!Object.values(parts).some((part) => asRecord(part) !== part)) return asRecord(parts);
  const records = {};
  for (const [key, part] of Object.entries(parts)) setOwn(records, key, asRecord(part));
  return records;
}

function isEmpty(json: Json): boolean {
  return typeof json === "object" && json !== null && Object.keys(json).length === 0;
}
