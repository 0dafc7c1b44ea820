import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { type Harness, testAdapter } from "@waymark/adapter-testkit";
import type { PersistenceAdapter } from "@waymark/core/adapter";
import { withRetry, withTenant } from "@waymark/core/wrap";
import type { PostgreSQLAdapter } from "../src/index.js";
import { openSchema } from "./server.js";

const runner = { describe, it, beforeAll, afterAll };

/** The kit around PostgreSQL, wrapped. `prefix` is what stands before an id in the tables. */
function harness(
  name: string,
  wrap: (adapter: PostgreSQLAdapter) => PersistenceAdapter,
  { prefix = "", tenant }: { readonly prefix?: string; readonly tenant?: string } = {},
): Harness {
  return {
    name,
    expects: { durability: "commit", turns: true, records: true, search: false, network: "none" },
    processEntry: new URL("./wrapped-entry.mjs", import.meta.url),
    async open() {
      const store = openSchema("wrapped");
      const count = async (table: string, column: string, id: string): Promise<number> => {
        const text = `SELECT count(*)::integer AS n FROM "${store.schema}".${table} WHERE ${column} = $1`;
        return Number((await store.query(text, [prefix + id]))[0]?.["n"]);
      };
      return {
        connect: () => wrap(store.connect()),
        remove: () => store.remove(),
        address: { schema: store.schema, ...(tenant === undefined ? {} : { tenant }) },
        raw: {
          session: async (id) => (await count("agent_sessions", "id", id)) > 0,
          messages: (id) => count("agent_messages", "session_id", id),
        },
      };
    },
  };
}

/** Whatever one is asked, the other is asked at the same moment; whatever it answers. */
function together<T extends object>(one: T, other: T): T {
  return new Proxy(one, {
    get(target, key) {
      const [method, its]: readonly unknown[] = [Reflect.get(target, key), Reflect.get(other, key)];
      if (typeof method !== "function" || typeof its !== "function") return method;
      return async (...values: unknown[]) => {
        const [answer] = await Promise.all([
          Reflect.apply(method, target, values),
          Promise.resolve(Reflect.apply(its, other, values)).catch(() => {}),
        ]);
        return answer;
      };
    },
  });
}

/** A tenant, beside whom another one does the same, with the same ids, on the same tables. */
function neighbours(adapter: PersistenceAdapter): PersistenceAdapter {
  const [mine, other] = [withTenant(adapter, "acme/1"), withTenant(adapter, "acme")];
  const { name, durability, limits, turns, records } = mine;
  return {
    ...{ name, durability, limits },
    sessionRepository: together(mine.sessionRepository, other.sessionRepository),
    messageRepository: together(mine.messageRepository, other.messageRepository),
    turns: turns && together(turns, other.turns ?? turns),
    records: records && together(records, other.records ?? records),
    initialize: async () => mine.initialize?.(),
    disconnect: async () => mine.disconnect?.(),
  };
}

testAdapter(
  harness("PostgreSQL, asked again", (adapter) => withRetry(adapter)),
  runner,
);
testAdapter(harness("a tenant on PostgreSQL", neighbours, { prefix: "acme%2F1/", tenant: "acme/1" }), runner);
