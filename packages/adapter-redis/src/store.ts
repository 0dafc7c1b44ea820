import type { Entry, SeenRow, SessionRow } from "@waymark/core/adapter";
import type { Run } from "./client.js";
import type { Keys } from "./keys.js";
import type { Lists } from "./lists.js";
import { decodeRow, encodeEntry, encodeRow, entryField } from "./rows.js";
import { create, remove, update } from "./scripts.js";

/** What the repositories and the facet share. */
export interface Store {
  readonly run: Run;
  readonly keys: Keys;
  readonly lists: Lists;
}

/** Stores a row that is not there yet, with entries. Resolves to the row that has the id, or null where it was free. */
export async function createRow(
  { run, keys, lists }: Store,
  row: SessionRow,
  entries: readonly Entry[],
): Promise<SessionRow | null> {
  const { pairs } = encodeRow(row);
  for (;;) {
    const { stamps, deadline } = await lists.add(row);
    const all = [...pairs, "listed", JSON.stringify(stamps)];
    const reply = await run({
      script: create,
      keys: [keys.session(row.id), keys.messages(row.id)],
      args: [deadline, String(all.length), ...all, ...encodeEntries(entries)],
    });
    if (reply === "created") return null;
    // Late: it was on its way for so long that its entries may have been dropped.
    if (reply === "late") continue;
    const present = decodeRow(reply, row.id, "create");
    // The client may have sent the script twice: then the row is this one, and so are its entries.
    if (present.revision !== row.revision || present.life !== row.life)
      await lists.forget({ ...row, listed: stamps }).catch(() => {});
    return present;
  }
}

/** Replaces a row whose revision is `seen`, and adds entries. False: it moved or is gone. */
export async function updateRow(
  { run, keys, lists }: Store,
  row: SessionRow,
  seen: string,
  entries: readonly Entry[],
): Promise<boolean> {
  const { pairs, absent } = encodeRow(row);
  const expected = [JSON.stringify(seen), JSON.stringify(row.createdAt), JSON.stringify(row.userId)];
  const isTombstone = row.status === "deleting" ? "1" : "";
  const send = (deadline: string, all: readonly string[]) => {
    const sizes = [String(all.length), String(absent.length)];
    return run({
      script: update,
      keys: [keys.session(row.id), keys.messages(row.id)],
      args: [...expected, deadline, isTombstone, ...sizes, ...all, ...absent, ...encodeEntries(entries)],
    });
  };
  let reply = await send("", pairs);
  while (reply === "unlisted") {
    // It gets another owner: that user's list comes first.
    const { stamps, deadline } = await lists.add(row);
    reply = await send(deadline, [...pairs, "listed", JSON.stringify(stamps)]);
  }
  return reply === "updated";
}

/** Removes the keys of a session whose revision is the one that was seen. False: it moved or is gone. */
export async function removeRow(
  { run, lists }: Store,
  { id, revision }: SeenRow,
  keys: readonly string[],
): Promise<boolean> {
  const text = await run({ script: remove, keys, args: [JSON.stringify(revision)] });
  if (text == null) return false;
  const [createdAt, userId, listed] = JSON.parse(String(text));
  // The session is gone. Entries that stay are dropped by a later query.
  if (Array.isArray(listed)) await lists.forget({ id, createdAt, userId, listed }).catch(() => {});
  return true;
}

/** Entries as the field and the text of each. */
export function encodeEntries(entries: readonly Entry[]): string[] {
  return entries.flatMap((entry) => [entryField(entry.log, entry.sequence), encodeEntry(entry)]);
}
