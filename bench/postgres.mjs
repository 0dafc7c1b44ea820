// PostgreSQL against the least that a turn needs there: one prepared statement by hand that compares a version, sets the
// state, adds two messages and keeps the operation's id. Both alternate in one run, on one server, with the same tables'
// indexes, each with a pool of its own.
import { PersistenceManager } from "@waymark/core";
import { PostgreSQLAdapter } from "@waymark/adapter-postgres";
import { Pool } from "pg";
import { startServer } from "../scripts/servers.mjs";
import definition from "../scripts/servers/postgres.mjs";
import { bookingSession, byManager, exchange } from "./session.mjs";
import { compare, each, row, warmUp } from "./stats.mjs";

const tables = `
CREATE TABLE hand_sessions (id text PRIMARY KEY, version bigint NOT NULL, user_id text, status text NOT NULL,
  last bigint NOT NULL, operation text, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
  expires_at timestamptz, dirty boolean NOT NULL DEFAULT false, state jsonb NOT NULL,
  updated_day date GENERATED ALWAYS AS ((updated_at AT TIME ZONE 'UTC')::date) STORED,
  expires_day date GENERATED ALWAYS AS ((expires_at AT TIME ZONE 'UTC')::date) STORED)
  WITH (fillfactor = 70);
CREATE TABLE hand_messages (session_id text NOT NULL, sequence bigint NOT NULL, role text NOT NULL, content text NOT NULL,
  created_at timestamptz NOT NULL, body json NOT NULL, PRIMARY KEY (session_id, sequence));
CREATE INDEX ON hand_sessions (created_at DESC, id);
CREATE INDEX ON hand_sessions (user_id, created_at DESC, id);
CREATE INDEX ON hand_sessions (updated_day);
CREATE INDEX ON hand_sessions (expires_day) WHERE expires_day IS NOT NULL;
CREATE INDEX ON hand_sessions (created_at DESC, id) WHERE status = 'deleting';
CREATE INDEX ON hand_sessions (created_at DESC, id) WHERE dirty;`;

const turnText = `WITH moved AS (
  UPDATE hand_sessions SET version = version + 1, state = $3, last = last + 2, operation = $4, updated_at = $5
  WHERE id = $1 AND version = $2 RETURNING last
), put AS (
  INSERT INTO hand_messages SELECT $1, moved.last - 2 + place, role, content, $5, '{}'
  FROM moved, unnest($6::text[], $7::text[]) WITH ORDINALITY AS e (role, content, place)
) SELECT last FROM moved`;

const resumeText = `SELECT s.state, s.version, s.last, (SELECT json_agg(m ORDER BY m.sequence)
    FROM (SELECT sequence, role, content, created_at, body FROM hand_messages
      WHERE session_id = s.id ORDER BY sequence DESC LIMIT 50) m) AS messages
  FROM hand_sessions s WHERE s.id = $1`;

async function byHand(pool, id) {
  const session = bookingSession(id);
  const text =
    "INSERT INTO hand_sessions VALUES ($1, 0, null, 'active', 0, null, now(), now(), null, false, '{}')";
  await pool.query(text, [id]);
  let version = 0;
  return async () => {
    session.data.count0++;
    const said = [exchange.map(({ role }) => role), exchange.map(({ content }) => content)];
    const values = [id, version, JSON.stringify(session), crypto.randomUUID(), new Date(), ...said];
    const { rowCount } = await pool.query({ name: "turn", text: turnText, values });
    if (rowCount !== 1) throw new Error("conflict");
    version++;
  };
}

async function measure(pools, manager) {
  await warmUp(
    (id) => byHand(pools[0], id),
    (id) => byManager(manager, id),
  );
  const hand = await byHand(pools[0], "s");
  const turn = byManager(manager, "s");
  await compare(hand, turn, { pairs: 2 });
  let kept = row(
    "PostgreSQL against one statement by hand, from turn 10",
    await compare(hand, turn, { pairs: 200 }),
    1.2,
  );
  const ids = Array.from({ length: 32 }, (_, index) => `c${index}`);
  const hands = each(await Promise.all(ids.map((id) => byHand(pools[0], id))), 20);
  const turns = each(
    ids.map((id) => byManager(manager, id)),
    20,
  );
  await compare(hands, turns, { pairs: 5, rounds: 1 });
  kept = row("32 sessions at once", await compare(hands, turns, { pairs: 40, rounds: 1 }), 1 / 1.8) && kept;
  for (let done = 1010; done < 10_000; done++) await Promise.all([hand(), turn()]);
  kept = row("one session from turn 10,000", await compare(hand, turn, { pairs: 200 }), 1.2) && kept;
  const resumeHand = async () => {
    const { rows } = await pools[0].query({ name: "resume", text: resumeText, values: ["s"] });
    if (rows[0].messages.length !== 50) throw new Error("not 50");
  };
  const resume = async () => {
    const { messages } = await manager.open("s", { last: 50 });
    if (messages.length !== 50) throw new Error("not 50");
  };
  await compare(resumeHand, resume, { pairs: 50 });
  return (
    row("state and the last 50 messages", await compare(resumeHand, resume, { pairs: 200 }), 1.2) && kept
  );
}

export async function benchPostgres() {
  const server = await startServer(definition);
  if (typeof server === "string") {
    console.log(`MISSED postgres: ${server}`);
    return false;
  }
  const pools = [0, 1].map(() => new Pool({ connectionString: server.url, max: 10 }));
  const manager = new PersistenceManager({ adapter: new PostgreSQLAdapter({ client: pools[1] }) });
  try {
    await pools[0].query(tables);
    return await measure(pools, manager);
  } finally {
    await manager.close();
    for (const pool of pools) await pool.end();
    await server.stop();
  }
}
