import {
  type Search,
  type SearchHit,
  type SearchTerm,
  checkSearch,
  encodeSearchCursor,
  searchTerms,
  snippetOf,
} from "@waymark/core/adapter";
import type { Database } from "./database.js";
import type { Doing } from "./failure.js";
import { textColumns } from "./row.js";
import { type Names, exists, foreign, quote } from "./schema.js";
import type { Value } from "./client.js";

/** How the parts of the index are called, quoted for SQL. */
interface SearchNames {
  /** The words, by FTS5. */
  readonly words: string;
  /** A number for each message: the rowid of the messages table is none that lasts, `VACUUM` may change it. */
  readonly numbers: string;
  /** What FTS5 reads the texts from. */
  readonly texts: string;
  readonly plain: { readonly words: string; readonly numbers: string; readonly texts: string };
}

function searchNamesOf({ plain }: Names): SearchNames {
  const made = {
    words: `${plain.messages}_search`,
    numbers: `${plain.messages}_search_ids`,
    texts: `${plain.messages}_search_texts`,
  };
  return {
    words: `main.${quote(made.words)}`,
    numbers: `main.${quote(made.numbers)}`,
    texts: `main.${quote(made.texts)}`,
    plain: made,
  };
}

/** Whether this SQLite has FTS5. */
export async function canSearch(db: Database, doing: Doing): Promise<boolean> {
  return db.read(doing, () => db.all("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").length > 0);
}

/**
 * Makes the index where it is missing, of all messages that are there, and triggers that keep it right whoever writes. The texts
 * stay in the messages table alone.
 */
export async function prepareSearch(db: Database, names: Names, doing: Doing): Promise<void> {
  const search = searchNamesOf(names);
  const isReady = () => isMade(db, search);
  if (await db.read(doing, isReady)) return;
  await db.write(doing, () => {
    if (isReady()) return;
    for (const text of statements(names, search)) db.prepare(text).run();
  });
}

/** @throws `STORAGE_FAILED` where something else has one of the names. */
function isMade(db: Database, { plain }: SearchNames): boolean {
  const there = Object.values(plain).filter((name) => exists(db, name));
  const [first] = there;
  if (first === undefined) return false;
  if (there.length < Object.keys(plain).length) throw foreign(first);
  return true;
}

const key = ["session_id", "log", "sequence"];

function statements({ plain, messages }: Names, search: SearchNames): string[] {
  const { words, numbers, texts } = search;
  // Within a trigger, a table of another schema could not be named: all are of `main`.
  const [wordsHere, numbersHere] = [quote(search.plain.words), quote(search.plain.numbers)];
  const textsHere = search.plain.texts.replaceAll("'", "''");
  const same = key.map((name) => `${name} = old.${name}`).join(" AND ");
  const forget = `INSERT INTO ${wordsHere} (${wordsHere}, rowid, content)
      SELECT 'delete', id, old.content FROM ${numbersHere} WHERE ${same};`;
  const trigger = (purpose: string, on: string, body: string) =>
    `CREATE TRIGGER main.${quote(`${search.plain.words}_${purpose}`)} AFTER ${on} ON ${quote(plain.messages)} BEGIN ${body} END`;
  return [
    `CREATE TABLE ${numbers} (
      id INTEGER PRIMARY KEY NOT NULL,
      session_id TEXT NOT NULL,
      log TEXT NOT NULL,
      sequence INTEGER NOT NULL,
      UNIQUE (session_id, log, sequence)
    )`,
    `CREATE VIEW ${texts} AS SELECT n.id AS id, m.content AS content
      FROM ${numbersHere} n JOIN ${quote(plain.messages)} m USING (${key.join(", ")})`,
    `CREATE VIRTUAL TABLE ${words} USING fts5 (content, content = '${textsHere}', content_rowid = 'id',
      tokenize = 'unicode61 remove_diacritics 2')`,
    // Words of messages that were removed would otherwise stay in the index until its parts happen to be merged.
    `INSERT INTO ${words} (${wordsHere}, rank) VALUES ('secure-delete', 1)`,
    `INSERT INTO ${numbers} (${key.join(", ")}) SELECT ${key.join(", ")} FROM ${messages}`,
    `INSERT INTO ${words} (${wordsHere}) VALUES ('rebuild')`,
    trigger(
      "insert",
      "INSERT",
      `INSERT INTO ${numbersHere} (${key.join(", ")}) VALUES (${key.map((name) => `new.${name}`).join(", ")});
      INSERT INTO ${wordsHere} (rowid, content) VALUES (last_insert_rowid(), new.content);`,
    ),
    trigger("delete", "DELETE", `${forget} DELETE FROM ${numbersHere} WHERE ${same};`),
    trigger(
      "update",
      "UPDATE OF content",
      `${forget} INSERT INTO ${wordsHere} (rowid, content)
      SELECT id, new.content FROM ${numbersHere} WHERE ${same};`,
    ),
  ];
}

interface FoundColumns {
  readonly session_id: string;
  readonly log: string;
  readonly sequence: number;
  readonly role: string;
  readonly created_at: number;
}

export function createSearch(db: Database, names: Names): Search {
  const { sessions, messages } = names;
  const { words, numbers } = searchNamesOf(names);
  // The `snippet` of FTS5 compares all places of a message with each other: of 10,000 words it makes half a minute, in which
  // the process does nothing else.
  const said = db.prepare<{ content: string }>(
    `SELECT content FROM ${messages} WHERE session_id = ? AND log = ? AND sequence = ?`,
  );

  return {
    async query(query) {
      const behind = checkSearch(query);
      const { text, userId, sessionId, from, to, expiresAfter, limit } = query;
      const terms = searchTerms(text);
      const match = matchOf(terms);
      if (match === null) return { items: [], next: null };
      const where: string[] = [];
      const values: Value[] = [match];
      const add = (condition: string, ...of: readonly Value[]) => {
        where.push(condition);
        values.push(...of);
      };
      if (userId !== undefined) add("s.user_id = ?", userId);
      if (sessionId !== undefined) add("n.session_id = ?", sessionId);
      if (from !== undefined) add("m.created_at >= ?", from);
      if (to !== undefined) add("m.created_at <= ?", to);
      if (expiresAfter !== undefined) add("(s.expires_at IS NULL OR s.expires_at > ?)", expiresAfter);
      if (behind !== null) {
        const { createdAt, sessionId: id, sequence } = behind;
        add("m.created_at <= ?", createdAt);
        add(
          "(m.created_at < ? OR n.session_id > ? OR (n.session_id = ? AND n.sequence < ?))",
          ...[createdAt, id, id, sequence],
        );
      }
      const selected = db.select(["session_id", "log", "sequence", "role", "created_at"], textColumns);
      const sql = `SELECT ${selected} FROM (
        SELECT n.session_id, n.log, n.sequence, m.role, m.created_at
        FROM ${words} (?) w
        JOIN ${numbers} n ON n.id = w.rowid
        JOIN ${sessions} s ON s.id = n.session_id AND s.life = n.log
        JOIN ${messages} m ON m.session_id = n.session_id AND m.log = n.log AND m.sequence = n.sequence
        WHERE s.status <> 'deleting' AND n.sequence BETWEEN s.first_sequence AND s.last_sequence
          AND ${[visible, ...where].join(" AND ")}
        ORDER BY m.created_at DESC, n.session_id, n.sequence DESC LIMIT ?)`;
      return db.read({ operation: "search", sessionId }, () => {
        const found = db.all<FoundColumns>(sql, ...values, limit + 1);
        // One text after the other: each may be large.
        const items = found.slice(0, limit).map((columns) => {
          const { session_id, log, sequence } = columns;
          return hitOf(columns, snippetOf(said.get(session_id, log, sequence)?.content ?? "", terms));
        });
        const last = items.at(-1);
        return { items, next: found.length > limit && last !== undefined ? encodeSearchCursor(last) : null };
      });
    },
  };
}

/** Whether a reader of the session sees the message, where a rewind or a branch has named what is left. */
const visible = `CASE json_type(s.state, '$.visible') WHEN 'array' THEN EXISTS (
    SELECT 1 FROM json_each(s.state, '$.visible') WHERE type = 'array'
      AND json_type(value, '$[0]') IN ('integer', 'real') AND json_extract(value, '$[0]') <= n.sequence
      AND (json_type(value, '$[1]') IS NULL OR json_type(value, '$[1]') NOT IN ('integer', 'real')
        OR json_extract(value, '$[1]') >= n.sequence)
  ) ELSE 1 END`;

/** The text as FTS5 reads it: quoted, so that nothing in it is an operator. Null: it looks for nothing. */
function matchOf(terms: readonly SearchTerm[]): string | null {
  const join = (isExcluded: boolean) =>
    terms.filter((term) => term.isExcluded === isExcluded).map((term) => `"${term.text}"`);
  const [wanted, excluded] = [join(false), join(true)];
  if (wanted.length === 0) return null;
  return excluded.length === 0 ? wanted.join(" ") : `(${wanted.join(" ")}) NOT (${excluded.join(" OR ")})`;
}

function hitOf(
  { session_id: sessionId, log, sequence, role, created_at }: FoundColumns,
  snippet: string,
): SearchHit {
  return { sessionId, log, sequence, role, createdAt: created_at, snippet };
}
