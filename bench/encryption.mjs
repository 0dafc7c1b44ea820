// What encryption costs: the same turns, and the same loads, with `withEncryption` and without, alternating in one run on one
// PostgreSQL server; and core's own time per turn, in front of a store that answers at once.
import { PersistenceManager } from "@waymark/core";
import { PostgreSQLAdapter } from "@waymark/adapter-postgres";
import { withEncryption } from "@waymark/core/wrap";
import { Pool } from "pg";
import { startServer } from "../scripts/servers.mjs";
import definition from "../scripts/servers/postgres.mjs";
import { nothingStore, turnTimes } from "./core.mjs";
import { byManager } from "./session.mjs";
import { compare, each, row } from "./stats.mjs";

const keys = [{ id: "k1", key: new Uint8Array(32).fill(1) }];

async function measure(plain, encrypted) {
  await compare(byManager(plain, "warm"), byManager(encrypted, "warm"), { pairs: 600 });
  const turn = compare(byManager(plain, "s"), byManager(encrypted, "s"), { pairs: 200 });
  row("a turn on PostgreSQL, encrypted against not", await turn);
  const ids = Array.from({ length: 32 }, (_, index) => `c${index}`);
  const [before, after] = [plain, encrypted].map((manager) =>
    each(
      ids.map((id) => byManager(manager, id)),
      20,
    ),
  );
  await compare(before, after, { pairs: 5, rounds: 1 });
  row("32 sessions at once", await compare(before, after, { pairs: 40, rounds: 1 }));
  const resume = (manager) => async () => {
    const { messages } = await manager.open("s", { last: 50 });
    if (messages.length !== 50) throw new Error("not 50");
  };
  await compare(resume(plain), resume(encrypted), { pairs: 50 });
  const load = compare(resume(plain), resume(encrypted), { pairs: 200 });
  row("state and the last 50 messages", await load);
}

export async function benchEncryption() {
  row(
    "core's own time per turn, encrypted",
    await turnTimes(withEncryption(nothingStore(), { keys })),
    undefined,
    " µs",
  );
  const server = await startServer(definition);
  if (typeof server === "string") {
    console.log(`not measured: PostgreSQL. ${server}`);
    return true;
  }
  const pools = [1, 2].map(() => new Pool({ connectionString: server.url, max: 4 }));
  try {
    const [plain, encrypted] = pools.map(
      (client, index) => new PostgreSQLAdapter({ client, schema: index === 0 ? "plain" : "encrypted" }),
    );
    await measure(
      new PersistenceManager({ adapter: plain }),
      new PersistenceManager({ adapter: withEncryption(encrypted, { keys }) }),
    );
  } finally {
    for (const pool of pools) {
      await pool.query("DROP SCHEMA IF EXISTS plain, encrypted CASCADE");
      await pool.end();
    }
    await server.stop();
  }
  return true;
}
