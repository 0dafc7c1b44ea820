import { encodeValue } from "../codec/encode.js";
import { checkRecordKey } from "../contract/id.js";
import type { Json } from "../contract/json.js";
import type { NewRecord } from "../contract/turns.js";
import { invalid } from "./check.js";

/** A record of a session, to be stored with a turn. */
export interface RecordInput {
  /** 1 to 256 bytes of UTF-8. */
  readonly key: string;
  /** Anything that a session may hold; null removes the record. */
  readonly value: unknown;
}

/** Records of a turn, checked and encoded. Undefined: there are none. @throws `INVALID_ARGUMENT`, `INVALID_ID`, `INVALID_VALUE` */
export function encodeRecords(
  records: readonly RecordInput[],
  operation: string,
  sessionId: string,
): readonly NewRecord[] | undefined {
  if (!Array.isArray(records)) throw invalid(operation, "`records` must be an array", sessionId);
  const keys = new Set<string>();
  const encoded = records.map((record, index): NewRecord => {
    if (typeof record !== "object" || record === null)
      throw invalid(
        operation,
        `\`records\` at ${index} is not an object with \`key\` and \`value\``,
        sessionId,
      );
    const { key, value } = record;
    checkRecordKey(key, operation);
    if (keys.has(key)) throw invalid(operation, "`records` names the same key twice", sessionId);
    keys.add(key);
    const path = ["records", String(index), "value"];
    return { key, value: value === null ? null : encodeRecordValue(value, { operation, sessionId, path }) };
  });
  return encoded.length === 0 ? undefined : encoded;
}

/** A value that is not nothing, as plain JSON. @throws `INVALID_ARGUMENT`, `INVALID_VALUE` */
export function encodeRecordValue(
  value: unknown,
  context: {
    readonly operation: string;
    readonly sessionId?: string | undefined;
    readonly path: readonly string[];
  },
): Json {
  if (value === null || value === undefined) {
    const { operation, sessionId } = context;
    throw invalid(
      operation,
      `the value of a record cannot be ${value === null ? "null" : "undefined"}, which stands for no record`,
      sessionId,
    );
  }
  return encodeValue(value, context);
}
