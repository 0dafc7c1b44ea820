import { isStorableText } from "../codec/text.js";
import type { Json } from "../contract/json.js";
import type { Message } from "../contract/message.js";
import { StorageError, ValidationError, type ValidationIssue } from "../errors.js";
import { messageProblems } from "../persistence/messages.js";
import { isObject } from "../turn/rebase.js";

/** A session as a JSON file of another library has it. */
export interface ForeignSession {
  readonly id: string;
  readonly messages: readonly Message[];
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly agentName: string | undefined;
  readonly userId: string | undefined;
  readonly metadata: { readonly [key: string]: Json };
}

const sessionFields = [
  "session_id",
  "messages",
  "created_at",
  "updated_at",
  "agent_name",
  "user_id",
  "metadata",
];
const messageFields = ["role", "content", "timestamp", "metadata"];
const ownTimes = ["createdAt", "updatedAt"];
const isoTime = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/;

/**
 * Reads a file of the form `{ session_id, messages: [{ role, content, timestamp }], created_at, updated_at }`, optionally
 * with `agent_name`, `user_id` and `metadata`, of the session and of each message. A field that is not known is refused,
 * since it would be lost.
 * @throws `STORAGE_DAMAGED` where it is no JSON in UTF-8, `INVALID_VALUE` where it has another form; `issues` says where.
 */
export function parseSession(bytes: Uint8Array): ForeignSession {
  const file = parseJson(bytes);
  const issues: ValidationIssue[] = [];
  if (!isObject(file)) throw notOfTheForm([{ path: [], message: "must be an object" }]);
  refuseOthers(file, sessionFields, [], issues);
  const { session_id: id, agent_name: agentName, user_id: userId, messages = null } = file;
  if (typeof id !== "string") issues.push({ path: ["session_id"], message: "must be a string" });
  for (const [key, value] of Object.entries({ agent_name: agentName, user_id: userId })) {
    const isRight =
      value === undefined || value === null || (typeof value === "string" && isStorableText(value));
    if (!isRight) issues.push({ path: [key], message: "must be a well-formed string, or null" });
  }
  const metadata = metadataOf(file["metadata"], ["metadata"], issues);
  for (const key of ownTimes) {
    if (Object.hasOwn(metadata, key))
      issues.push({ path: ["metadata", key], message: "has the name of a time that Waymark keeps itself" });
  }
  const session = {
    id: typeof id === "string" ? id : "",
    createdAt: timeOf(file["created_at"], "created_at", issues),
    updatedAt: timeOf(file["updated_at"], "updated_at", issues),
    agentName: typeof agentName === "string" ? agentName : undefined,
    userId: typeof userId === "string" ? userId : undefined,
    metadata,
    messages: messagesOf(messages, issues),
  };
  if (issues.length > 0) throw notOfTheForm(issues);
  return session;
}

function parseJson(bytes: Uint8Array): Json {
  try {
    const value: Json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return value;
  } catch {
    // Without its cause: the parser's error quotes what it read, which is what people said.
    throw new StorageError(
      "STORAGE_DAMAGED",
      "importFolder: the file is not JSON in UTF-8; it was left as it is",
      {
        operation: "importFolder",
      },
    );
  }
}

function messagesOf(value: Json, issues: ValidationIssue[]): Message[] {
  if (!Array.isArray(value)) {
    issues.push({ path: ["messages"], message: "must be an array" });
    return [];
  }
  return value.flatMap((item: Json, index) => messageOf(item, ["messages", String(index)], issues));
}

function messageOf(item: Json, path: readonly string[], issues: ValidationIssue[]): Message | [] {
  if (!isObject(item)) {
    issues.push({ path, message: "must be an object" });
    return [];
  }
  refuseOthers(item, messageFields, path, issues);
  const { role, content, timestamp } = item;
  const createdAt = new Date(typeof timestamp === "number" ? Math.round(timestamp * 1000) : NaN);
  if (Number.isNaN(createdAt.getTime()))
    issues.push({ path: [...path, "timestamp"], message: "must be a time in seconds" });
  const event = metadataOf(item["metadata"], [...path, "metadata"], issues);
  const message = { role, content, ...(Object.keys(event).length > 0 ? { event } : {}) };
  return isMessage(message, path, issues) ? { ...message, createdAt } : [];
}

function isMessage(value: object, path: readonly string[], issues: ValidationIssue[]): value is Message {
  const problems = messageProblems(value, path);
  issues.push(...problems);
  return problems.length === 0;
}

function metadataOf(
  value: Json | undefined,
  path: readonly string[],
  issues: ValidationIssue[],
): { readonly [key: string]: Json } {
  if (value === undefined || value === null) return {};
  if (isObject(value)) return value;
  issues.push({ path, message: "must be an object" });
  return {};
}

/** A time without a zone is local, as it was where it was written. */
function timeOf(value: Json | undefined, key: string, issues: ValidationIssue[]): Date {
  const time = typeof value === "string" && isoTime.test(value) ? new Date(value) : new Date(NaN);
  if (Number.isNaN(time.getTime())) issues.push({ path: [key], message: "must be a time in ISO 8601" });
  return time;
}

function refuseOthers(
  object: object,
  known: readonly string[],
  path: readonly string[],
  issues: ValidationIssue[],
): void {
  for (const key of Object.keys(object)) {
    if (!known.includes(key))
      issues.push({ path: [...path, key], message: "is not known, and would be lost" });
  }
}

function notOfTheForm(issues: readonly ValidationIssue[]): ValidationError {
  const places = issues.slice(0, 5).map(({ path, message }) => `${path.join(".") || "it"} ${message}`);
  const more = issues.length > places.length ? `; and ${issues.length - places.length} more` : "";
  return new ValidationError(
    "INVALID_VALUE",
    `importFolder: the file is not of the form that is read: ${places.join("; ")}${more}. It was left as it is`,
    { operation: "importFolder", issues },
  );
}
