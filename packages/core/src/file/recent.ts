import { join } from "node:path";
import type { RecordWrite } from "../contract/facets.js";
import type { Entry } from "../contract/row.js";
import { type Change, decodeChange } from "./change.js";
import { forReading, readAt, withFileSync } from "./disk.js";
import { type Doing, damaged } from "./failure.js";
import { decodeFrame } from "./frame.js";
import type { KeptRecord, LogState, Place } from "./log.js";

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
function readEntriesAt(file: number, path: string, place: Place, doing: Doing): readonly Entry[] {
  const { entries } = readChangeAt(file, path, place, doing);
  if (entries === undefined) throw damaged(path, place.at, "a record is damaged", doing);
  return entries;
}

function readChangeAt(file: number, path: string, { at, end }: Place, doing: Doing): Change {
  const frame = decodeFrame(readAt(file, at, end - at), 0, at);
  const change = frame === null ? undefined : decodeChange(frame.json.toString())?.change;
  if (change === undefined) throw damaged(path, at, "a record is damaged", doing);
  return change;
}

/** Records of a scope with their values, in the order of `keys`. Throws `ENOENT` where the log was replaced meanwhile. */
export function readRecords(
  state: LogState,
  scope: string,
  keys: readonly (readonly [string, KeptRecord])[],
  doing: Doing,
): RecordWrite[] {
  if (keys.length === 0) return [];
  const path = join(state.folder, state.name);
  return withFileSync(path, forReading, (file) => {
    const read = new Map<number, ReadonlyMap<string, RecordWrite>>();
    return keys.map(([key, { place }]) => {
      let there = read.get(place.at);
      if (there === undefined) {
        const { records = [] } = readChangeAt(file, path, place, doing);
        there = new Map(records.filter((one) => one.scope === scope).map((one) => [one.key, one]));
        read.set(place.at, there);
      }
      const found = there.get(key);
      if (found === undefined) throw damaged(path, place.at, "a record is damaged", doing);
      return found;
    });
  });
}

/** All that a log holds, with what is left of those that were removed. */
export function readAllRecords(state: LogState, doing: Doing): RecordWrite[] {
  return [...state.records].flatMap(([scope, kept]) => readRecords(state, scope, [...kept], doing));
}
