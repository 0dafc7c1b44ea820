// TypeScript, in a project that has the drivers too: their own clients fit, and a server that is not there is told as such.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { Client as OpenSearch } from "@opensearch-project/opensearch";
import { OpenSearchAdapter } from "@waymark/adapter-opensearch";
import { PostgreSQLAdapter } from "@waymark/adapter-postgres";
import { RedisAdapter } from "@waymark/adapter-redis";
import { Agent, PersistenceManager, createSession, isWaymarkError } from "@waymark/core";
import { scriptedModel } from "@waymark/core/testing";
import { Cluster, Redis } from "ioredis";
import { Client, Pool } from "pg";
import { z } from "zod";

const port = await closedPort();
const pool = new Pool({ host: "127.0.0.1", port });
const client = new Client({ host: "127.0.0.1", port });
const retries = { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null };
const redis = new Redis(port, "127.0.0.1", retries).on("error", () => {});
const cluster = new Cluster([{ host: "127.0.0.1", port }], { lazyConnect: true });
const openSearch = new OpenSearch({ node: `http://127.0.0.1:${port}`, maxRetries: 0 });

for (const adapter of [
  new PostgreSQLAdapter({ client: pool }),
  new RedisAdapter({ redis }),
  new OpenSearchAdapter(openSearch),
]) {
  const persistence = new PersistenceManager({ adapter });
  const failed = await persistence.saveTurn({ session: createSession({ id: "s" }) }).catch((error) => error);
  assert.ok(isWaymarkError(failed), String(failed));
  assert.equal(failed.code, "STORAGE_UNAVAILABLE", adapter.name);
  await persistence.close();
}
assert.equal(new PostgreSQLAdapter({ client }).name, "postgres");
assert.equal(new RedisAdapter({ redis: cluster }).name, "redis");

// What a schema says is what a state has.
const agent = new Agent({
  name: "Bookings",
  provider: scriptedModel(() => ({ message: "Noted.", data: { guests: "4" } })),
  schema: { guests: z.coerce.number().int(), name: z.string() },
  routes: [{ id: "book", steps: [{ id: "who", prompt: "How many?", collect: ["guests"] }] }],
});
const { session } = await agent.session().chat("For 4");
const guests: number | undefined = session.data.guests;
// @ts-expect-error: no text
const text: string | undefined = session.data.guests;
assert.deepEqual([guests, text], [4, 4]);

await Promise.all([pool.end(), openSearch.close()]);
redis.disconnect();
cluster.disconnect();

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
