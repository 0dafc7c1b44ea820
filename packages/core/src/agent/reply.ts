import { isPlainObject } from "../codec/kind.js";
import type { ToolCall } from "../contract/message.js";
import { ValidationError, type ValidationIssue } from "../errors.js";
import type { Usage } from "../session/response.js";
import type { ModelReply } from "./provider.js";

/** Takes nothing from outside on trust. @throws ValidationError `MODEL_INVALID`; `issues` names each wrong part. */
export function checkReply(reply: unknown, provider: string, sessionId: string | undefined): ModelReply {
  const issues: ValidationIssue[] = [];
  if (isReply(reply, issues)) return reply;
  throw invalidReply(issues, provider, sessionId);
}

/** The error for an answer that cannot be used. */
export function invalidReply(
  issues: readonly ValidationIssue[],
  provider: string,
  sessionId: string | undefined,
): ValidationError {
  const list = issues.map(({ path, message }) => `${path.join(".")} ${message}`).join("; ");
  const message = `respond: the answer of the model "${provider}" cannot be used: ${list}; the session is as before`;
  return new ValidationError("MODEL_INVALID", message, { operation: "respond", sessionId, issues });
}

function isReply(reply: unknown, issues: ValidationIssue[]): reply is ModelReply {
  if (typeof reply !== "object" || reply === null) {
    issues.push({ path: ["reply"], message: "must be an object" });
    return false;
  }
  const check = (key: keyof ModelReply, isRight: (value: unknown) => boolean, wanted: string) => {
    if (!isRight(Reflect.get(reply, key)))
      issues.push({ path: ["reply", key], message: `must be ${wanted}` });
  };
  check("message", isString, "a string");
  check("route", (value) => value == null || isString(value), "the id of a route, or absent");
  check("step", (value) => value == null || isString(value), "the id of a step, null or absent");
  check("data", (value) => value === undefined || isPlainObject(value), "a plain object, or absent");
  check(
    "toolCalls",
    (value) => value === undefined || isToolCalls(value),
    "an array of { id, name, input }, or absent",
  );
  check(
    "usage",
    (value) => value === undefined || isUsage(value),
    "{ inputTokens, outputTokens }, or absent",
  );
  return issues.length === 0;
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function isToolCalls(value: unknown): value is ToolCall[] {
  return (
    Array.isArray(value) &&
    value.every((call: unknown) => isPlainObject(call) && isString(call["id"]) && isString(call["name"]))
  );
}

function isUsage(value: unknown): value is Usage {
  return isPlainObject(value) && isTokens(value["inputTokens"]) && isTokens(value["outputTokens"]);
}

function isTokens(value: unknown): boolean {
  return typeof value === "number" && value >= 0;
}
