// TypeScript, in a project that has the packages and nothing else: no types of Node, and none of a driver.
import { MemoryAdapter } from "@waymark/adapter-memory";
import { OpenSearchAdapter, type OpenSearchClient } from "@waymark/adapter-opensearch";
import { PostgreSQLAdapter, type PostgresClient } from "@waymark/adapter-postgres";
import { PrismaAdapter, type PrismaClientLike } from "@waymark/adapter-prisma";
import { RedisAdapter, type RedisClient } from "@waymark/adapter-redis";
import { type Harness, type Runner, testAdapter } from "@waymark/adapter-testkit";
import { Agent, PersistenceManager, type PersistenceAdapter, createSession } from "@waymark/core";
import { checkId, type SessionRow } from "@waymark/core/adapter";
import { FileAdapter, type FileAdapterOptions } from "@waymark/core/file";
import { FileSessionStore } from "@waymark/core/session-store";
import { scriptedModel, testEnvironment } from "@waymark/core/testing";
import {
  type EncryptReport,
  type RetryOptions,
  encryptStore,
  withEncryption,
  withRetry,
  withTenant,
} from "@waymark/core/wrap";

interface Booking {
  name: string;
  when: Date;
}

const adapter = new MemoryAdapter();
const environment = testEnvironment();
const persistence = new PersistenceManager<Booking>({ adapter, environment });
const session = createSession<Booking>({ id: "s", data: { name: "Ada" } });
session.data.when = new Date(7);
// @ts-expect-error: a field has one type
session.data.name = 7;
session.data.name = "Ada";
await persistence.saveTurn({ session, messages: [{ role: "user", content: "Hello" }] });

const agent = new Agent({
  name: "Counter",
  provider: scriptedModel(({ history }) => `I know ${history.length}.`),
  persistence: { adapter },
});
const { message } = await agent.session("s").chat("Again");
const resumed: Partial<Booking> | undefined = (await persistence.loadSessionState("s"))?.data;
if (message !== "I know 2." || resumed?.when?.getTime() !== 7) throw new Error(`${message} ${resumed?.when}`);
const rows: readonly SessionRow[] = (await adapter.sessionRepository.find({}, { limit: 1 })).items;
checkId(rows[0]?.id ?? "", "typed");

const postgres: PostgresClient = { query: refuse };
const prisma: PrismaClientLike = { $transaction: refuse, $queryRawUnsafe: refuse };
const redis: RedisClient = { evalsha: refuse, eval: refuse, info: refuse };
const openSearch: OpenSearchClient = { transport: { request: refuse } };
function refuse(): Promise<never> {
  return Promise.reject(new Error("no server"));
}

const servers: PersistenceAdapter[] = [
  new PostgreSQLAdapter({ client: postgres, tables: { sessions: "conversations" } }),
  new PrismaAdapter({
    prisma,
    tables: { sessions: "Chat" },
    fieldMappings: { sessions: { userId: "user" } },
  }),
  new RedisAdapter({ redis, keyPrefix: "app:" }),
  new OpenSearchAdapter(openSearch, { autoCreateIndices: false }),
];
for (const one of servers) {
  const { reachable } = await new PersistenceManager({ adapter: one }).health();
  if (reachable) throw new Error(`${one.name} is not there`);
}

const keys = [{ id: "2030-01", key: crypto.getRandomValues(new Uint8Array(32)) }];
const encrypted = new PersistenceManager<Booking>({ adapter: withEncryption(new MemoryAdapter(), { keys }) });
await encrypted.saveTurn({ session: createSession<Booking>({ id: "e", data: { name: "Ada" } }) });
const done: EncryptReport = await encryptStore(adapter, { keys });
if ((await encrypted.loadSessionState("e"))?.data.name !== "Ada" || done.rows === 0)
  throw new Error("encryption");

const patience: RetryOptions = { tries: 3, forMs: 1000 };
const tenant: PersistenceAdapter = withTenant(withRetry(adapter, patience), "acme");
const elsewhere = await new PersistenceManager({ adapter: tenant }).loadSessionState("s");
if (elsewhere !== null || tenant.limits.idBytes !== 123) throw new Error("a tenant sees what is not its own");

// What is only described here: files need a folder, and the kit a runner.
export const files = (options: FileAdapterOptions) => [new FileAdapter(options), new FileSessionStore()];
export const kit = (harness: Harness, runner: Runner) => testAdapter(harness, runner);
