import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { testAdapter } from "@waymark/adapter-testkit";
import { bouncerUrl, openSchema } from "./server.js";

const pooling = { connectionString: bouncerUrl() };

testAdapter(
  {
    name: "PostgreSQL behind PgBouncer",
    expects: { durability: "commit", turns: true, records: true, search: false, network: "none" },
    processEntry: new URL("./bouncer-entry.mjs", import.meta.url),
    async open() {
      const store = openSchema("bouncer", pooling);
      return {
        connect: () => store.connect({ preparedStatements: false }),
        remove: () => store.remove(),
        address: { schema: store.schema },
      };
    },
  },
  { describe, it, beforeAll, afterAll },
);

it("prepared statements that the pooler does not keep are named as the cause, and nothing is lost", async () => {
  const store = openSchema("bouncer", { ...pooling, max: 2 });
  const adapter = store.connect();
  await adapter.initialize();
  // Two connections of the pooler, and each knows the statements that were prepared there.
  const held = await store.pool({ max: 1 }).connect();
  await held.query("BEGIN");
  const calls = Array.from({ length: 8 }, () => adapter.sessionRepository.findById("s"));
  const results = await Promise.allSettled(calls);
  await held.query("COMMIT");
  held.release();
  const more = await Promise.allSettled(calls.map(() => adapter.sessionRepository.findById("s")));
  for (const result of [...results, ...more]) {
    if (result.status === "fulfilled") expect(result.value).toBeNull();
    else
      expect(result.reason).toMatchObject({
        code: "STORAGE_FAILED",
        message: expect.stringContaining("preparedStatements: false"),
      });
  }
  expect([...results, ...more].some(({ status }) => status === "rejected")).toBe(true);
  await store.remove();
});
