import { type RecordWrite, sessionOfScope } from "@waymark/core/adapter";
import type { Keys } from "./keys.js";
import type { ListedScope } from "./lists.js";
import { readRecord } from "./record-scripts.js";
import type { Store } from "./store.js";

/** Where the records of a scope are: its keys, what its fields begin with, and between which places they stand in order. */
export interface Place {
  readonly keys: readonly string[];
  readonly prefix: string;
  readonly begin: string;
  readonly end: string;
}

export function placeOf(keys: Keys, scope: string): Place {
  const session = sessionOfScope(scope);
  if (session === null) return { keys: keys.scope(scope), prefix: "", begin: "-", end: "+" };
  const prefix = prefixOf(session.life);
  // The character after the quote that a prefix ends with: JSON text ends where it ends.
  return { keys: keys.records(session.id), prefix, begin: `(${prefix}`, end: `(${prefix.slice(0, -1)}#` };
}

/** What the fields of a life's records begin with: the text that the session has its life as. */
export function prefixOf(life: string): string {
  return JSON.stringify(life);
}

/** Records as the arguments that `broughtRecords` reads, with the entry that was made for their scope. */
export function encodeBrought(
  prefix: string,
  records: readonly RecordWrite[],
  listed: ListedScope | undefined,
): string[] {
  const texts = records.flatMap((record) => [record.key, record.stamp, encodeRest(record)]);
  return [...texts, String(texts.length), prefix, listed?.stamp ?? "", listed?.deadline ?? ""];
}

/** The lines of a record that follow its stamp. */
export function encodeRest({ revision, value }: Pick<RecordWrite, "revision" | "value">): string {
  return `${JSON.stringify(revision)}\n${JSON.stringify(value)}`;
}

/**
 * Drops an entry that was made for a write which was refused, unless the scope has it: the client may have sent the write
 * twice. An entry that stays is dropped by a later query.
 */
export async function dropUnused(
  { run, keys, lists }: Store,
  scope: string,
  { stamp }: ListedScope,
): Promise<void> {
  const { keys: keysOf, prefix } = placeOf(keys, scope);
  try {
    const present = await run({ script: readRecord, keys: keysOf, args: [prefix] });
    if (present !== stamp) await lists.forgetScope(scope, stamp);
  } catch {
    // Housekeeping.
  }
}
