import { isPlainObject, isValidDate } from "../codec/kind.js";
import type { ValidationIssue } from "../errors.js";
import type { SessionState } from "./session.js";

/** The parts of a state that its row keeps as one document. */
export type StateParts<TData> = Pick<
  SessionState<TData>,
  "data" | "dataByRoute" | "routeHistory" | "currentRoute" | "currentStep" | "metadata"
>;

/** Ranges of messages that are to be seen, ascending; null ends the last one where the messages end. */
export type VisibleRanges = readonly (readonly [number, number | null])[];

type Report = (path: readonly string[], message: string) => void;

/** Whether a value has the parts of a state, each of its type; what is wrong is added to `issues`. */
export function isStateShape<TData>(
  value: Record<string, unknown>,
  issues: ValidationIssue[],
): value is StateParts<TData> {
  const report: Report = (path, message) => issues.push({ path, message });
  if (!isPlainObject(value["data"])) report(["data"], "must be a plain object");
  checkDataByRoute(value["dataByRoute"], report);
  checkHistory(value["routeHistory"], report);
  checkRef(value["currentRoute"], "currentRoute", ["title"], report);
  checkRef(value["currentStep"], "currentStep", ["title", "routeId"], report);
  checkMetadata(value["metadata"], report);
  return issues.length === 0;
}

function checkDataByRoute(value: unknown, report: Report): void {
  if (!isPlainObject(value)) return report(["dataByRoute"], "must be a plain object of plain objects");
  for (const [routeId, part] of Object.entries(value)) {
    if (part !== undefined && !isPlainObject(part))
      report(["dataByRoute", routeId], "must be a plain object");
  }
}

function checkHistory(value: unknown, report: Report): void {
  if (!Array.isArray(value)) return report(["routeHistory"], "must be an array");
  for (let i = 0; i < value.length; i++) {
    const entry: unknown = value[i];
    const path = (...names: string[]) => ["routeHistory", String(i), ...names];
    if (!isPlainObject(entry)) {
      report(path(), "must be a plain object");
      continue;
    }
    if (typeof entry["routeId"] !== "string") report(path("routeId"), "must be a string");
    if (!isValidDate(entry["enteredAt"])) report(path("enteredAt"), "must be a valid Date");
    if (!isOptional(entry["exitedAt"], isValidDate))
      report(path("exitedAt"), "must be a valid Date or undefined");
    if (typeof entry["completed"] !== "boolean") report(path("completed"), "must be true or false");
  }
}

function checkRef(value: unknown, name: string, texts: readonly string[], report: Report): void {
  if (value === undefined) return;
  if (!isPlainObject(value)) return report([name], "must be a plain object with an id, or undefined");
  if (typeof value["id"] !== "string") report([name, "id"], "must be a string");
  for (const text of texts) {
    if (!isOptional(value[text], isText)) report([name, text], "must be a string or undefined");
  }
}

function checkMetadata(value: unknown, report: Report): void {
  if (value === undefined) return;
  if (!isPlainObject(value)) return report(["metadata"], "must be a plain object or undefined");
  for (const time of ["createdAt", "updatedAt"]) {
    if (!isOptional(value[time], isValidDate))
      report(["metadata", time], "must be a valid Date or undefined");
  }
}

/** Whether this is a count of history entries. */
export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** Whether these are ranges of sequences, ascending, apart, and open only at the end. */
export function isVisibleRanges(value: unknown): value is VisibleRanges {
  if (!Array.isArray(value)) return false;
  let previous: number | null = 0;
  for (const range of value as readonly unknown[]) {
    if (previous === null || !Array.isArray(range) || range.length !== 2) return false;
    const [from, to]: readonly unknown[] = range;
    if (!isCount(from) || from <= previous) return false;
    if (to !== null && (!isCount(to) || to < from)) return false;
    previous = to;
  }
  return true;
}

function isOptional(value: unknown, test: (value: unknown) => boolean): boolean {
  return value === undefined || test(value);
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}
