import { checkId } from "../contract/id.js";
import type { SessionRow } from "../contract/row.js";
import { ValidationError } from "../errors.js";

/** The error for an argument that cannot be. */
export function invalid(operation: string, message: string, sessionId?: string): ValidationError {
  return new ValidationError("INVALID_ARGUMENT", `${operation}: ${message}`, { operation, sessionId });
}

/** @throws `INVALID_ARGUMENT` */
export function checkCount(
  value: unknown,
  range: readonly [number, number],
  operation: string,
  name: string,
): void {
  const [least, most] = range;
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return;
  throw invalid(operation, `\`${name}\` must be an integer from ${least} to ${most}`);
}

/** @throws `INVALID_ARGUMENT` */
export function checkMilliseconds(value: unknown, operation: string, name: string): void {
  if (typeof value === "number" && value > 0) return;
  throw invalid(operation, `\`${name}\` must be a number of milliseconds above 0`);
}

/** @throws `INVALID_ARGUMENT` */
export function checkDate(value: unknown, operation: string, name: string): void {
  if (value === undefined || (value instanceof Date && !Number.isNaN(value.getTime()))) return;
  throw invalid(operation, `\`${name}\` must be a valid Date`);
}

/** So many messages may be kept of a session. */
export const mostKept = 1_000_000;

/** The owner that a call speaks for: its own, or the manager's. @throws `INVALID_ID` */
export function ownerOf(
  userId: string | undefined,
  manager: string | undefined,
  operation: string,
): string | undefined {
  const owner = userId ?? manager;
  if (owner !== undefined) checkId(owner, operation, "user id");
  return owner;
}

/** Whether a session is there for this owner; nobody's is there for everybody. */
export function isOwn(row: SessionRow, owner: string | undefined): boolean {
  return owner === undefined || row.userId === null || row.userId === owner;
}
