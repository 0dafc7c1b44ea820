import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { type Address, type Harness, type TestStore, testAdapter } from "@waymark/adapter-testkit";
import type { Cluster, Redis, RedisOptions } from "ioredis";
import { wantsPrivate } from "../../../scripts/private.mjs";
import { RedisAdapter } from "../src/index.js";
import { createKeys } from "../src/keys.js";
import { startServer } from "./private-server.js";
import { addressOf, clientAt, newPrefix, removeKeys, servers, single } from "./servers.js";

/** A client that gives up by itself where nobody answers, and that comes back when somebody does. */
const impatient: RedisOptions = { maxRetriesPerRequest: 2, retryStrategy: () => 20 };

/** @param network where the server listens and its password, where the kit can come between. */
function openStore(
  server: string,
  connect: () => Redis | Cluster,
  network?: { readonly address: Address; readonly password?: string },
): TestStore {
  const keyPrefix = newPrefix();
  const keys = createKeys(keyPrefix);
  const redis = connect();
  const clients = [redis];
  const adapterOn = (client: Redis | Cluster) => {
    clients.push(client);
    return new RedisAdapter({ redis: client, keyPrefix });
  };
  return {
    connect: () => adapterOn(connect()),
    async remove() {
      await removeKeys(redis, keyPrefix);
      for (const client of clients) client.disconnect();
    },
    address: { server, keyPrefix },
    raw: {
      session: async (id) => (await redis.exists(keys.session(id))) === 1,
      messages: (id) => redis.hlen(keys.messages(id)),
    },
    ...(network && {
      network: {
        ...network.address,
        connect: (at) => adapterOn(clientAt(at, { ...impatient, password: network.password })),
        ...(network.password === undefined ? {} : { secrets: [network.password] }),
      },
    }),
  };
}

const password = "hush-hush";
const hasServer = wantsPrivate("redis");

async function openServer() {
  const server = await startServer("--requirepass", password);
  // The server asks for the password before it reads; a client without one would only be refused.
  const connect = () => server.client({ ...impatient, password });
  return { ...server, store: openStore("its own", connect, { address: server, password }) };
}

for (const server of servers) {
  // A node of a cluster tells its clients where the others are, past everything between.
  const isSingle = server === single;
  const harness: Harness = {
    name: server.name,
    expects: {
      ...{ durability: "commit", turns: true, records: true, search: false },
      network: isSingle ? (hasServer ? "restart" : "proxy") : "none",
    },
    processEntry: new URL("./process-entry.mjs", import.meta.url),
    open: async () => openStore(server.name, server.connect, isSingle ? { address: addressOf() } : undefined),
    ...(isSingle && {
      budgets: {
        turn: { roundTrips: 1, bytes: 1500 },
        resume: { roundTrips: 1, bytes: 6500 },
      },
    }),
    ...(isSingle && hasServer && { openServer }),
  };
  testAdapter(harness, { describe, it, beforeAll, afterAll });
}
