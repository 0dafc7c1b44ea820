import type { Address } from "@waymark/adapter-testkit";
import { Pool, type PoolConfig } from "pg";
import { PostgreSQLAdapter, type PostgreSQLAdapterOptions } from "../src/index.js";

const found = process.env["WAYMARK_TEST_POSTGRES"];
if (found === undefined || found === "")
  throw new Error("WAYMARK_TEST_POSTGRES names no server; `npm test -- --only adapter-postgres` starts one");

export const url: string = found;

/** PgBouncer in transaction mode, before another server than `url`. */
export function bouncerUrl(): string {
  const address = process.env["WAYMARK_TEST_PGBOUNCER"];
  if (address === undefined || address === "") throw new Error("WAYMARK_TEST_PGBOUNCER names no server");
  return address;
}

/** The same database at another address, such as that of a proxy. */
export function urlAt({ host, port }: Address, of = url): string {
  const address = new URL(of);
  address.host = `${host}:${port}`;
  return address.href;
}

export function addressOf(of = url): Address {
  const { hostname, port } = new URL(of);
  return { host: hostname, port: Number(port === "" ? 5432 : port) };
}

/** A pool whose idle connections may die without ending the process. */
export function openPool(options: PoolConfig = {}): Pool {
  return new Pool({ connectionString: url, max: 4, ...options }).on("error", () => {});
}

let schemas = 0;

/** A schema of its own, with what opens adapters on it and what removes it. `pooling` is for each of its pools. */
export function openSchema(name = "test", pooling: PoolConfig = {}) {
  const schema = `${name}_${process.pid}_${process.env["JEST_WORKER_ID"] ?? 0}_${schemas++}`;
  const pools: Pool[] = [];
  const pool = (options?: PoolConfig): Pool => {
    const made = openPool({ ...pooling, ...options });
    pools.push(made);
    return made;
  };
  return {
    schema,
    pool,
    connect: (options: Partial<PostgreSQLAdapterOptions> = {}) =>
      new PostgreSQLAdapter({ client: options.client ?? pool(), schema, ...options }),
    query: async (text: string, values: unknown[] = []) =>
      (await (pools[0] ?? pool()).query<Record<string, unknown>>(text, values)).rows,
    remove: async () => {
      const last = openPool({ ...pooling, max: 1 });
      await last.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
      await Promise.all([last, ...pools].map((one) => one.end()));
    },
  };
}
