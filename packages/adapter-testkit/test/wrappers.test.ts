import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { type Facet, MemoryAdapter } from "@waymark/adapter-memory";
import type { PersistenceAdapter } from "@waymark/core/adapter";
import { withRetry, withTenant } from "@waymark/core/wrap";
import { type Harness, testAdapter } from "../src/index.js";
import { runKit } from "./support/run.js";
import { memory } from "./support/stores.js";

const runner = { describe, it, beforeAll, afterAll };

/** Each store of a run is a tenant of its own, among others that have left theirs on the same adapter. */
function tenants(name: string, without: readonly Facet[] = []): Harness {
  let shared = new MemoryAdapter({ without });
  let count = 0;
  const has = (facet: Facet) => !without.includes(facet);
  return {
    name,
    open: async () => {
      // A list of sessions reads what the others have: more of them would only be slow.
      if (count % 8 === 0) shared = new MemoryAdapter({ without });
      const kept = shared;
      const tenant = `t${"/".repeat(count % 3)}${count++}`;
      const adapter = withTenant(kept, tenant);
      const stored = (id: string) => `${tenant.replaceAll("/", "%2F")}/${id}`;
      return {
        connect: () => adapter,
        remove: async () => {},
        raw: {
          session: async (id) => kept.getSnapshot().sessions.some((row) => row.id === stored(id)),
          messages: async (id) =>
            kept.getSnapshot().messages.filter(({ sessionId }) => sessionId === stored(id)).length,
        },
      };
    },
    expects: {
      ...{ durability: "process", turns: has("turns"), records: has("records"), search: has("search") },
      network: "none",
    },
  };
}

testAdapter(memory("memory, asked again", { spoil: (adapter) => withRetry(adapter) }), runner);
testAdapter(tenants("tenants in memory"), runner);

it.each([
  ["around", (adapter: PersistenceAdapter) => withRetry(withTenant(adapter, "acme"))],
  ["within", (adapter: PersistenceAdapter) => withTenant(withRetry(adapter), "acme")],
])(
  "calls that are made again %s a tenant keep the promises, on both paths",
  async (_, spoil) => {
    const harness = memory("both", { spoil });
    const results = await runKit(harness, { isBrief: true, only: /there as a whole|sent again|look alike/ });
    expect(results.length).toBeGreaterThan(10);
    for (const { path, error } of results) expect([path, error]).toEqual([path, null]);
  },
  60_000,
);
