import type { Message, Role, StoredMessage, ToolCall } from "../contract/message.js";
import type { Entry } from "../contract/row.js";
import type { NewEntry } from "../contract/turns.js";
import { decodeValue } from "../codec/decode.js";
import { encodeValue } from "../codec/encode.js";
import { isStorableText, storableText } from "../codec/text.js";
import { StorageError, ValidationError, type ValidationIssue } from "../errors.js";

const roles: readonly string[] = ["user", "assistant", "system", "tool"] satisfies readonly Role[];

interface Context {
  readonly operation: string;
  readonly sessionId: string;
}

/** Checks messages and makes plain JSON of them. @throws `INVALID_ARGUMENT`, `INVALID_VALUE` */
export function encodeMessages(
  messages: readonly Message[],
  context: Context & { readonly userId: string | null; readonly now: number },
): NewEntry[] {
  if (!Array.isArray(messages)) throw invalid(context, [{ path: ["messages"], message: "must be an array" }]);
  return messages.map((message: Message, index) => encodeMessage(message, index, context));
}

function encodeMessage(
  message: Message,
  index: number,
  context: Context & { readonly userId: string | null; readonly now: number },
): NewEntry {
  const path = ["messages", String(index)];
  const issues = messageProblems(message, path);
  if (issues.length > 0) throw invalid(context, issues);
  const { role, content, route, step, toolCalls, event, createdAt } = message;
  const { operation, sessionId } = context;
  // A text that no store can hold as it is goes into the body, losslessly; the column keeps a readable copy.
  const exact = isStorableText(content) ? undefined : content;
  // Most messages are nothing but their text.
  const isBare = [exact, route, step, toolCalls, event].every((part) => part === undefined);
  const body = isBare
    ? {}
    : encodeValue({ content: exact, route, step, toolCalls, event }, { operation, sessionId, path });
  return {
    userId: context.userId,
    role,
    content: exact === undefined ? content : storableText(content),
    createdAt: createdAt?.getTime() ?? context.now,
    body,
  };
}

/** What a message has, and `sessionId` and the rest of a call's options are not. */
const fields: ReadonlySet<string> = new Set<keyof Message>([
  "role",
  "content",
  "route",
  "step",
  "toolCalls",
  "event",
  "createdAt",
  "sequence",
]);

/** What some of it has to be, and the words for that. */
const kinds: readonly (readonly [keyof Message, (value: unknown) => boolean, string])[] = [
  ["role", (value) => typeof value === "string" && roles.includes(value), `one of ${roles.join(", ")}`],
  ["content", (value) => typeof value === "string", "a string"],
  ["route", isOptional("string"), "a string"],
  ["step", isOptional("string"), "a string"],
  ["toolCalls", (value) => value === undefined || Array.isArray(value), "an array"],
  ["createdAt", isOptionalDate, "a valid Date"],
];

/** What is wrong with a message. */
export function messageProblems(message: unknown, path: readonly string[]): ValidationIssue[] {
  if (typeof message !== "object" || message === null) return [{ path, message: "must be an object" }];
  const issues: ValidationIssue[] = [];
  for (const [key, isRight, wanted] of kinds) {
    if (!isRight(Reflect.get(message, key)))
      issues.push({ path: [...path, key], message: `must be ${wanted}` });
  }
  for (const key of Object.keys(message)) {
    if (fields.has(key) || Reflect.get(message, key) === undefined) continue;
    issues.push({
      path: [...path, key],
      message: "is not part of a message and would be lost; keep it in `event`",
    });
  }
  return issues;
}

function isOptional(type: "string"): (value: unknown) => boolean {
  return (value) => value === undefined || typeof value === type;
}

function isOptionalDate(value: unknown): boolean {
  return value === undefined || (value instanceof Date && !Number.isNaN(value.getTime()));
}

function invalid({ operation, sessionId }: Context, issues: readonly ValidationIssue[]): ValidationError {
  const list = issues.map(({ path, message }) => `${path.join(".")} ${message}`).join("; ");
  return new ValidationError("INVALID_ARGUMENT", `${operation}: ${list}`, { operation, sessionId, issues });
}

/** @throws `STORAGE_DAMAGED` */
export function decodeMessage(entry: Entry, context: Context): StoredMessage {
  const body = decodeValue(entry.body, context);
  if (typeof body !== "object" || body === null || !isRole(entry.role)) {
    throw new StorageError(
      "STORAGE_DAMAGED",
      `message ${entry.sequence} does not read back as it was written`,
      context,
    );
  }
  const fields: Partial<
    Record<"content" | "route" | "step", string> & { toolCalls: ToolCall[]; event: unknown }
  > = body;
  return {
    role: entry.role,
    content: fields.content ?? entry.content,
    createdAt: new Date(entry.createdAt),
    sequence: entry.sequence,
    ...("route" in fields ? { route: fields.route } : {}),
    ...("step" in fields ? { step: fields.step } : {}),
    ...("toolCalls" in fields ? { toolCalls: fields.toolCalls } : {}),
    ...("event" in fields ? { event: fields.event } : {}),
  };
}

export function isRole(value: string): value is Role {
  return roles.includes(value);
}
