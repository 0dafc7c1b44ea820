import type { DecodeContext } from "../codec/decode.js";
import type { Json } from "../contract/json.js";
import { ValidationError, WaymarkError } from "../errors.js";
import { decodeState, encodeState, isSchemaVersion, schemaVersionOf } from "./envelope.js";
import type { StateParts } from "./shape.js";

/**
 * A state as an earlier version of the application stored it: a copy, to be changed freely. Its data has the types of that
 * version. `routeHistory` has the newest 100 entries; older ones are not migrated.
 */
export type StoredState = StateParts<Record<string, unknown>>;

/**
 * Makes the state of the next schema version: changes what it is given, or returns another one. What a route has collected
 * stands in `data` and, once more, in `dataByRoute`. It has to be a function of the state alone, since a state is migrated at
 * each read until somebody saves it; it may not be async.
 */
export type Migration = (state: StoredState) => StoredState | void;

/** The version of the schema, and how older states get there. */
export interface SchemaVersions {
  readonly version: number;
  /** Each under the version that it leads on from. */
  readonly migrations: Readonly<Record<number, Migration>>;
}

/** Checks the options of an application. @throws ValidationError `INVALID_CONFIGURATION` */
export function schemaVersions(
  version: number = 1,
  migrations: Readonly<Record<number, Migration>> = {},
  operation: string,
): SchemaVersions {
  const fail = (message: string) =>
    new ValidationError("INVALID_CONFIGURATION", `${operation}: ${message}`, { operation });
  if (!isSchemaVersion(version)) throw fail("`schemaVersion` must be a whole number from 1");
  for (let from = 1; from < version; from++) {
    if (typeof migrations[from] !== "function")
      throw fail(
        `\`migrations\` has no function ${from}, which leads from schema version ${from} to ${from + 1}`,
      );
  }
  const extra = Object.keys(migrations).find((from) => !(Number(from) >= 1 && Number(from) < version));
  if (extra !== undefined)
    throw fail(
      `\`migrations\` has ${JSON.stringify(extra)}, which no state of version 1 to ${version - 1} needs`,
    );
  return { version, migrations };
}

/**
 * A stored state in the present schema version: the same JSON where it has that already, otherwise what the migrations made
 * of it. Changes nothing that it is given.
 * @throws `STATE_TOO_NEW`, `MIGRATION_FAILED`, `STORAGE_DAMAGED`
 */
export function migrateState(stored: Json, versions: SchemaVersions, context: DecodeContext): Json {
  const version = schemaVersionOf(stored);
  if (version === versions.version) return stored;
  const { operation, sessionId } = context;
  const decoded = decodeState<Record<string, unknown>>(stored, context);
  if (version > versions.version) {
    throw new WaymarkError(
      "STATE_TOO_NEW",
      `${operation}: a newer version of the application wrote the session's state, of schema version ${version}; this one ` +
        `has ${versions.version}. It was left as it is`,
      { operation, sessionId },
    );
  }
  let { state } = decoded;
  for (let from = version; from < versions.version; from++) {
    try {
      state = migrateOnce(state, versions.migrations[from]);
      // Here, so that the error names the migration that left something behind which cannot be stored.
      const { historyBefore, visible } = decoded;
      stored = encodeState(state, context, { historyBefore, visible, schemaVersion: from + 1 });
    } catch (cause) {
      const name = cause instanceof Error ? cause.name : typeof cause;
      throw new WaymarkError(
        "MIGRATION_FAILED",
        `${operation}: the migration of the state from schema version ${from} to ${from + 1} failed [${name}]; ` +
          "what is stored was left as it is",
        { operation, sessionId, cause },
      );
    }
  }
  return stored;
}

function migrateOnce(state: StoredState, migration: Migration | undefined): StoredState {
  const returned = migration?.(state);
  if (returned instanceof Promise) {
    returned.catch(() => {});
    throw new TypeError("a migration may not be async");
  }
  return returned === undefined ? state : returned;
}
