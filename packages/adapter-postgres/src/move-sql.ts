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
  /** The next version, and with what the operation's text begins: the numbers of the version before and of this one. */
  ["next", "text"],
  ["numbers", "text"],
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

/** Which fields any and all of the commits of a statement have: a bit for each of `fields`. */
export interface Shape {
  readonly any: number;
  readonly all: number;
}

export const fullShape: Shape = { any: -1, all: 0 };

const always = 7;
const reopenColumn = 10;
/** From here on null is a value, which clears the column: the mask says which of them are set. */
export const firstClearable = 17;

type Share = "none" | "some" | "all";

function shareOf({ any, all }: Shape, column: number): Share {
  const bit = 1 << column;
  return (all & bit) !== 0 ? "all" : (any & bit) !== 0 ? "some" : "none";
}

/** A message's place is from 1 among those of its commit; for route history, whose sequence is given, that, negative. */
const entryFields = [
  ["place", "bigint"],
  ["user_id", "text"],
  ["role", "text"],
  ["content", "text"],
  ["created_at", "float8"],
  ["body", "json"],
] as const;

/** One commit's few messages travel as parameters, which cost the server less than arrays do; place and log are in the text. */
export const mostInline = 4;
const inlineFields = entryFields.filter(([name]) => name !== "place");

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
  /** Whether it answers with life and version also: whoever named the version knows them. */
  readonly tellsVersion: boolean;
}

/** What the statements are for: turns with records have statements of their own, so that others pay nothing for them. */
export interface MoveOptions {
  readonly historyLog: string;
  /** The scope of a session's records, as SQL of its `id` and `life`; null for statements without records. */
  readonly scope: string | null;
}

/**
 * One commit: each field is a parameter.
 * @param inline how many messages it has, at most `mostInline`; null for any number, and history.
 */
export function moveOne(
  names: Names,
  shape: Shape,
  inline: number | null,
  { historyLog, scope }: MoveOptions,
): MoveText {
  const { sessions, messages } = names;
  const columns = columnsOf(shape);
  const parameter = (field: Field) => {
    const index = columns.findIndex((column) => fields[column]?.[0] === field);
    return `$${index + 1}::${fields[columns[index] ?? 0]?.[1]}`;
  };
  const { sets, guards } = clauses(shape, parameter);
  const from = columns.length + 1;
  const isInline = inline !== null;
  const steps = [
    `moved AS (
    UPDATE ${sessions} s SET ${sets}
    WHERE s.id = ${parameter("id")} AND ${guards}
    RETURNING ${returned(shape, scope)}
  )`,
  ];
  if (isInline && inline > 0) steps.push(`put AS (${insertInline(messages, inline, from)}\n  )`);
  if (!isInline)
    steps.push(`put AS (${insertEntries(messages, historyLog, parameter("count"))}
    FROM moved, unnest(${arrays(entryFields, from)}) AS e (${entryNames})
  )`);
  if (scope !== null) {
    const records = from + (isInline ? inline * inlineFields.length : entryFields.length);
    steps.push(`kept AS (${insertRecords(names, scope)}
    FROM moved, unnest(${arrays(recordFields, records)}) AS i (key, value)
    ORDER BY i.key COLLATE "C" ${unlessNewer}
  )`);
  }
  const text = `WITH ${steps.join(", ")} SELECT ${told(shape)} FROM moved`;
  return { text, columns, tellsVersion: tellsVersion(shape) };
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
    RETURNING ${returned(shape, scope)}, i.count, i.commit
  ), put AS (${insertEntries(messages, historyLog, "moved.count")}
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
  } SELECT commit, ${told(shape)} FROM moved`;
  return { text, columns, tellsVersion: tellsVersion(shape) };
}

function tellsVersion(shape: Shape): boolean {
  return shareOf(shape, columnOf("version")) !== "all";
}

/** What the rest of a statement asks of the rows that it has moved. */
function returned(shape: Shape, scope: string | null): string {
  const names = ["id", "life", "last_sequence", "operation_count"];
  if (tellsVersion(shape)) names.push("version");
  if (scope !== null) names.push("revision");
  return names.map((name) => `s.${name}`).join(", ");
}

function told(shape: Shape): string {
  return `last_sequence, operation_count${tellsVersion(shape) ? ", life, version" : ""}`;
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
  const shares = fields.map((_, column) => shareOf(shape, column));
  const isMasked = shares.slice(firstClearable).includes("some");
  return fields.flatMap((_, column) => {
    const isTaken = column === 0 ? isMasked : column < always || shares[column] !== "none";
    return isTaken && !(column === reopenColumn && shares[column] === "all") ? [column] : [];
  });
}

function columnOf(field: Field): number {
  return fields.findIndex(([name]) => name === field);
}

/** @param p the SQL of a field's value. */
function clauses(shape: Shape, p: (field: Field) => string): { sets: string; guards: string } {
  const share = (field: Field) => shareOf(shape, columnOf(field));
  const number = "substr(s.version, length(s.life) + 2)";
  const unmoved = `${number} || ',' || ${number} || ','`;
  const [next, numbers] = {
    none: ["s.version", unmoved],
    some: [`coalesce(${p("next")}, s.version)`, `coalesce(${p("numbers")}, ${unmoved})`],
    all: [p("next"), p("numbers")],
  }[share("next")];
  const place = placeOf("s.operation_count");
  const sets = [
    `revision = ${p("revision")}`,
    `updated_at = to_timestamp(${p("at")} / 1000)`,
    `last_sequence = s.last_sequence + ${p("count")}`,
    "operation_count = s.operation_count + 1",
    `operation_ids[${place}] = ${p("operation")}`,
    `operations[${place}] = ${numbers} || s.last_sequence + 1 || ',' || s.last_sequence + ${p("count")} || ${p("operation_end")}`,
    ...(share("next") === "none" ? [] : [`version = ${next}`]),
  ];
  for (const [field] of fields.slice(always + 7)) {
    if (share(field) === "none") continue;
    const value = field.endsWith("_at") ? `to_timestamp(${p(field)} / 1000)` : p(field);
    const place = columnOf(field) - firstClearable;
    if (share(field) === "all") sets.push(`${field} = ${value}`);
    else if (place < 0) sets.push(`${field} = coalesce(${value}, s.${field})`);
    else
      sets.push(`${field} = CASE WHEN ${p("mask")} & ${1 << place} <> 0 THEN ${value} ELSE s.${field} END`);
  }
  const reopen = {
    none: "s.status = 'active'",
    some: `(s.status = 'active' OR (${p("reopen")} AND s.status <> 'deleting'))`,
    all: "s.status <> 'deleting'",
  }[share("reopen")];
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

/** @param count the SQL of how many messages the commit has. */
function insertEntries(messages: string, historyLog: string, count: string): string {
  return `
    INSERT INTO ${messages} (session_id, log, sequence, user_id, role, content, created_at, body)
    SELECT moved.id, moved.life || CASE WHEN e.place > 0 THEN '' ELSE '${historyLog}' END,
      CASE WHEN e.place > 0 THEN moved.last_sequence - ${count} + e.place ELSE -e.place END,
      e.user_id, e.role, e.content, to_timestamp(e.created_at / 1000), e.body`;
}

/** The messages of one commit, each with the parameters of `inlineFields`. */
function insertInline(messages: string, count: number, from: number): string {
  const rows = Array.from({ length: count }, (_, index) => {
    const first = from + index * inlineFields.length;
    const values = inlineFields.map(([name, type], place) => {
      const parameter = `$${first + place}::${type}`;
      return name === "created_at" ? `to_timestamp(${parameter} / 1000)` : parameter;
    });
    return `SELECT id, life, last_sequence - ${count - 1 - index}, ${values.join(", ")} FROM moved`;
  });
  return `
    INSERT INTO ${messages} (session_id, log, sequence, user_id, role, content, created_at, body)
    ${rows.join("\n    UNION ALL ")}`;
}

/** The stamp is the number of the operation in as many digits as core gives it. */
function insertRecords({ records }: Names, scope: string): string {
  return `
    INSERT INTO ${records} AS r (${recordNames})
    SELECT ${scope}, i.key, i.value, moved.revision, lpad(moved.operation_count::text, ${stampDigits}, '0')`;
}
