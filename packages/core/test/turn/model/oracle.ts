import type { Entry, SessionRow } from "../../../src/contract/row.js";
import type { Commit, Outcome } from "../../../src/contract/turns.js";
import { isWaymarkError } from "../../../src/errors.js";
import type { Merged } from "../../../src/turn/merge.js";
import type { Outbox } from "../../../src/turn/outbox.js";
import type { Range } from "../../../src/turn/visible.js";
import type { Moment, World } from "./world.js";

/** What a process was told of one call, and between which moments of the row's history it ran. */
export interface Told {
  readonly process: string;
  readonly kind: "commit" | "load" | "delete" | "prune" | "flush";
  readonly operation: string | null;
  /** For a prune: the revision that it meant. */
  readonly seen: string | null;
  readonly start: number;
  end: number | null;
  result: unknown;
  error: unknown;
}

type Commits = ReadonlyMap<string, Commit>;

/**
 * Says what is wrong with what a process was told; null where the history of the row explains it.
 * @param window how many operations a row remembers.
 */
export function judge(world: World, commits: Commits, told: Told, window: number): string | null {
  if (told.error !== null) return judgeError(world, told);
  switch (told.kind) {
    case "commit":
      return judgeCommit(world, commits, told, window);
    case "load":
      return judgeLoad(world, commits, told);
    case "delete":
      return judgeDelete(world, told);
    case "prune":
      return judgePrune(world, told);
    case "flush":
      return null;
  }
}

function judgeError(world: World, told: Told): string | null {
  if (world.faultsUsed > 0 && isWaymarkError(told.error) && told.error.code === "STORAGE_UNAVAILABLE")
    return null;
  return `${told.process} ${told.kind} ${told.operation ?? ""}: ${String(told.error)}`;
}

function momentsOf(world: World, operation: string): number[] {
  return world.history.flatMap((moment, index) => (moment.operation === operation ? [index] : []));
}

function during(world: World, { start, end }: Told): readonly Moment[] {
  return world.history.slice(start, (end ?? world.history.length) + 1);
}

const isLive = (row: SessionRow | null): row is SessionRow => row !== null && row.status !== "deleting";

function judgeCommit(world: World, commits: Commits, told: Told, window: number): string | null {
  const operation = told.operation ?? "";
  const outcome = told.result as Outcome;
  const moments = momentsOf(world, operation);
  const say = (what: string) => `${told.process} was told "${outcome.status}" of ${operation}, but ${what}`;
  if (moments.length > 1) return say("it was applied more than once");
  const [at] = moments;
  if (outcome.status === "committed" || outcome.status === "replayed") {
    if (at === undefined || at > (told.end ?? 0)) return say("it was not applied");
    return judgeApplied(world, commits, operation, at, outcome);
  }
  if (outcome.status === "unknown") {
    const others = during(world, told).filter((moment) => moment.operation !== null).length;
    return world.faultsUsed > 0 || others > window ? null : say("nothing was lost that could make it so");
  }
  if (outcome.status === "absent") {
    if (!during(world, told).some(({ row }) => !isLive(row) || isOtherLife(row, commits.get(operation)))) {
      return say("the session was there all the time");
    }
    return at === undefined || hasEnded(world, at) ? null : say("it was applied");
  }
  if (outcome.status === "exists" && at !== undefined && at > (told.end ?? 0) && world.faultsUsed > 0) {
    // A create without an answer may land after a later delete: a known limit, which no compare-and-set can close.
    return null;
  }
  return at === undefined ? null : say("it was applied");
}

function isOtherLife(row: SessionRow, commit: Commit | undefined): boolean {
  return commit?.expect.kind === "version" && !commit.expect.version.startsWith(`${row.life}.`);
}

function hasEnded(world: World, at: number): boolean {
  const life = world.history[at]?.row?.life;
  return world.history.slice(at).some(({ row }) => !isLive(row) || row.life !== life);
}

function judgeApplied(
  world: World,
  commits: Commits,
  operation: string,
  at: number,
  outcome: { version: string; first: number; last: number },
): string | null {
  const commit = commits.get(operation);
  const row = world.history[at]?.row;
  const before = world.history[at - 1]?.row ?? null;
  if (commit === undefined || row === null || row === undefined) return `${operation} has no row`;
  if (row.version !== outcome.version)
    return `${operation} was told version ${outcome.version}, not ${row.version}`;
  const last = commit.expect.kind === "create" ? 0 : (before?.last ?? 0);
  if (outcome.first !== last + 1 || outcome.last !== last + commit.messages.length) {
    return `${operation} was told sequences ${outcome.first}..${outcome.last} after ${last}`;
  }
  return null;
}

/** Rules of the row that hold for every step of its history, whoever made it. */
export function judgeHistory(world: World, commits: Commits): string | null {
  const revisions = new Set<string>();
  for (const [index, { row, operation }] of world.history.entries()) {
    if (row === null) continue;
    if (revisions.has(row.revision)) return `revision ${row.revision} was used twice`;
    revisions.add(row.revision);
    const commit = operation === null ? undefined : commits.get(operation);
    const before = world.history[index - 1]?.row ?? null;
    if (commit === undefined || before === null || commit.expect.kind === "create") continue;
    if (before.life !== row.life) return `${operation} changed the life of the session`;
    if (commit.expect.kind === "version" && commit.expect.version !== before.version) {
      return `${operation} was made from ${commit.expect.version} and applied to ${before.version}: a lost update`;
    }
    if ((commit.set.state === undefined) !== (before.version === row.version)) {
      return `${operation} ${commit.set.state === undefined ? "moved" : "did not move"} the version`;
    }
    if (row.last !== before.last + commit.messages.length)
      return `${operation} moved last from ${before.last} to ${row.last}`;
    const state = JSON.stringify(commit.set.state ?? before.state);
    if (JSON.stringify(row.state) !== state) return `after ${operation} the state is not its own`;
  }
  return null;
}

/** The messages that a row has, by the commits that made it so. */
function expected(world: World, commits: Commits, at: number, ranges: readonly Range[]): string[] {
  const contents = new Map<number, string>();
  const life = world.history[at]?.row?.life;
  for (const [index, { row, operation }] of world.history.slice(0, at + 1).entries()) {
    const commit = operation === null ? undefined : commits.get(operation);
    if (row === null || row.life !== life || commit === undefined) continue;
    const before = commit.expect.kind === "create" ? 0 : (world.history[index - 1]?.row?.last ?? 0);
    commit.messages.forEach(({ content }, offset) => contents.set(before + offset + 1, content));
  }
  const sequences = [...contents.keys()].filter((sequence) =>
    ranges.some(([from, to]) => from <= sequence && sequence <= to),
  );
  return sequences.map((sequence) => `${sequence}:${contents.get(sequence)}`);
}

const shown = (entries: readonly Entry[]) => entries.map(({ sequence, content }) => `${sequence}:${content}`);

/** What is to be seen of a state, read by hand. */
function rangesOf(row: SessionRow): Range[] {
  const state: unknown = row.state;
  const visible: unknown =
    typeof state === "object" && state !== null && "visible" in state ? state.visible : null;
  if (!Array.isArray(visible)) return [[1, row.last]];
  return visible.map((range: readonly [number, number | null]): Range => [range[0], range[1] ?? row.last]);
}

function judgeLoad(world: World, commits: Commits, told: Told): string | null {
  const loaded = told.result as Merged | null;
  if (loaded === null) {
    return during(world, told).some(({ row }) => !isLive(row))
      ? null
      : `${told.process} was shown no session`;
  }
  const { start, end } = told;
  for (let at = start; at <= (end ?? start); at++) {
    if (world.history[at]?.row?.revision !== loaded.row.revision) continue;
    const wanted = expected(world, commits, at, rangesOf(loaded.row)).join();
    const seen = shown(loaded.entries).join();
    return wanted === seen ? null : `${told.process} was shown [${seen}] where there is [${wanted}]`;
  }
  return `${told.process} was shown a row that was not there while it read`;
}

function judgeDelete(world: World, told: Told): string | null {
  const moments = during(world, told);
  const wasLive = moments.some(({ row }) => isLive(row));
  const wasGone = moments.some(({ row }) => !isLive(row));
  if (told.result === true) return wasLive && wasGone ? null : `${told.process} was told that it deleted`;
  return wasGone ? null : `${told.process} was told that there was nothing to delete`;
}

function judgePrune(world: World, told: Told): string | null {
  const buried = world.history.findIndex(
    ({ row }) => row?.status === "deleting" && row.revision.startsWith(told.process),
  );
  if (told.result !== true) return null;
  if (buried < 1) return `${told.process} was told that it pruned`;
  const before = world.history[buried - 1]?.row?.revision;
  return before === told.seen ? null : `${told.process} meant to prune ${told.seen} and pruned ${before}`;
}

/** When all processes have ended: does a fresh one find everything, and nothing else? */
export async function judgeEnd(
  world: World,
  commits: Commits,
  fresh: Outbox,
  visibleRanges: (row: SessionRow) => readonly Range[],
): Promise<string | null> {
  const broken = judgeHistory(world, commits);
  if (broken !== null) return broken;
  const isQuiet = world.faultsUsed === 0 && world.crashesUsed === 0;
  if (isQuiet) {
    const alive = new Set(expected(world, commits, world.history.length - 1, [[1, Infinity]]));
    const dead = shown([...world.entries.values()]).find((entry) => !isLive(world.row) || !alive.has(entry));
    if (dead !== undefined) return `message ${dead} of an ended life was left behind`;
  }
  const wanted = isLive(world.row) ? world.row : null;
  const at = world.history.length - 1;
  const loaded = await attempt(() => fresh.load("s", visibleRanges));
  if (typeof loaded === "string") return loaded;
  if ((loaded === null) !== (wanted === null)) return "a fresh process does not find what is there";
  if (loaded !== null && wanted !== null) {
    const seen = shown(loaded.entries).join();
    const there = expected(world, commits, at, rangesOf(wanted)).join();
    if (seen !== there) return `a fresh process was shown [${seen}] where there is [${there}]`;
    const drained = await attempt(() => fresh.drain("s", { deadline: 1 }));
    if (typeof drained === "string") return drained;
    const again = await attempt(() => fresh.load("s", visibleRanges));
    if (typeof again === "string") return again;
    if (again === null || shown(again.entries).join() !== there) return "after a drain messages are missing";
  }
  const removed = await attempt(() => fresh.delete("s", undefined, { deadline: 1 }));
  if (typeof removed === "string") return removed;
  if (world.row !== null) return "a delete by a fresh process left the row";
  // Only a writer that was cut off may leave messages behind: nobody else knows of them.
  const hasWriters = world.crashed.size > 0 && ![...world.crashed].every((process) => process === "deleter");
  if (world.faultsUsed > 0 || hasWriters) return null;
  return world.entries.size === 0 ? null : "a delete by a fresh process left messages";
}

async function attempt<T>(work: () => Promise<T>): Promise<T | string> {
  try {
    return await work();
  } catch (error) {
    return `a fresh process failed: ${String(error)}`;
  }
}
