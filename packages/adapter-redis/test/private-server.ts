import { Redis, type RedisOptions } from "ioredis";
import { type PrivateServer as Server, startPrivate } from "../../../scripts/private.mjs";

/** A server of the test's own, which makes every write durable before it answers. */
export interface PrivateServer extends Server {
  client(options?: RedisOptions): Redis;
}

export async function startServer(...settings: string[]): Promise<PrivateServer> {
  const server = await startPrivate("redis", ...settings);
  const clients: Redis[] = [];
  return {
    ...server,
    client(options = {}) {
      const client = new Redis(server.port, server.host, options);
      // A connection that breaks is what some tests are about.
      client.on("error", () => {});
      clients.push(client);
      return client;
    },
    async remove() {
      for (const client of clients) client.disconnect();
      await server.remove();
    },
  };
}
