import type { Address } from "@waymark/adapter-testkit";
import { Cluster, Redis, type RedisOptions } from "ioredis";
import { RedisAdapter } from "../src/index.js";

/** A server to run the same tests on. */
export interface TestServer {
  readonly name: string;
  connect(): Redis | Cluster;
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set; \`npm test\` starts the servers and sets it`);
  return value;
}

export const single = {
  name: "Redis",
  connect: () => new Redis(variable("WAYMARK_TEST_REDIS")),
} as const satisfies TestServer;

/** Where the single server listens. */
export function addressOf(): Address {
  const { hostname, port } = new URL(variable("WAYMARK_TEST_REDIS"));
  return { host: hostname, port: Number(port === "" ? 6379 : port) };
}

/** A client of whatever listens there, whose connection may break. */
export function clientAt({ host, port }: Address, options: RedisOptions = {}): Redis {
  return new Redis(port, host, options).on("error", () => {});
}

export const cluster = {
  name: "Redis Cluster",
  connect: () => {
    const addresses = variable("WAYMARK_TEST_REDIS_CLUSTER").split(",");
    return new Cluster(addresses.map((address) => `redis://${address}`));
  },
} as const satisfies TestServer;

export const servers: readonly TestServer[] = [single, cluster];

let prefixes = 0;

/** A prefix that no other test uses. */
export function newPrefix(): string {
  return `test-${process.pid}-${Date.now()}-${++prefixes}:`;
}

/** An adapter, its client, and what removes its keys and closes the client. */
export function open(server: TestServer, keyPrefix = newPrefix()) {
  const redis = server.connect();
  const close = async () => {
    await removeKeys(redis, keyPrefix);
    redis.disconnect();
  };
  return { redis, keyPrefix, adapter: new RedisAdapter({ redis, keyPrefix }), close };
}

export async function removeKeys(redis: Redis | Cluster, keyPrefix: string): Promise<void> {
  for (const node of redis instanceof Cluster ? redis.nodes("master") : [redis]) {
    for await (const keys of node.scanStream({ match: `${keyPrefix}*`, count: 1000 })) {
      await Promise.all(keys.map((key: string) => node.unlink(key)));
    }
  }
}
