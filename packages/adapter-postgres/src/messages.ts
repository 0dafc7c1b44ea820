import { type MessageRepository, checkId } from "@waymark/core/adapter";
import { type Database, prepared } from "./client.js";
import { decodeEntry, encodeEntries, entryColumns, entryExpressions, toColumn } from "./row.js";
import type { Names } from "./schema.js";

/** A bound that a caller may leave open, as PostgreSQL can compare it. */
const bound = (sequence: number) => Math.max(-1, Math.min(Math.trunc(sequence), Number.MAX_SAFE_INTEGER));

export function createMessages(db: Database, { messages }: Names): MessageRepository {
  const names = entryColumns.map(([name]) => name).join(", ");
  // In the order of the keys: two processes that deliver the same entries must not wait for each other.
  const insert = prepared(`INSERT INTO ${messages} (${names})
    SELECT ${entryColumns.map(([name]) => toColumn(name, `e.${name}`)).join(", ")}
    FROM unnest(${entryColumns.map(([, type], index) => `$${index + 1}::${type}[]`).join(", ")}) AS e (${names})
    ORDER BY e.session_id, e.log, e.sequence ON CONFLICT DO NOTHING`);
  // Locked in the order of the keys first, for the same reason.
  const replace = prepared(`WITH given AS (
    SELECT ${entryColumns.map(([name]) => `${toColumn(name, `e.${name}`)} AS ${name}`).join(", ")}
    FROM unnest(${entryColumns.map(([, type], index) => `$${index + 1}::${type}[]`).join(", ")}) AS e (${names})
  ), held AS (
    SELECT m.session_id, m.log, m.sequence FROM ${messages} m JOIN given USING (session_id, log, sequence)
    ORDER BY m.session_id, m.log, m.sequence FOR NO KEY UPDATE OF m
  ), written AS (
    UPDATE ${messages} m
    SET ${entryColumns
      .slice(3)
      .map(([name]) => `${name} = given.${name}`)
      .join(", ")}
    FROM held JOIN given USING (session_id, log, sequence)
    WHERE m.session_id = held.session_id AND m.log = held.log AND m.sequence = held.sequence RETURNING 1
  ) SELECT count(*) FROM written`);
  const find = prepared(`SELECT ${entryExpressions("m")} FROM ${messages} m
    WHERE m.session_id = $1 AND m.log = $2 AND m.sequence BETWEEN $3::bigint AND $4::bigint
    ORDER BY m.sequence LIMIT 1000`);
  const remove = prepared(`WITH gone AS (
    DELETE FROM ${messages} WHERE session_id = $1 AND log = $2 AND sequence <= $3::bigint RETURNING 1
  ) SELECT count(*) FROM gone`);

  return {
    async insert(entries) {
      for (const { sessionId } of entries) checkId(sessionId, "insert");
      if (entries.length === 0) return;
      await db.run(insert, encodeEntries(entries), {
        operation: "insert",
        sessionId: entries[0]?.sessionId,
      });
    },

    async findBySessionId(sessionId, { log, from, to }) {
      checkId(sessionId, "findBySessionId");
      const found = await db.run(find, [sessionId, log, bound(Math.ceil(from)), bound(to)], {
        operation: "findBySessionId",
        sessionId,
      });
      return found.map((columns) => decodeEntry(sessionId, log, columns));
    },

    async deleteBySessionId(sessionId, { log, to = Infinity }) {
      checkId(sessionId, "deleteBySessionId");
      const doing = { operation: "deleteBySessionId", sessionId };
      const [counted] = await db.run(remove, [sessionId, log, bound(to)], doing);
      return Number(counted?.[0] ?? 0);
    },

    async replace(entries) {
      for (const { sessionId } of entries) checkId(sessionId, "replace");
      if (entries.length === 0) return 0;
      const doing = { operation: "replace", sessionId: entries[0]?.sessionId };
      const [counted] = await db.run(replace, encodeEntries(entries), doing);
      return Number(counted?.[0] ?? 0);
    },
  };
}
