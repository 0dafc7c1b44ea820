import {
  type Applied,
  type Commit,
  type Outcome,
  type SessionRow,
  type Turns,
  applyCommit,
  checkId,
  historyLog,
  isWaymarkError,
} from "@waymark/core/adapter";
import { type Database, type Doing, prepared } from "./client.js";
import { canMove, createMoves } from "./move.js";
import { arrayOf, decodeEntry, decodeRow, entryExpressions, rowJson } from "./row.js";
import { scopeOf } from "./records.js";
import type { Names } from "./schema.js";
import type { Parts, Rows } from "./sessions.js";

/** Tries of a commit that others were faster than, before the caller is told that the session is busy. */
const triesAlone = 5;

/**
 * Each turn is one statement where it is plainly right, and the statement decides that under the row's lock. What it did not
 * apply is looked at again in another statement, since one that waited for a lock still sees what it saw before.
 */
export function createTurns(db: Database, names: Names, rows: Rows, groups: boolean): Turns {
  const moves = createMoves(db, names);
  const { sessions, messages, records } = names;
  const load = prepared(`WITH s AS MATERIALIZED (SELECT * FROM ${sessions} WHERE id = $1)
    SELECT NULL::bigint, NULL, NULL, NULL, NULL::float8, ${rowJson("s")} FROM s
    UNION ALL (
      SELECT m.* FROM s CROSS JOIN LATERAL (
        SELECT ${entryExpressions("m")} FROM ${messages} m
        WHERE m.session_id = s.id AND m.log = s.life
          AND m.sequence BETWEEN greatest(s.first_sequence, s.last_sequence - $2::bigint + 1) AND s.last_sequence
        ORDER BY m.sequence LIMIT $2
      ) m
    )`);

  // Whoever has locked a row is writing it, and has then another revision or the lock for longer than anybody should wait.
  const remove = prepared(`WITH held AS (
    SELECT s.id, s.life FROM ${sessions} s JOIN unnest($1::text[], $2::text[]) AS seen (id, revision)
      ON s.id = seen.id AND s.revision = seen.revision
    ORDER BY s.id FOR UPDATE OF s SKIP LOCKED
  ), gone AS (
    DELETE FROM ${sessions} s USING held WHERE s.id = held.id RETURNING s.id
  ), entries AS (
    DELETE FROM ${messages} m USING held
    WHERE m.session_id = held.id AND m.log IN (held.life, held.life || '${historyLog("")}')
  ), kept AS (
    DELETE FROM ${records} r USING held WHERE r.scope = ${scopeOf("held")}
  )
  SELECT id FROM gone`);

  async function create(commits: readonly Commit[], outcomes: Map<Commit, Outcome>): Promise<void> {
    const made = commits.flatMap((commit) => {
      const applied = applyCommit(null, commit);
      return applied.write ? [{ commit, ...applied }] : [];
    });
    if (made.length === 0) return;
    const ids = await rows.insert(
      made.map(({ row }) => row),
      {
        entries: made.flatMap(({ entries }) => entries),
        records: made.flatMap((applied) => partsOf(applied).records),
      },
      doing(commits),
    );
    for (const { commit, outcome } of made) if (ids.has(commit.id)) outcomes.set(commit, outcome);
  }

  /** `refused`: gets the commits of a statement that has failed. */
  async function move(
    commits: readonly Commit[],
    outcomes: Map<Commit, Outcome>,
    refused: Set<Commit>,
  ): Promise<void> {
    if (commits.length === 0) return;
    const [only] = commits;
    const isAlone = only !== undefined && commits.length === 1;
    const moving = isAlone ? moves.one(only).then((one) => [one]) : moves.many(commits);
    const moved = await moving.catch(unlessKeyTaken);
    commits.forEach((commit, index) => {
      const outcome = moved?.[index];
      if (outcome != null) outcomes.set(commit, outcome);
      if (moved === null) refused.add(commit);
    });
  }

  /** A commit that was not applied, against the row as it is now. Undefined: somebody was faster once more. */
  async function tryAgain(
    commit: Commit,
    row: SessionRow | null,
    waits: boolean,
  ): Promise<Outcome | undefined> {
    const applied = applyCommit(row, commit);
    if (!applied.write) return applied.outcome;
    if (row?.dirty === true) return { status: "busy" };
    const about = doing([commit]);
    const write = waits ? rows.replace : rows.replaceFree;
    const isWritten =
      row === null
        ? (await rows.insert([applied.row], partsOf(applied), about)).size > 0
        : await write(applied.row, partsOf(applied), row.revision, about);
    return isWritten ? applied.outcome : undefined;
  }

  async function settle(
    commits: readonly Commit[],
    outcomes: Map<Commit, Outcome>,
    refused: ReadonlySet<Commit>,
  ): Promise<void> {
    const ids = commits.map(({ id }) => id);
    const now = commits.length === 0 ? new Map() : await rows.read(ids, doing(commits));
    for (const commit of commits) {
      // Whoever waited for a lock would keep all the others waiting. A statement that has failed may hold its own for a moment
      // after its error has come.
      const outcome = await alone(() => tryAgain(commit, now.get(commit.id) ?? null, refused.has(commit)));
      outcomes.set(commit, outcome ?? { status: "busy" });
    }
  }

  /** What has an answer by now keeps it: an error is then that of each commit which it concerns. */
  async function orEach(
    commits: readonly Commit[],
    work: (commits: readonly Commit[]) => Promise<void>,
    outcomes: Map<Commit, Outcome>,
  ): Promise<void> {
    if (outcomes.size === 0) return work(commits);
    try {
      await work(commits);
    } catch (error) {
      for (const commit of unanswered(commits, outcomes)) {
        if (isWaymarkError(error) && error.retryable) {
          outcomes.set(commit, { status: "failed", error });
          continue;
        }
        const failed = await alone(() => work([commit]).then(() => undefined));
        if (failed !== undefined) outcomes.set(commit, failed);
      }
    }
  }

  async function commitMany(commits: readonly Commit[]): Promise<Outcome[]> {
    const outcomes = new Map<Commit, Outcome>();
    const ids = new Set<string>();
    for (const commit of commits) {
      // One statement writes a row once: the second commit of a session has to come again.
      const refusal = refusalOf(commit) ?? (ids.has(commit.id) ? ({ status: "busy" } as const) : null);
      if (refusal !== null) outcomes.set(commit, refusal);
      ids.add(commit.id);
    }
    const valid = unanswered(commits, outcomes);
    await create(valid.filter(isCreate), outcomes);
    const refused = new Set<Commit>();
    await orEach(valid.filter(canMove), (some) => move(some, outcomes, refused), outcomes);
    await orEach(unanswered(valid, outcomes), (some) => settle(some, outcomes, refused), outcomes);
    return commits.map((commit) => outcomes.get(commit) ?? { status: "busy" });
  }

  async function commitOne(commit: Commit): Promise<Outcome> {
    const refusal = refusalOf(commit);
    if (refusal !== null) return refusal;
    if (isCreate(commit)) {
      const outcomes = new Map<Commit, Outcome>();
      await create([commit], outcomes);
      const outcome = outcomes.get(commit);
      if (outcome !== undefined) return outcome;
    } else if (canMove(commit)) {
      const moved = await moves.one(commit).catch(unlessKeyTaken);
      if (moved !== null) return moved;
    }
    for (let retry = 0; retry < triesAlone; retry++) {
      const now = await rows.read([commit.id], doing([commit]));
      const outcome = await alone(() => tryAgain(commit, now.get(commit.id) ?? null, true));
      if (outcome !== undefined) return outcome;
    }
    return { status: "busy" };
  }

  return {
    groups,

    async commit(commits) {
      const [only] = commits;
      return only !== undefined && commits.length === 1 ? [await commitOne(only)] : commitMany(commits);
    },

    async load(id, { last }) {
      checkId(id, "load");
      const found = await db.run(load, [id, last], { operation: "load", sessionId: id });
      const head = found.find(([sequence]) => sequence === null);
      if (head === undefined) return null;
      const row = decodeRow(head[5] ?? "");
      const entries = found
        .filter(([sequence]) => sequence !== null)
        .map((columns) => decodeEntry(id, row.life, columns))
        .toSorted((a, b) => a.sequence - b.sequence);
      return { row, entries };
    },

    async remove(seen) {
      const ids = seen.map(({ id }) => id);
      for (const id of ids) checkId(id, "remove");
      const values = [ids, seen.map(({ revision }) => revision)].map((texts) => arrayOf(texts, "text"));
      const gone = await db.run(remove, values, { operation: "remove", sessionId: ids[0] });
      const removed = new Set(gone.map(([id]) => id));
      return ids.map((id) => removed.has(id));
    },
  };
}

function partsOf({ row, entries, records }: Applied & { readonly write: true }): Parts {
  return { entries, records: records.map((record) => ({ ...record, sessionId: row.id })) };
}

/**
 * Messages whose key is taken, which a session's history does not explain, are looked at again: the common case then needs no
 * care for them, which writes to the log of the server too.
 */
function unlessKeyTaken(error: unknown): null {
  const cause = isWaymarkError(error) ? error.cause : undefined;
  if (typeof cause === "object" && cause !== null && "code" in cause && cause.code === "23505") return null;
  throw error;
}

function refusalOf({ id }: Commit): Outcome | null {
  try {
    checkId(id, "commit");
    return null;
  } catch (error) {
    return { status: "failed", error };
  }
}

function isCreate({ expect }: Commit): boolean {
  return expect.kind === "create";
}

function unanswered(commits: readonly Commit[], outcomes: ReadonlyMap<Commit, Outcome>): Commit[] {
  return commits.filter((commit) => !outcomes.has(commit));
}

function doing(commits: readonly Commit[]): Doing {
  return { operation: "commit", sessionId: commits.length === 1 ? commits[0]?.id : undefined };
}

async function alone(work: () => Promise<Outcome | undefined>): Promise<Outcome | undefined> {
  try {
    return await work();
  } catch (error) {
    return { status: "failed", error };
  }
}
