import type { MessageRepository } from "../contract/repositories.js";
import type { Entry, SessionRow } from "../contract/row.js";
import { StorageError } from "../errors.js";
import { systemOf } from "./system.js";
import type { Range } from "./visible.js";

/** A session's row and the entries that were asked for, ascending, as of that row. */
export interface Merged {
  readonly row: SessionRow;
  readonly entries: readonly Entry[];
}

const rangeLimit = 1000;

/**
 * Reads the row first, then the entries that it names, those that are pending from the row itself. Null: no such session.
 * @param choose picks the ranges to read, within what the row says is there.
 * @throws `STORAGE_DAMAGED` where an entry is neither stored nor pending.
 */
export async function loadMerged(
  messages: MessageRepository,
  findRow: () => Promise<SessionRow | null>,
  choose: (row: SessionRow) => readonly Range[],
): Promise<Merged | null> {
  let gap: { readonly life: string; readonly sequence: number } | null = null;
  for (;;) {
    const row = await findRow();
    if (row === null) return null;
    const { entries, missing } = await collect(messages, row, choose(row));
    if (missing === null) return { row, entries };
    // Messages may have been trimmed, or the session deleted, between the two reads: the row decides.
    if (gap !== null && gap.life === row.life && gap.sequence === missing) {
      throw new StorageError("STORAGE_DAMAGED", `message ${missing} of the session is not in the store`, {
        operation: "load",
        sessionId: row.id,
      });
    }
    gap = { life: row.life, sequence: missing };
  }
}

async function collect(
  messages: MessageRepository,
  row: SessionRow,
  ranges: readonly Range[],
): Promise<{ entries: readonly Entry[]; missing: number | null }> {
  const pending = new Map<number, Entry>();
  for (const entry of systemOf(row).pending) if (entry.log === row.life) pending.set(entry.sequence, entry);
  const entries: Entry[] = [];
  for (const [from, to] of ranges) {
    for (let start = from; start <= to; start += rangeLimit) {
      const end = Math.min(to, start + rangeLimit - 1);
      const stored = await readStored(messages, row, pending, start, end);
      for (let sequence = start; sequence <= end; sequence++) {
        const entry = pending.get(sequence) ?? stored.get(sequence);
        if (entry === undefined) return { entries, missing: sequence };
        entries.push(entry);
      }
    }
  }
  return { entries, missing: null };
}

async function readStored(
  messages: MessageRepository,
  row: SessionRow,
  pending: ReadonlyMap<number, Entry>,
  from: number,
  to: number,
): Promise<ReadonlyMap<number, Entry>> {
  let first = from;
  let last = to;
  while (first <= last && pending.has(first)) first++;
  while (last >= first && pending.has(last)) last--;
  if (first > last) return new Map();
  const found = await messages.findBySessionId(row.id, { log: row.life, from: first, to: last });
  return new Map(found.map((entry) => [entry.sequence, entry]));
}
