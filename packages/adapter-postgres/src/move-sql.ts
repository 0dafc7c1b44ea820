import { operationWindow, stampDigits } from "@waymark/core/adapter";
import { placeOf } from "./row.js";
import { recordNames, unlessNewer } from "./records.js";
import type { Names } from "./schema.js";

/** What a statement has to know of one commit, with the type of the parameter. */
export const fields = [
  /** Which of the columns that may be cleared are set. */
  ["mask", "integer"],
  ["id", "text"],
  /** The operation's id, and how its text ends. */
  ["operation", "text"],
  ["operation_end", "text"],
  ["revision", "text"],
  ["at", "float8"],
  ["count", "integer"],
  /** The version, and last sequence, that the row must have. */
  ["version", "text"],
  ["last", "bigint"],
  /** Whose the row must be, if it is somebody's. */
  ["owner", "text"],
  ["reopen", "boolean"],
  /** How many operations the row may have forgotten at most. */
  ["forgotten", "integer"],
  /** The number of the next version. */
  ["next", "integer"],
  ["last_message_at", "float8"],
  ["status", "text"],
  ["state", "jsonb"],
  ["user_id", "text"],
  ["agent_name", "text"],
  ["completed_at", "float8"],
  ["expires_at", "float8"],
  ["current_route", "text"],
  ["current_step", "text"],
] as const;

type Field = (typeof fields)[number][0];

/** Which of the commits of a statement have a field, in the order of `fields`. */
export type Shape = readonly ("none" | "some" | "all")[];

export const fullShape: Shape = fields.map(() => "some");

const always = 7;
const reopenColumn = 10;
const firstClearable = 16;

/** For each field, its bit of the mask if it is a column that may be cleared, so that null is a value; otherwise 0. */
export const maskBits = fields.map((_, column) =>
  column < firstClearable ? 0 : 1 << (column - firstClearable),
);

/** A message's place is from 1 among those of its commit; for route history, whose sequence is given, that, negative. */
const entryFields = [
  ["place", "bigint"],
  ["user_id", "text"],
  ["role", "text"],
  ["content", "text"],
  ["created_at", "float8"],
  ["body", "json"],
] as const;

const recordFields = [
  ["key", "text"],
  ["value", "json"],
] as const;

/**
 * Texts that `JSON.stringify` wrote, which have no line break and are not empty: many travel as lines, since an array would
 * need a backslash before each of their quotes.
 */
export const jsonTexts: ReadonlySet<string> = new Set([
  "operation",
  "operation_end",
  "state",
  "body",
  "value",
]);

const entryNames = entryFields.map(([name]) => name).join(", ");

export interface MoveText {
  readonly text: string;
  /** Which of `fields` it takes as parameters, in their order. Those of the entries follow. */
  readonly columns: readonly number[];
}

/** What the statements are for: turns with records have statements of their own, so that others pay nothing for them. */
export interface MoveOptions {
  readonly historyLog: string;
  /** The scope of a session's records, as SQL of its `id` and `life`; null for statements without records. */
  readonly scope: string | null;
}

/** One commit: each field is a parameter. */
export function moveOne(names: Names, shape: Shape, { historyLog, scope }: MoveOptions): MoveText {
  const { sessions, messages } = names;
  const columns = columnsOf(shape);
  const parameter = (field: Field) => {
    const index = columns.findIndex((column) => fields[column]?.[0] === field);
    return `$${index + 1}::${fields[columns[index] ?? 0]?.[1]}`;
  };
  const { sets, guards } = clauses(shape, parameter);
  const text = `WITH moved AS (
    UPDATE ${sessions} s SET ${sets}
    WHERE s.id = ${parameter("id")} AND ${guards}
    RETURNING s.id, s.life, s.version, s.last_sequence, s.operation_count, ${parameter("count")} AS count${scope === null ? "" : ", s.revision"}
  ), put AS (${insertEntries(messages, historyLog)}
    FROM moved, unnest(${arrays(entryFields, columns.length + 1)}) AS e (${entryNames})
  )${
    scope === null
      ? ""
      : `, kept AS (${insertRecords(names, scope)}
    FROM moved, unnest(${arrays(recordFields, columns.length + 1 + entryFields.length)}) AS i (key, value)
    ORDER BY i.key COLLATE "C" ${unlessNewer}
  )`
  } SELECT life, version, last_sequence, operation_count FROM moved`;
  return { text, columns };
}

/**
 * Many commits, of different sessions: each field is an array. Rows that somebody else has locked are left out: nobody waits
 * for another's neighbour, so nobody waits for each other either. The planner takes the condition that always holds for one
 * that leaves a single row: so it looks up by key also in a table that it has not analyzed yet, and keeps to that.
 */
export function moveMany(names: Names, shape: Shape, { historyLog, scope }: MoveOptions): MoveText {
  const { sessions, messages } = names;
  const columns = columnsOf(shape);
  const taken = columns.flatMap((column) => fields.slice(column, column + 1));
  const { sets, guards } = clauses(shape, (field) => `i.${field}`);
  const from = columns.length + 1;
  const records = from + 1 + entryFields.length;
  const text = `WITH i AS MATERIALIZED (
    SELECT i.* FROM unnest(${arrays(taken, 1)}) WITH ORDINALITY AS i (${taken.map(([name]) => name).join(", ")}, commit)
    CROSS JOIN LATERAL (SELECT FROM ${sessions} s WHERE s.id = i.id FOR NO KEY UPDATE SKIP LOCKED) locked
    WHERE i.commit = abs(i.commit)
  ), moved AS (
    UPDATE ${sessions} s SET ${sets}
    FROM i WHERE s.id = i.id AND ${guards}
    RETURNING s.id, s.life, s.version, s.last_sequence, s.operation_count, i.count, i.commit${scope === null ? "" : ", s.revision"}
  ), put AS (${insertEntries(messages, historyLog)}
    FROM unnest($${from}::integer[], ${arrays(entryFields, from + 1)}) AS e (commit, ${entryNames})
    JOIN moved ON moved.commit = e.commit
  )${
    scope === null
      ? ""
      : `, kept AS (${insertRecords(names, scope)}
    FROM unnest($${records}::integer[], ${arrays(recordFields, records + 1)}) AS i (commit, key, value)
    JOIN moved ON moved.commit = i.commit
    ORDER BY moved.id COLLATE "C", i.key COLLATE "C" ${unlessNewer}
  )`
  } SELECT life, version, last_sequence, operation_count, commit FROM moved`;
  return { text, columns };
}

function arrays(list: readonly (readonly [string, string])[], from: number): string {
  return list
    .map(([name, type], index) => {
      const parameter = `$${from + index}`;
      return jsonTexts.has(name)
        ? `string_to_array(${parameter}, E'\\n', '')::${type}[]`
        : `${parameter}::${type}[]`;
    })
    .join(", ");
}

function columnsOf(shape: Shape): number[] {
  const isMasked = shape.some((share, column) => column >= firstClearable && share === "some");
  return fields.flatMap((_, column) => {
    const isTaken = column === 0 ? isMasked : column < always || shape[column] !== "none";
    return isTaken && !(column === reopenColumn && shape[column] === "all") ? [column] : [];
  });
}

/** @param p the SQL of a field's value. */
function clauses(shape: Shape, p: (field: Field) => string): { sets: string; guards: string } {
  const columnOf = (field: Field) => fields.findIndex(([name]) => name === field);
  const share = (field: Field) => shape[columnOf(field)];
  // Where every commit moves the version, it also names the one before, so that nothing has to be taken apart.
  const isMoved = share("next") === "all";
  const number = isMoved ? `(${p("next")} - 1)` : "substr(s.version, length(s.life) + 2)";
  const next = isMoved
    ? p("next")
    : share("next") === "none"
      ? number
      : `coalesce(${p("next")}::text, ${number})`;
  const place = placeOf("s.operation_count");
  const sets = [
    `revision = ${p("revision")}`,
    `updated_at = to_timestamp(${p("at")} / 1000)`,
    `last_sequence = s.last_sequence + ${p("count")}`,
    "operation_count = s.operation_count + 1",
    `operation_ids[${place}] = ${p("operation")}`,
    `operations[${place}] = ${number} || ',' || ${next}
      || ',' || s.last_sequence + 1 || ',' || s.last_sequence + ${p("count")} || ${p("operation_end")}`,
    ...(share("next") === "none" ? [] : [`version = s.life || '.' || ${next}`]),
  ];
  for (const [field] of fields.slice(always + 6)) {
    if (share(field) === "none") continue;
    const value = field.endsWith("_at") ? `to_timestamp(${p(field)} / 1000)` : p(field);
    const bit = maskBits[columnOf(field)] ?? 0;
    if (share(field) === "all") sets.push(`${field} = ${value}`);
    else if (bit === 0) sets.push(`${field} = coalesce(${value}, s.${field})`);
    else sets.push(`${field} = CASE WHEN ${p("mask")} & ${bit} <> 0 THEN ${value} ELSE s.${field} END`);
  }
  const reopen = {
    none: "s.status = 'active'",
    some: `(s.status = 'active' OR (${p("reopen")} AND s.status <> 'deleting'))`,
    all: "s.status <> 'deleting'",
  }[share("reopen") ?? "some"];
  const guards = [
    "NOT s.dirty",
    "s.operation_count >= 0",
    `(s.expires_at IS NULL OR s.expires_at > to_timestamp(${p("at")} / 1000))`,
    reopen,
    `${p("operation")} <> ALL (s.operation_ids)`,
  ];
  const guard = (field: Field, condition: string) => {
    if (share(field) === "all") guards.push(condition);
    if (share(field) === "some") guards.push(`(${p(field)} IS NULL OR ${condition})`);
  };
  guard("version", `s.version = ${p("version")}`);
  guard("last", `s.last_sequence = ${p("last")}`);
  guard("owner", `(s.user_id IS NULL OR s.user_id = ${p("owner")})`);
  guard("forgotten", `s.operation_count - ${operationWindow} <= ${p("forgotten")}`);
  return { sets: sets.join(",\n    "), guards: guards.join("\n    AND ") };
}

function insertEntries(messages: string, historyLog: string): string {
  return `
    INSERT INTO ${messages} (session_id, log, sequence, user_id, role, content, created_at, body)
    SELECT moved.id, moved.life || CASE WHEN e.place > 0 THEN '' ELSE '${historyLog}' END,
      CASE WHEN e.place > 0 THEN moved.last_sequence - moved.count + e.place ELSE -e.place END,
      e.user_id, e.role, e.content, to_timestamp(e.created_at / 1000), e.body`;
}

/** The stamp is the number of the operation in as many digits as core gives it. */
function insertRecords({ records }: Names, scope: string): string {
  return `
    INSERT INTO ${records} AS r (${recordNames})
    SELECT ${scope}, i.key, i.value, moved.revision, lpad(moved.operation_count::text, ${stampDigits}, '0')`;
}
