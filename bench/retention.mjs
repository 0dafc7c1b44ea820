// What housekeeping costs with many sessions: `prune` of expired ones in bounded calls, and a page of a user's sessions far behind
// the first. Rows per second and the longest statement are told as they are; the pages are compared in one run.
import { PersistenceManager } from "@waymark/core";
import { PostgreSQLAdapter } from "@waymark/adapter-postgres";
import { RedisAdapter } from "@waymark/adapter-redis";
import { Redis } from "ioredis";
import { Pool } from "pg";
import { startServer } from "../scripts/servers.mjs";
import postgres from "../scripts/servers/postgres.mjs";
import redis from "../scripts/servers/redis.mjs";
import { exchange } from "./session.mjs";
import { compare, row } from "./stats.mjs";

const expired = 100_000;
const listed = 50_000;

/** The same object, whose named methods tell how long each call took. */
function timed(client, names, tell) {
  return new Proxy(client, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (!names.includes(name)) return value.bind(target);
      return async (...args) => {
        const begin = performance.now();
        try {
          return await value.apply(target, args);
        } finally {
          tell(performance.now() - begin);
        }
      };
    },
  });
}

async function fill(manager, count, idOf) {
  for (let made = 0; made < count; made += 100) {
    const ids = Array.from({ length: Math.min(100, count - made) }, (_, index) => idOf(made + index));
    await Promise.all(
      ids.map((id) =>
        manager.saveTurn({
          session: { id, data: { n: 1 }, dataByRoute: {}, routeHistory: [] },
          messages: exchange,
        }),
      ),
    );
  }
}

async function measure(name, makeAdapter, settle) {
  const statement = { longest: 0, count: 0, isCounted: false };
  const adapter = makeAdapter((ms) => {
    if (!statement.isCounted) return;
    statement.longest = Math.max(statement.longest, ms);
    statement.count++;
  });
  const lives = new PersistenceManager({ adapter, userId: "many" });
  await fill(lives, listed, (n) => `listed-${n}`);
  const ends = new PersistenceManager({ adapter, expireAfterMs: 1 });
  await fill(ends, expired, (n) => `expired-${n}`);
  await settle();

  const page = (cursor) =>
    lives.findSessionsByUserId("many", { limit: 100, ...(cursor === null ? {} : { cursor }) });
  let cursor = null;
  for (let n = 1; n < 500; n++) cursor = (await page(cursor)).next;
  const pages = await compare(
    () => page(null),
    () => page(cursor),
    { pairs: 100 },
  );
  const kept = row(`${name}: page 500 of a user's ${listed} sessions against page 1`, pages, 1.1);

  statement.isCounted = true;
  const begin = performance.now();
  const done = { deleted: 0, calls: 0, longestCall: 0 };
  for (let next; next !== null; done.calls++) {
    const callBegin = performance.now();
    const report = await ends.prune({ limit: 1000, ...(next === undefined ? {} : { cursor: next }) });
    done.longestCall = Math.max(done.longestCall, performance.now() - callBegin);
    done.deleted += report.deleted;
    next = report.next;
  }
  const seconds = (performance.now() - begin) / 1000;
  if (done.deleted !== expired) throw new Error(`${done.deleted} of ${expired} were removed`);
  console.log(
    `       ${name}: prune of ${expired} expired sessions with two messages each, beside ${listed} others: ` +
      `${Math.round(expired / seconds)} a second, in ${done.calls} calls of at most ${Math.round(done.longestCall)} ms; ` +
      `${statement.count} statements, the longest ${statement.longest.toFixed(1)} ms`,
  );
  return kept;
}

async function withServer(definition, work) {
  const server = await startServer(definition);
  if (typeof server === "string") {
    console.log(`MISSED retention: ${server}`);
    return false;
  }
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}

export async function benchRetention() {
  const kept = await withServer(postgres, async ({ url }) => {
    const pool = new Pool({ connectionString: url });
    try {
      const adapter = (tell) => new PostgreSQLAdapter({ client: timed(pool, ["query"], tell) });
      // As the server does by itself within a minute or so.
      return await measure("PostgreSQL", adapter, () => pool.query("VACUUM ANALYZE"));
    } finally {
      await pool.end();
    }
  });
  const alsoKept = await withServer(redis, async ({ url }) => {
    const client = new Redis(url);
    try {
      return await measure(
        "Redis",
        (tell) => new RedisAdapter({ redis: timed(client, ["evalsha"], tell) }),
        async () => {},
      );
    } finally {
      client.disconnect();
    }
  });
  return kept && alsoKept;
}
