import { afterAll, describe, expect, it } from "@jest/globals";
import type { Harness } from "@waymark/adapter-testkit";
import type { Pool } from "pg";
import { runKit } from "../../adapter-testkit/test/support/run.js";
import { type PostgresClient, type PostgresStatement, PostgreSQLAdapter } from "../src/index.js";
import { openSchema } from "./server.js";

const schemas: ReturnType<typeof openSchema>[] = [];
afterAll(async () => {
  for (const one of schemas) await one.remove();
});

interface Wrong {
  /** What stands between the adapter and the pool. Default: nothing, which is right. */
  client?(pool: Pool): PostgresClient;
  /** How many connections a pool has. */
  readonly max?: number;
  /** Whether two stores lie in one schema, in tables of different names. */
  readonly isShared?: boolean;
}

/** Each connection has a time zone of its own, and no pool more connections than it needs. */
function harness({ client = (pool) => pool, max = 1, isShared = false }: Wrong): Harness {
  const shared = isShared ? openSchema("mutant") : undefined;
  if (shared !== undefined) schemas.push(shared);
  const zones = ["Asia/Tokyo", "America/New_York", "UTC"];
  let stores = 0;
  return {
    name: "mutant",
    expects: { durability: "commit", turns: true, records: true, search: false, network: "none" },
    processEntry: new URL("./process-entry.mjs", import.meta.url),
    async open() {
      const store = shared ?? openSchema("mutant");
      const tables = isShared
        ? { sessions: `s${++stores}`, messages: `m${stores}`, records: `r${stores}` }
        : {};
      let connections = 0;
      return {
        connect: () => {
          const zone = zones[connections++ % zones.length];
          // A call that waits for a connection for ever is given up, after the kit has given it up.
          const endless = { connectionTimeoutMillis: 4_000, allowExitOnIdle: true };
          const pool = store.pool({ max, options: `-c TimeZone=${zone}`, ...endless });
          return new PostgreSQLAdapter({ client: client(pool), schema: store.schema, tables });
        },
        remove: async () => {
          if (shared === undefined) await store.remove();
        },
      };
    },
  };
}

/** A client that changes the text of each statement. */
const rewriting =
  (rewrite: (text: string) => string) =>
  (pool: Pool): PostgresClient => ({
    query: (statement: string | PostgresStatement): Promise<never> =>
      typeof statement === "string"
        ? (pool.query(rewrite(statement)) as Promise<never>)
        : (pool.query({ ...statement, text: rewrite(statement.text) }) as Promise<never>),
  });

const mutants: readonly (Wrong & { readonly name: string; readonly caughtBy: string })[] = [
  {
    name: "takes a second connection of the pool while it holds one",
    caughtBy: "initialize can be called again, and describe answers",
    client: (pool) => ({
      query: async (statement: string | PostgresStatement): Promise<never> => {
        const held = await pool.connect();
        try {
          return (await pool.query(statement as PostgresStatement)) as never;
        } finally {
          held.release();
        }
      },
    }),
  },
  {
    name: "makes and uses tables of the default names, whatever names it was given",
    caughtBy: "two stores share nothing",
    isShared: true,
    client: rewriting((text) => text.replaceAll(/"s\d+"/g, '"sessions"').replaceAll(/"m\d+"/g, '"messages"')),
  },
  {
    name: "gives the index of every store one name",
    caughtBy: "two stores share nothing",
    isShared: true,
    client: rewriting((text) =>
      text.replaceAll(/CREATE INDEX IF NOT EXISTS "[^"]+"/g, 'CREATE INDEX "sessions_idx"'),
    ),
  },
  {
    name: "keeps times without their zone",
    caughtBy: "a row comes back verbatim",
    client: rewriting((text) => text.replaceAll("timestamptz", "timestamp")),
  },
  {
    name: "takes the clock of the server for the one of the caller",
    caughtBy: "a row comes back verbatim",
    client: rewriting((text) => text.replaceAll(/to_timestamp\([^)]*updated_at \/ 1000\)/g, "now()")),
  },
];

describe("an adapter that is almost right", () => {
  it.each(mutants)(
    "$name: caught",
    async ({ caughtBy, name, ...wrong }) => {
      const only = new RegExp(`${caughtBy}$`);
      const started = performance.now();
      const options = { only, isBrief: true, callTimeoutMs: 2_000 };
      const failed = (await runKit(harness(wrong), options)).find(({ error }) => error !== null);
      const ms = (performance.now() - started).toFixed(0);
      // The same without what is wrong with it passes.
      const right = await runKit(harness({ ...wrong, client: (pool) => pool }), options);
      expect(right.map(({ error }) => error)).toEqual([null]);
      expect(failed?.path.at(-1)).toContain(caughtBy);
      process.stdout.write(`note: "${name}": caught in ${ms} ms by ${failed?.path.slice(1).join(", ")}\n`);
    },
    60_000,
  );
});
