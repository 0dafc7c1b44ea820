// What full text costs: a turn with the index for searches against one without, in one run on the same store, and how long a
// search takes among 100,000 messages.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PersistenceManager } from "@waymark/core";
import { PostgreSQLAdapter } from "@waymark/adapter-postgres";
import { SQLiteAdapter } from "@waymark/adapter-sqlite";
import { Pool } from "pg";
import { startServer } from "../scripts/servers.mjs";
import postgres from "../scripts/servers/postgres.mjs";
import sqlite from "../scripts/servers/sqlite.mjs";
import { bookingSession } from "./session.mjs";
import { compare, each, median, row } from "./stats.mjs";

const vocabulary = Array.from({ length: 5000 }, (_, n) => n.toString(36).padStart(5, "wxyz"));

/** Words of which some are said often and most are said rarely, as in a language. */
function sentence(bytes) {
  let text = "";
  while (text.length < bytes) text += ` ${vocabulary[Math.floor(vocabulary.length * Math.random() ** 3)]}`;
  return text.slice(1, bytes + 1);
}

function turnsOf(manager, id) {
  const session = bookingSession(id);
  return async () => {
    session.data.count0++;
    const messages = [
      { role: "user", content: sentence(200) },
      { role: "assistant", content: sentence(600) },
    ];
    await manager.saveTurn({ session, messages });
  };
}

async function search(what, manager, query) {
  const times = [];
  for (let n = 0; n < 15; n++) {
    const begin = performance.now();
    const found = await manager.search({ ...query, limit: 20 });
    if (found.length === 0) throw new Error("nothing was found");
    times.push(performance.now() - begin);
  }
  row(`${what}`, median(times), undefined, " ms");
}

async function measure(name, without, searched) {
  await compare(turnsOf(without, "warm"), turnsOf(searched, "warm"), { pairs: 200 });
  const [plain, indexed] = [turnsOf(without, "s"), turnsOf(searched, "s")];
  row(`${name}: a turn with the index against one without`, await compare(plain, indexed, { pairs: 300 }));
  const ids = Array.from({ length: 32 }, (_, index) => `c${index}`);
  const [plains, indexeds] = [without, searched].map((manager) =>
    each(
      ids.map((id) => turnsOf(manager, id)),
      10,
    ),
  );
  row(`${name}: 32 sessions at once`, await compare(plains, indexeds, { pairs: 30, rounds: 1 }));
  const [ends] = [
    each(
      ids.map((id) => turnsOf(searched, `f${id}`)),
      1500,
    ),
  ];
  await ends();
  row(`${name}: a turn beside 100,000 messages`, await compare(plain, indexed, { pairs: 300 }));
  await search(`${name}: a word of one message in 1,000`, searched, { text: vocabulary[2500] });
  await search(`${name}: two such words`, searched, { text: `${vocabulary[100]} ${vocabulary[2500]}` });
  await search(`${name}: a word of most messages`, searched, { text: vocabulary[0] });
  await search(`${name}: such a word in one session`, searched, { text: vocabulary[0], sessionId: "fc1" });
}

export async function benchSearch() {
  const server = await startServer(postgres);
  if (typeof server === "string") {
    console.log(`MISSED search: ${server}`);
    return false;
  }
  const client = new Pool({ connectionString: server.url, max: 10 });
  const found = await startServer(sqlite);
  const folder = mkdtempSync(join(tmpdir(), "waymark-bench-"));
  const dbs = [];
  try {
    const on = (schema, wanted) =>
      new PersistenceManager({ adapter: new PostgreSQLAdapter({ client, schema, search: wanted }) });
    await measure("PostgreSQL", on("without", false), on("searched", true));
    if (typeof found === "string") {
      console.log(`MISSED search: ${found}`);
      return false;
    }
    const { default: Database } = await import("better-sqlite3");
    const open = (name, wanted) => {
      const db = new Database(join(folder, name));
      dbs.push(db);
      db.pragma("journal_mode = WAL");
      db.pragma("synchronous = FULL");
      return new PersistenceManager({ adapter: new SQLiteAdapter({ db, search: wanted }) });
    };
    await measure("SQLite", open("without.db", false), open("searched.db", true));
    return true;
  } finally {
    for (const db of dbs) db.close();
    rmSync(folder, { recursive: true, force: true });
    await client.end();
    await server.stop();
  }
}
