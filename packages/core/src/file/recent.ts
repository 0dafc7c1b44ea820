import { join } from "node:path";
import type { Entry } from "../contract/row.js";
import { decodeChange } from "./change.js";
import { forReading, readAt, withFileSync } from "./disk.js";
import { type Doing, damaged } from "./failure.js";
import { decodeFrame } from "./frame.js";
import type { LogState, Place } from "./log.js";

/** Entries that are in the log itself, ascending. Throws `ENOENT` where it was replaced meanwhile. */
export function readRecent(
  state: LogState,
  log: string,
  places: Iterable<readonly [number, Place]>,
  doing: Doing,
): Entry[] {
  const wanted = [...places].toSorted(([a], [b]) => a - b);
  if (wanted.length === 0) return [];
  const path = join(state.folder, state.name);
  return withFileSync(path, forReading, (file) => {
    const found: Entry[] = [];
    let at = -1;
    let record: readonly Entry[] = [];
    for (const [sequence, place] of wanted) {
      if (place.at !== at) record = readEntriesAt(file, path, place, doing);
      at = place.at;
      found.push(...record.filter((entry) => entry.sequence === sequence && entry.log === log));
    }
    return found;
  });
}

/** Reads one record of a log again, for its entries. @throws `STORAGE_DAMAGED` */
function readEntriesAt(file: number, path: string, { at, end }: Place, doing: Doing): readonly Entry[] {
  const frame = decodeFrame(readAt(file, at, end - at), 0, at);
  const entries = frame === null ? undefined : decodeChange(frame.json.toString())?.change.entries;
  if (entries === undefined) throw damaged(path, at, "a record is damaged", doing);
  return entries;
}
