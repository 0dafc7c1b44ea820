import { spawnSync } from "node:child_process";
import { Redis, type RedisOptions } from "ioredis";
import { type PrivateServer as Server, startPrivate } from "../../../scripts/private.mjs";

/** Tests that kill or fill a server need the program here, and not one that runs in a container. */
export const hasProgram = spawnSync("redis-server", ["--version"]).status === 0;

/** Whether a server has to be here: where it must not be left out, its absence is a failure. */
export const wantsServer = hasProgram || process.env["CI"] === "true";

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
