import { ValidationError } from "../errors.js";

/** The longest id of a session or user, in bytes, where the store takes any. */
export const longestId = 128;
const longestKey = 256;
const illFormed = /[\0\p{Surrogate}]/u;

/**
 * Checks an id on every path, loads and queries too: a driver that replaces a lone surrogate would otherwise answer with
 * another person's session.
 * @throws `INVALID_ID` unless it is a string of 1 to 128 bytes of UTF-8 without U+0000 and lone surrogates.
 */
export function checkId(value: unknown, operation: string, what = "session id"): asserts value is string {
  const problem = idProblem(value, longestId);
  if (problem === null) return;
  throw new ValidationError("INVALID_ID", `${operation}: the ${what} ${problem}`, { operation });
}

/** Checks an id for a store that takes shorter ones only. @throws `INVALID_ID` if it has more bytes than `longest`. */
export function checkIdBytes(id: string, longest: number, operation: string, what = "session id"): void {
  if (utf8Length(id) <= longest) return;
  throw new ValidationError(
    "INVALID_ID",
    `${operation}: the ${what} is longer than the ${longest} bytes of UTF-8 that the store takes`,
    { operation },
  );
}

/**
 * Checks the key or the scope of a record on every path, for the same reasons.
 * @throws `INVALID_ID` unless it is a string of 1 to 256 bytes of UTF-8 without U+0000 and lone surrogates.
 */
export function checkRecordKey(
  value: unknown,
  operation: string,
  what = "key of the record",
): asserts value is string {
  const problem = idProblem(value, longestKey);
  if (problem === null) return;
  throw new ValidationError("INVALID_ID", `${operation}: the ${what} ${problem}`, { operation });
}

function idProblem(value: unknown, longest: number): string | null {
  if (typeof value !== "string") return `must be a string, not ${value === null ? "null" : typeof value}`;
  if (value.length === 0) return "is empty";
  if (illFormed.test(value)) return "has a U+0000 or a lone surrogate, which stores cannot tell apart";
  if (value.length > longest || utf8Length(value) > longest)
    return `is longer than ${longest} bytes of UTF-8`;
  return null;
}

/** Bytes of a well-formed string in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    // A surrogate pair is two units and four bytes, so each half counts for two.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}
