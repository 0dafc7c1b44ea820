import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { testAdapter } from "@waymark/adapter-testkit";
import { RedisAdapter } from "../src/index.js";
import { createKeys } from "../src/keys.js";
import { newPrefix, removeKeys, servers } from "./servers.js";

for (const server of servers) {
  testAdapter(
    {
      name: server.name,
      expects: { durability: "commit", turns: true, records: true, search: false },
      processEntry: new URL("./process-entry.mjs", import.meta.url),
      async open() {
        const keyPrefix = newPrefix();
        const keys = createKeys(keyPrefix);
        const redis = server.connect();
        const clients = [redis];
        return {
          connect() {
            const client = server.connect();
            clients.push(client);
            return new RedisAdapter({ redis: client, keyPrefix });
          },
          async remove() {
            await removeKeys(redis, keyPrefix);
            for (const client of clients) client.disconnect();
          },
          address: { server: server.name, keyPrefix },
          raw: {
            session: async (id) => (await redis.exists(keys.session(id))) === 1,
            messages: (id) => redis.hlen(keys.messages(id)),
          },
        };
      },
    },
    { describe, it, beforeAll, afterAll },
  );
}
