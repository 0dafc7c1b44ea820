import { type Commit, type Committed, historyLog } from "@waymark/core/adapter";
import { type Database, type Statement, type TextRow, type Value, prepared } from "./client.js";
import { type Shape, fields, fullShape, jsonTexts, maskBits, moveMany, moveOne } from "./move-sql.js";
import { encodeValue, scopeOf } from "./records.js";
import { arrayOf, numberOf, operationEnd, textArray } from "./row.js";
import type { Names } from "./schema.js";

/**
 * The rules of `applyCommit` in SQL, for commits that move a row which exists. A commit that is anything but plainly right
 * moves nothing, and `applyCommit` says why: so this has to be right only where it says yes.
 */
export interface Moves {
  /** Applies each commit or none of it; null for those that were not applied. */
  apply(commits: readonly Commit[]): Promise<readonly (Committed | null)[]>;
}

/** Whether the statements can say yes to a commit. */
export function canMove({ expect, set }: Commit): boolean {
  if (expect.kind === "create") return false;
  if (expect.kind === "append" && expect.operations !== undefined) return false;
  return set.state === undefined || (expect.kind === "version" && nextOf(expect.version) !== null);
}

/** Commits come in few shapes, so each gets a statement with nothing to spare; beyond this number, one that fits all. */
const statementsKept = 16;

export function createMoves(db: Database, names: Names): Moves {
  const plain = { historyLog: historyLog(""), scope: null };
  // The same text that core makes, of columns.
  const scope = scopeOf("moved");
  const withRecords = { ...plain, scope };
  const one = byShape((shape) => moveOne(names, shape, plain));
  const many = byShape((shape) => moveMany(names, shape, plain));
  const oneWithRecords = byShape((shape) => moveOne(names, shape, withRecords));
  const manyWithRecords = byShape((shape) => moveMany(names, shape, withRecords));

  return {
    async apply(commits) {
      const [first] = commits;
      const encoded = commits.map(encode);
      const isOne = first !== undefined && commits.length === 1;
      const hasRecords = commits.some(({ records }) => records !== undefined && records.length > 0);
      const alone = hasRecords ? oneWithRecords : one;
      const together = hasRecords ? manyWithRecords : many;
      const { statement, columns } = (isOne ? alone : together)(shapeOf(encoded));
      const values = columns.map((column) =>
        isOne
          ? (encoded[0]?.[column] ?? null)
          : manyOf(
              encoded.map((row) => row[column] ?? null),
              column,
            ),
      );
      const doing = { operation: "commit", sessionId: isOne ? first.id : undefined };
      const parts = encodeEntries(commits);
      if (hasRecords) parts.push(...encodeRecords(commits));
      const moved = await db.run(statement, [...values, ...parts], doing);
      const byCommit = new Map(moved.map((row) => [isOne ? 1 : Number(row[4]), row]));
      return commits.map((commit, index) => {
        const row = byCommit.get(index + 1);
        return row === undefined ? null : committed(commit, row);
      });
    },
  };
}

interface Shaped {
  readonly statement: Statement;
  /** Which of `fields` it takes, in their order. */
  readonly columns: readonly number[];
}

function byShape(textOf: (shape: Shape) => { text: string; columns: readonly number[] }) {
  const made = new Map<string, Shaped>();
  return function find(shape: Shape): Shaped {
    const key = shape.join("");
    const known = made.get(key);
    if (known !== undefined) return known;
    if (made.size >= statementsKept && shape !== fullShape) return find(fullShape);
    const { text, columns } = textOf(shape);
    const next = { statement: prepared(text), columns };
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

function committed({ messages, at }: Commit, [life, version, last, operations]: TextRow): Committed {
  return {
    status: "committed",
    life: life ?? "",
    version: version ?? "",
    first: Number(last) - messages.length + 1,
    last: Number(last),
    at,
    operations: Number(operations),
  };
}

/** For each field: whether none, some or all of the commits have it. */
function shapeOf(encoded: readonly (readonly Value[])[]): Shape {
  return maskBits.map((bit, column) => {
    let present = 0;
    for (const row of encoded) if (bit === 0 ? row[column] !== null : (Number(row[0]) & bit) !== 0) present++;
    return present === 0 ? "none" : present === encoded.length ? "all" : "some";
  });
}

/** Values in the order of `fields`; null where a commit does without. */
function encode(commit: Commit): Value[] {
  const { id, expect, operation, revision, at, owner, reopen, retry, set, messages } = commit;
  const expected = expect.kind === "version" ? expect : null;
  // Where the version is the row's and would have moved, the operation was certainly not applied.
  const isProven = retry === undefined || (expected !== null && set.state !== undefined);
  const { userId, agentName, completedAt, expiresAt, route, step } = set;
  const clearable = [userId, agentName, completedAt, expiresAt, route, step];
  let mask = 0;
  clearable.forEach((value, bit) => (mask |= value === undefined ? 0 : 1 << bit));
  return [
    mask,
    id,
    JSON.stringify(operation.id),
    operationEnd(at, operation.digest),
    revision,
    at,
    messages.length,
    expected?.version ?? null,
    expected?.last ?? null,
    owner ?? null,
    reopen === true ? "t" : null,
    isProven ? null : (retry.since ?? 0),
    set.state === undefined || expected === null ? null : nextOf(expected.version),
    messages.at(-1)?.createdAt ?? null,
    set.status ?? null,
    set.state === undefined ? null : JSON.stringify(set.state),
    ...clearable.map((value) => value ?? null),
  ];
}

/** The number after this version's; null where it is no version of core's. */
function nextOf(version: string): number | null {
  const number = numberOf(version.slice(0, Math.max(0, version.lastIndexOf("."))), version);
  return number === null ? null : number + 1;
}

/** The new entries as one array a column, in the order of `entryFields`. */
function encodeEntries(commits: readonly Commit[]): Value[] {
  const owners: number[] = [];
  const places: number[] = [];
  const entries = commits.flatMap(({ messages, history }, index) => {
    for (let place = 1; place <= messages.length; place++) places.push(place);
    for (const { sequence } of history) places.push(-sequence);
    for (let i = messages.length + history.length; i > 0; i--) owners.push(index + 1);
    return history.length === 0 ? messages : [...messages, ...history];
  });
  return [
    ...(commits.length === 1 ? [] : [arrayOf(owners, "integer")]),
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
  const owners = commits.flatMap(({ records = [] }, index) => records.map(() => index + 1));
  return [
    ...(commits.length === 1 ? [] : [arrayOf(owners, "integer")]),
    textArray(records.map(({ key }) => key)),
    linesOf(records.map(({ value }) => encodeValue(value))),
  ];
}
