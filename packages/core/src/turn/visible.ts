import type { Json } from "../contract/json.js";
import type { SessionRow } from "../contract/row.js";

/** Sequences `from..to` of a log, both inclusive. */
export type Range = readonly [from: number, to: number];

/**
 * The messages that a reader of this row sees, ascending. All of them, unless a rewind or a branch has named the ranges
 * that are left; the last range is then open (`null`) and grows with the session.
 */
export function visibleRanges(row: SessionRow): readonly Range[] {
  const named = namedRanges(row.state) ?? [[row.first, null]];
  const ranges: Range[] = [];
  for (const [from, to] of named) {
    const start = Math.max(from, row.first);
    const end = Math.min(to ?? row.last, row.last);
    if (start <= end) ranges.push([start, end]);
  }
  return ranges;
}

/** The last `count` sequences of some ranges that are at most `to`, as ranges, ascending. */
export function lastOf(ranges: readonly Range[], count: number, to = Infinity): Range[] {
  const picked: Range[] = [];
  let left = count;
  for (let i = ranges.length - 1; i >= 0 && left > 0; i--) {
    const range = ranges[i];
    if (range === undefined || range[0] > to) continue;
    const end = Math.min(range[1], to);
    const start = Math.max(range[0], end - left + 1);
    picked.unshift([start, end]);
    left -= end - start + 1;
  }
  return picked;
}

/** The first `count` sequences of some ranges that are at least `from`, as ranges, ascending. */
export function firstOf(ranges: readonly Range[], count: number, from = 0): Range[] {
  const picked: Range[] = [];
  let left = count;
  for (const range of ranges) {
    if (left <= 0) break;
    if (range[1] < from) continue;
    const start = Math.max(range[0], from);
    const end = Math.min(range[1], start + left - 1);
    picked.push([start, end]);
    left -= end - start + 1;
  }
  return picked;
}

function namedRanges(state: Json): readonly (readonly [number, number | null])[] | null {
  if (typeof state !== "object" || state === null || !("visible" in state) || !Array.isArray(state.visible)) {
    return null;
  }
  return state.visible.flatMap((range: Json): [number, number | null][] => {
    if (!Array.isArray(range) || typeof range[0] !== "number") return [];
    return [[range[0], typeof range[1] === "number" ? range[1] : null]];
  });
}
