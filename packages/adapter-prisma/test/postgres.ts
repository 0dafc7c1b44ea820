import { readFileSync } from "node:fs";
import type { Address } from "@waymark/adapter-testkit";
import { Pool, type PoolConfig } from "pg";
import { PrismaAdapter, type PrismaAdapterOptions } from "../src/index.js";
import { PostgreSqlClient, PrismaPg } from "./clients.mjs";

const found = process.env["WAYMARK_TEST_POSTGRES"];
if (found === undefined || found === "")
  throw new Error("WAYMARK_TEST_POSTGRES names no server; `npm test -- --only adapter-prisma` starts one");

export const url: string = found;

export const tables = readFileSync(new URL("sql/postgresql.sql", import.meta.url), "utf8");

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

export function openPool(options: PoolConfig = {}): Pool {
  return new Pool({ connectionString: url, max: 4, ...options }).on("error", () => {});
}

let schemas = 0;

/** A schema of its own in PostgreSQL, on the server of the URL, with what opens clients and adapters on it and what removes it. */
export async function openSchema(name = "test", sql = tables, connectionString = url) {
  const schema = `${name}_${process.pid}_${process.env["JEST_WORKER_ID"] ?? 0}_${schemas++}`;
  const pool = openPool({ connectionString, options: `-c search_path=${schema}` });
  const clients: PostgreSqlClient[] = [];
  await pool.query(`CREATE SCHEMA "${schema}"; SET search_path TO "${schema}"; ${sql}`);
  const client = (options: PoolConfig = {}): PostgreSqlClient => {
    const config = { connectionString, max: 4, ...options };
    const made = new PostgreSqlClient({ adapter: new PrismaPg(config, { schema }) });
    clients.push(made);
    return made;
  };
  return {
    schema,
    client,
    connect: (options: Partial<PrismaAdapterOptions> = {}) =>
      new PrismaAdapter({ prisma: options.prisma ?? client(), ...options }),
    query: async (text: string, values: unknown[] = []) =>
      (await pool.query<Record<string, unknown>>(text, values)).rows,
    remove: async () => {
      await Promise.all(clients.map((one) => one.$disconnect()));
      await pool.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
      await pool.end();
    },
  };
}
