// SQLite against the least that a turn needs there: one transaction by hand, of statements prepared once, that compares a
// version, sets the state, adds two messages and keeps the operation's id. Both alternate in one run on better-sqlite3, each
// with a file of its own, in WAL mode and with `synchronous=FULL`: a turn waits for the disk.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PersistenceManager } from "@waymark/core";
import { SQLiteAdapter } from "@waymark/adapter-sqlite";
import { startServer } from "../scripts/servers.mjs";
import definition from "../scripts/servers/sqlite.mjs";
import { bookingSession, byManager, exchange } from "./session.mjs";
import { compare, each, row, warmUp } from "./stats.mjs";

const tables = `
CREATE TABLE hand_sessions (id TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, user_id TEXT, status TEXT NOT NULL,
  last INTEGER NOT NULL, operation TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, updated_day INTEGER NOT NULL,
  state TEXT NOT NULL);
CREATE TABLE hand_messages (session_id TEXT NOT NULL, sequence INTEGER NOT NULL, role TEXT NOT NULL, content TEXT NOT NULL,
  created_at INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (session_id, sequence));
CREATE INDEX hand_created ON hand_sessions (created_at DESC, id);
CREATE INDEX hand_user ON hand_sessions (user_id, created_at DESC, id);
CREATE INDEX hand_updated ON hand_sessions (updated_day);`;

/** Turns and resumes by hand. */
function handOn(db) {
  db.exec(tables);
  const begin = db.prepare("BEGIN IMMEDIATE");
  const commit = db.prepare("COMMIT");
  const create = db.prepare(
    "INSERT INTO hand_sessions VALUES (?, 0, NULL, 'active', 0, NULL, 0, 0, 0, '{}')",
  );
  const move = db.prepare(
    "UPDATE hand_sessions SET version = version + 1, state = ?, last = last + 2, operation = ?, updated_at = ? WHERE id = ? AND version = ?",
  );
  const add = db.prepare("INSERT INTO hand_messages VALUES (?, ?, ?, ?, ?, '{}')");
  const read = db.prepare("SELECT state, version, last FROM hand_sessions WHERE id = ?");
  const list = db.prepare(
    "SELECT sequence, role, content, created_at, body FROM hand_messages WHERE session_id = ? AND sequence > ? ORDER BY sequence",
  );

  function turnOf(id) {
    const session = bookingSession(id);
    create.run(id);
    let version = 0;
    let last = 0;
    return async () => {
      session.data.count0++;
      const now = Date.now();
      begin.run();
      const { changes } = move.run(JSON.stringify(session), crypto.randomUUID(), now, id, version);
      if (changes !== 1) throw new Error("conflict");
      for (const { role, content } of exchange) add.run(id, ++last, role, content, now);
      commit.run();
      version++;
    };
  }

  async function resume(id) {
    begin.run();
    const { state, last } = read.get(id);
    const messages = list.all(id, last - 50);
    commit.run();
    JSON.parse(state);
    if (messages.length !== 50) throw new Error("not 50");
  }

  return { turnOf, resume };
}

async function measure(hand, manager) {
  await warmUp(hand.turnOf, (id) => byManager(manager, id));
  const raw = hand.turnOf("s");
  const turn = byManager(manager, "s");
  await compare(raw, turn, { pairs: 2 });
  const early = await compare(raw, turn, { pairs: 300 });
  let kept = row("SQLite against one transaction by hand, from turn 10", early, 1.3);
  const ids = Array.from({ length: 32 }, (_, index) => `c${index}`);
  const raws = each(ids.map(hand.turnOf), 20);
  const turns = each(
    ids.map((id) => byManager(manager, id)),
    20,
  );
  await compare(raws, turns, { pairs: 5, rounds: 1 });
  const together = await compare(raws, turns, { pairs: 40, rounds: 1 });
  kept = row("32 sessions at once", together, 1 / 2.5) && kept;
  for (let done = 1510; done < 10_000; done++) {
    await raw();
    await turn();
  }
  kept = row("one session from turn 10,000", await compare(raw, turn, { pairs: 300 }), 1.3) && kept;
  const late = await compare(raws, turns, { pairs: 20, rounds: 1 });
  kept = row("32 sessions at once, beside one of 10,000 turns", late, 1 / 2.5) && kept;
  const resume = async () => {
    const { messages } = await manager.open("s", { last: 50 });
    if (messages.length !== 50) throw new Error("not 50");
  };
  await compare(() => hand.resume("s"), resume, { pairs: 50 });
  row("state and the last 50 messages", await compare(() => hand.resume("s"), resume, { pairs: 200 }));
  return kept;
}

export async function benchSqlite() {
  const found = await startServer(definition);
  if (typeof found === "string") {
    console.log(`MISSED sqlite: ${found}`);
    return false;
  }
  const { default: Database } = await import("better-sqlite3");
  const folder = mkdtempSync(join(tmpdir(), "waymark-bench-"));
  const open = (name) => {
    const db = new Database(join(folder, name));
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = FULL");
    return db;
  };
  const dbs = [open("hand.db"), open("waymark.db")];
  const manager = new PersistenceManager({ adapter: new SQLiteAdapter({ db: dbs[1] }) });
  try {
    return await measure(handOn(dbs[0]), manager);
  } finally {
    await manager.close();
    for (const db of dbs) db.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
