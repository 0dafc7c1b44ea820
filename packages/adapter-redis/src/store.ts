import {
  type Entry,
  type RecordWrite,
  type SeenRow,
  type SessionRow,
  sessionScope,
} from "@waymark/core/adapter";
import type { Run } from "./client.js";
import type { Keys } from "./keys.js";
import type { ListedScope, Lists } from "./lists.js";
import { dropUnused, encodeBrought, prefixOf } from "./scopes.js";
import { decodeRow, encodeEntry, encodeRow, entryField } from "./rows.js";
import { create, remove, update } from "./scripts.js";

/** What the repositories and the facet share. */
export interface Store {
  readonly run: Run;
  readonly keys: Keys;
  readonly lists: Lists;
}

/** What is stored together with a row: entries of its logs, and records of its life. */
export interface Parts {
  readonly entries: readonly Entry[];
  readonly records: readonly RecordWrite[];
}

export const noParts: Parts = { entries: [], records: [] };

/** Stores a row that is not there yet, with its parts. Resolves to the row that has the id, or null where it was free. */
export async function createRow(
  store: Store,
  row: SessionRow,
  { entries, records }: Parts,
): Promise<SessionRow | null> {
  const { run, keys, lists } = store;
  const { pairs } = encodeRow(row);
  const scope = records.length === 0 ? null : sessionScope(row.id, row.life);
  for (;;) {
    const [{ stamps, deadline }, listed] = await Promise.all([
      lists.add(row),
      scope === null ? undefined : lists.addScope(scope),
    ]);
    const all = [...pairs, "listed", JSON.stringify(stamps)];
    const reply = await run({
      script: create,
      keys: keysOf(keys, row.id, records),
      args: [
        ...[deadline, String(all.length), ...all],
        ...encodeEntries(entries),
        ...encodeRecords(row, records, listed),
      ],
    });
    if (reply === "created") return null;
    // Late: it was on its way for so long that its entries may have been dropped.
    if (reply === "late") continue;
    const present = decodeRow(reply, row.id, "create");
    // The client may have sent the script twice: then the row is this one, and so are its entries.
    if (present.revision !== row.revision || present.life !== row.life) {
      await lists.forget({ ...row, listed: stamps }).catch(() => {});
      if (scope !== null && listed !== undefined) await dropUnused(store, scope, listed);
    }
    return present;
  }
}

/** Replaces a row whose revision is `seen`, and adds its parts. False: it moved or is gone. */
export async function updateRow(
  store: Store,
  row: SessionRow,
  seen: string,
  { entries, records }: Parts,
): Promise<boolean> {
  const { run, keys, lists } = store;
  const { pairs, absent } = encodeRow(row);
  const expected = [JSON.stringify(seen), JSON.stringify(row.createdAt), JSON.stringify(row.userId)];
  const isTombstone = row.status === "deleting" ? "1" : "";
  let deadline = "";
  let all: readonly string[] = pairs;
  let listed: ListedScope | undefined;
  const scope = sessionScope(row.id, row.life);
  for (;;) {
    const sizes = [String(all.length), String(absent.length)];
    const reply = await run({
      script: update,
      keys: keysOf(keys, row.id, records),
      args: [
        ...[...expected, deadline, isTombstone, ...sizes, ...all, ...absent],
        ...encodeEntries(entries),
        ...encodeRecords(row, records, listed),
      ],
    });
    if (reply === "unlisted") {
      // It gets another owner: that user's list comes first.
      const added = await lists.add(row);
      deadline = added.deadline;
      all = [...pairs, "listed", JSON.stringify(added.stamps)];
      continue;
    }
    if (reply === "updated") return true;
    // Moved, or on its way for so long that the entry may have been dropped.
    if (listed !== undefined) await dropUnused(store, scope, listed);
    if (reply !== "scope unlisted") return false;
    listed = await lists.addScope(scope);
  }
}

/** Removes the keys of a session whose revision is the one that was seen. False: it moved or is gone. */
export async function removeRow(
  { run, lists }: Store,
  { id, revision }: SeenRow,
  keys: readonly string[],
): Promise<boolean> {
  const text = await run({ script: remove, keys, args: [JSON.stringify(revision)] });
  if (text == null) return false;
  const [createdAt, userId, listed, life, scopeStamp] = JSON.parse(String(text));
  // The session is gone. Entries that stay are dropped by a later query.
  if (Array.isArray(listed)) await lists.forget({ id, createdAt, userId, listed }).catch(() => {});
  if (scopeStamp !== "") await lists.forgetScope(sessionScope(id, life), scopeStamp).catch(() => {});
  return true;
}

/** Entries as the field and the text of each. */
export function encodeEntries(entries: readonly Entry[]): string[] {
  return entries.flatMap((entry) => [entryField(entry.log, entry.sequence), encodeEntry(entry)]);
}

function keysOf(keys: Keys, id: string, records: readonly RecordWrite[]): string[] {
  const both = [keys.session(id), keys.messages(id)];
  return records.length === 0 ? both : [...both, ...keys.records(id)];
}

function encodeRecords(
  { life }: SessionRow,
  records: readonly RecordWrite[],
  listed: ListedScope | undefined,
): string[] {
  return records.length === 0 ? [] : encodeBrought(prefixOf(life), records, listed);
}
