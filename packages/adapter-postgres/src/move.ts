import { type Commit, type Committed, historyLog } from "@waymark/core/adapter";
import { type Database, type Statement, type TextRow, type Value, prepared } from "./client.js";
import {
  type MoveText,
  type Shape,
  fields,
  firstClearable,
  fullShape,
  jsonTexts,
  mostInline,
  moveMany,
  moveOne,
} from "./move-sql.js";
import { encodeValue, scopeOf } from "./records.js";
import { arrayOf, numberOf, operationEnd, textArray } from "./row.js";
import type { Names } from "./schema.js";

/**
 * The rules of `applyCommit` in SQL, for commits that move a row which exists. A commit that is anything but plainly right
 * moves nothing, and `applyCommit` says why: so this has to be right only where it says yes.
 */
export interface Moves {
  /** Waits for whoever has locked the row. Null: it was not applied. */
  one(commit: Commit): Promise<Committed | null>;
  /** Waits for nobody. Applies each commit or none of it; null for those that were not applied. */
  many(commits: readonly Commit[]): Promise<readonly (Committed | null)[]>;
}

/** Whether the statements can say yes to a commit: others are not for them. */
export function canMove({ expect, set }: Commit): boolean {
  if (expect.kind === "create" || expect.operations !== undefined) return false;
  return set.state === undefined || (expect.kind === "version" && nextOf(expect.version) !== null);
}

const nextColumn = fields.findIndex(([name]) => name === "next");

/**
 * Each shape of a commit, with each small number of messages, gets a statement with nothing to spare. An application has some
 * ten or twenty of them; beyond this number come those that fit more.
 */
const statementsKept = 48;

export function createMoves(db: Database, names: Names): Moves {
  const plain = { historyLog: historyLog(""), scope: null };
  // The same text that core makes, of columns.
  const scope = scopeOf("moved");
  const withRecords = { ...plain, scope };
  const one = byShape((shape, inline) => moveOne(names, shape, inline, plain));
  const many = byShape((shape) => moveMany(names, shape, plain));
  const oneWithRecords = byShape((shape, inline) => moveOne(names, shape, inline, withRecords));
  const manyWithRecords = byShape((shape) => moveMany(names, shape, withRecords));

  return {
    async one(commit) {
      const encoded = encode(commit);
      const { messages, history } = commit;
      const isInline = messages.length <= mostInline && history.length === 0;
      const shape = { any: encoded.present, all: encoded.present };
      const isWithRecords = recordCount(commit) > 0;
      const shaped = (isWithRecords ? oneWithRecords : one)(shape, isInline ? messages.length : null);
      const values: Value[] = [];
      for (const column of shaped.columns) values.push(encoded.values[column] ?? null);
      if (shaped.inline === null) values.push(...encodeEntries([commit]));
      else
        for (const { userId, role, content, createdAt, body } of messages)
          values.push(userId, role, content, createdAt, JSON.stringify(body));
      if (isWithRecords) values.push(...encodeRecords([commit]));
      const [row] = await db.run(shaped.statement, values, { operation: "commit", sessionId: commit.id });
      return row === undefined
        ? null
        : committed(commit, encoded.values[nextColumn], shaped.tellsVersion, row);
    },

    async many(commits) {
      const encoded = commits.map(encode);
      const shape = { any: 0, all: -1 };
      for (const { present } of encoded) {
        shape.any |= present;
        shape.all &= present;
      }
      const isWithRecords = commits.some((commit) => recordCount(commit) > 0);
      const { statement, columns, tellsVersion } = (isWithRecords ? manyWithRecords : many)(shape, null);
      const values = columns.map((column) =>
        manyOf(
          encoded.map(({ values }) => values[column] ?? null),
          column,
        ),
      );
      values.push(ownersOf(commits, entryCount), ...encodeEntries(commits));
      if (isWithRecords) values.push(ownersOf(commits, recordCount), ...encodeRecords(commits));
      const rows = await db.run(statement, values, { operation: "commit" });
      const byPlace = new Map(rows.map(([place, ...row]) => [Number(place), row]));
      return commits.map((commit, index) => {
        const row = byPlace.get(index + 1);
        return row === undefined
          ? null
          : committed(commit, encoded[index]?.values[nextColumn], tellsVersion, row);
      });
    },
  };
}

function recordCount({ records }: Commit): number {
  return records?.length ?? 0;
}

function entryCount({ messages, history }: Commit): number {
  return messages.length + history.length;
}

interface Shaped extends Omit<MoveText, "text"> {
  readonly statement: Statement;
  /** How many messages are parameters of their own; null where all entries are arrays. */
  readonly inline: number | null;
}

function byShape(textOf: (shape: Shape, inline: number | null) => MoveText) {
  const made = new Map<string, Shaped>();
  return function find(shape: Shape, inline: number | null): Shaped {
    const key = `${shape.any},${shape.all},${inline}`;
    const known = made.get(key);
    if (known !== undefined) return known;
    if (made.size >= statementsKept && shape !== fullShape)
      return find(inline === null ? fullShape : shape, null);
    const { text, columns, tellsVersion } = textOf(shape, inline);
    const next = { statement: prepared(text), columns, tellsVersion, inline };
    made.set(key, next);
    return next;
  };
}

function manyOf(values: readonly Value[], column: number): Value {
  const [name = "", type = "text"] = fields[column] ?? [];
  return jsonTexts.has(name) ? linesOf(values) : arrayOf(values, type);
}

/** What `jsonTexts` are sent as; null is an empty line. */
function linesOf(values: readonly Value[]): string {
  return values.map((value) => value ?? "").join("\n");
}

function committed(
  { expect, messages, at }: Commit,
  next: Value | undefined,
  tellsVersion: boolean,
  [last, operations, life, version]: TextRow,
): Committed {
  const expected = expect.kind === "version" ? expect.version : "";
  return {
    status: "committed",
    life: tellsVersion ? (life ?? "") : expected.slice(0, expected.lastIndexOf(".")),
    version: tellsVersion ? (version ?? "") : typeof next === "string" ? next : expected,
    first: Number(last) - messages.length + 1,
    last: Number(last),
    at,
    operations: Number(operations),
  };
}

interface Encoded {
  /** In the order of `fields`; undefined where the commit does without. */
  readonly values: readonly (Value | undefined)[];
  /** Which of them it has: a bit for each. */
  readonly present: number;
}

function encode(commit: Commit): Encoded {
  const { id, expect, operation, revision, at, owner, reopen, retry, set, messages } = commit;
  const expected = expect.kind === "version" ? expect : undefined;
  const isMoved = set.state !== undefined;
  const next = isMoved && expected !== undefined ? nextOf(expected.version) : null;
  // Where the version is the row's and would have moved, the operation was certainly not applied.
  const isProven = retry === undefined || (expected !== undefined && isMoved);
  const values: (Value | undefined)[] = [
    0,
    id,
    JSON.stringify(operation.id),
    operationEnd(at, operation.digest),
    revision,
    at,
    messages.length,
    expected?.version,
    expected?.last,
    owner,
    reopen === true ? "t" : undefined,
    isProven ? undefined : (retry.since ?? 0),
    next?.version,
    next?.numbers,
    messages.at(-1)?.createdAt,
    set.status,
    isMoved ? JSON.stringify(set.state) : undefined,
    set.userId,
    set.agentName,
    set.completedAt,
    set.expiresAt,
    set.route,
    set.step,
  ];
  let present = 0;
  for (let column = 0; column < values.length; column++)
    if (values[column] !== undefined) present |= 1 << column;
  values[0] = present >> firstClearable;
  return { values, present };
}

/** The version after this one, and the numbers of both; null where it is no version of core's. */
function nextOf(version: string): { version: string; numbers: string } | null {
  const life = version.slice(0, Math.max(0, version.lastIndexOf(".")));
  const number = numberOf(life, version);
  if (number === null) return null;
  return { version: `${life}.${number + 1}`, numbers: `${number},${number + 1},` };
}

/** For each part of the commits the place of its commit, from 1. */
function ownersOf(commits: readonly Commit[], count: (commit: Commit) => number): Value {
  const places = commits.flatMap((commit, index) => Array.from({ length: count(commit) }, () => index + 1));
  return arrayOf(places, "integer");
}

/** The new entries as one array a column, in the order of `entryFields`. */
function encodeEntries(commits: readonly Commit[]): Value[] {
  const places: number[] = [];
  const entries = commits.flatMap(({ messages, history }) => {
    for (let place = 1; place <= messages.length; place++) places.push(place);
    for (const { sequence } of history) places.push(-sequence);
    return history.length === 0 ? messages : [...messages, ...history];
  });
  return [
    arrayOf(places, "bigint"),
    textArray(entries.map(({ userId }) => userId)),
    textArray(entries.map(({ role }) => role)),
    textArray(entries.map(({ content }) => content)),
    arrayOf(
      entries.map(({ createdAt }) => createdAt),
      "float8",
    ),
    linesOf(entries.map(({ body }) => JSON.stringify(body))),
  ];
}

/** The records as one array a column, in the order of `recordFields`. */
function encodeRecords(commits: readonly Commit[]): Value[] {
  const records = commits.flatMap(({ records = [] }) => records);
  return [textArray(records.map(({ key }) => key)), linesOf(records.map(({ value }) => encodeValue(value)))];
}
