import {
  type Search,
  type SearchHit,
  checkSearch,
  encodeSearchCursor,
  searchTerms,
} from "@waymark/core/adapter";
import type { Database, TextRow, Value } from "./client.js";
import { toColumn } from "./row.js";
import { type Names, type SearchIndex, literal, searchedLength, withoutSigns } from "./schema.js";

/** PostgreSQL keeps no times before 4713 BC; a bound that is earlier bounds nothing. */
const earliest = Date.UTC(-4712, 0, 1);

/** How much of a message is shown before what was found, and in all, in characters. */
const snippet = { before: 80, length: 240 };

/** Of so many words, the longest, a place is looked for in each message that is shown. */
const wordsPlaced = 8;

/** Searches by the column and the index that `initialize` makes where search is wanted. */
export function createSearch(db: Database, { sessions, messages }: Names, index: SearchIndex): Search {
  const config = `${literal(index.configuration)}::regconfig`;
  const wanted = `websearch_to_tsquery(${config}, $1)`;
  // The longest word that stands in the message as it is; where stems are all that is known of it, the message's beginning.
  const place = `coalesce((SELECT strpos(l.content, word) FROM (
        SELECT word FROM unnest(tsvector_to_array(to_tsvector(${config}, $2))) AS word
        ORDER BY length(word) DESC, word LIMIT ${wordsPlaced}
      ) AS longest WHERE strpos(l.content, word) > 0 ORDER BY length(word) DESC, word LIMIT 1), 1)`;

  return {
    async query(query) {
      const behind = checkSearch(query);
      const { text, userId, sessionId, from, to, expiresAfter, limit } = query;
      const terms = searchTerms(text).map((term) => ({ ...term, text: withoutSigns(term.text) }));
      if (terms.length === 0) return { items: [], next: null };
      // What stands in quotes is no operator, and a text of operators alone is one that PostgreSQL may refuse.
      const asked = terms.map((term) => `${term.isExcluded ? "-" : ""}"${term.text}"`).join(" ");
      const shown = terms.flatMap((term) => (term.isExcluded ? [] : [term.text])).join(" ");
      const values: Value[] = [asked, shown];
      const parameter = (value: Value, type: string) => `$${values.push(value)}::${type}`;
      const time = (at: number) => toColumn("_at", parameter(Math.max(at, earliest), "float8"));
      const where = [
        `m.${index.column} @@ ${wanted}`,
        // What only says what must not be there would have to look at all messages.
        `querytree(${wanted}) NOT IN ('', 'T')`,
        "s.status <> 'deleting'",
        "m.sequence BETWEEN s.first_sequence AND s.last_sequence",
        visible,
      ];
      if (userId !== undefined) where.push(`s.user_id = ${parameter(userId, "text")}`);
      if (sessionId !== undefined) where.push(`m.session_id = ${parameter(sessionId, "text")}`);
      if (from !== undefined) where.push(`m.created_at >= ${time(from)}`);
      if (to !== undefined) where.push(`m.created_at <= ${time(to)}`);
      if (expiresAfter !== undefined)
        where.push(`(s.expires_at IS NULL OR s.expires_at > ${time(expiresAfter)})`);
      if (behind !== null) {
        const at = time(behind.createdAt);
        const id = parameter(behind.sessionId, "text");
        const sequence = parameter(behind.sequence, "bigint");
        where.push(`m.created_at <= ${at} AND (m.created_at < ${at} OR m.session_id > ${id}
          OR (m.session_id = ${id} AND m.sequence < ${sequence}))`);
      }
      const order = (row: string) => `${row}.created_at DESC, ${row}.session_id, ${row}.sequence DESC`;
      const found = await db.run(
        {
          text: `SELECT h.session_id, h.log, h.sequence, h.role, date_part('epoch', h.created_at),
            substr(h.content, greatest(${place} - ${snippet.before}, 1), ${snippet.length})
          FROM (
            SELECT m.session_id, m.log, m.sequence, m.role, m.created_at, m.content
            FROM ${messages} m JOIN ${sessions} s ON s.id = m.session_id AND s.life = m.log
            WHERE ${where.join("\n AND ")} ORDER BY ${order("m")} LIMIT ${limit + 1}
          ) h CROSS JOIN LATERAL (SELECT lower(left(h.content, ${searchedLength})) AS content OFFSET 0) l
          ORDER BY ${order("h")}`,
        },
        values,
        { operation: "search", sessionId },
      );
      const items = found.slice(0, limit).map(decodeHit);
      const last = items.at(-1);
      return {
        items,
        next: found.length > limit && last !== undefined ? encodeSearchCursor(last) : null,
      };
    },
  };
}

/** Whether a reader of the session sees the message, where a rewind or a branch has named what is left. */
const visible = `(CASE jsonb_typeof(s.state -> 'visible') WHEN 'array' THEN EXISTS (
    SELECT FROM jsonb_array_elements(s.state -> 'visible') AS range
    WHERE CASE jsonb_typeof(range -> 0) WHEN 'number' THEN (range ->> 0)::numeric <= m.sequence END
      AND CASE jsonb_typeof(range -> 1) WHEN 'number' THEN (range ->> 1)::numeric >= m.sequence ELSE true END
  ) ELSE true END)`;

function decodeHit([sessionId, log, sequence, role, createdAt, found]: TextRow): SearchHit {
  return {
    sessionId: sessionId ?? "",
    log: log ?? "",
    sequence: Number(sequence),
    role: role ?? "",
    createdAt: Math.round(Number(createdAt) * 1000),
    snippet: found ?? "",
  };
}
