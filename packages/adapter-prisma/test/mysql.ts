import { readFileSync } from "node:fs";
import { PrismaAdapter, type PrismaAdapterOptions } from "../src/index.js";
import { MySqlClient, PrismaMariaDb } from "./clients.mjs";

const found = process.env["WAYMARK_TEST_MARIADB"];
if (found === undefined || found === "")
  throw new Error("WAYMARK_TEST_MARIADB names no server; `npm test -- --only adapter-prisma` starts one");

export const url: string = found;

/** As `prisma migrate` makes the tables of the fragment. */
export const tables = readFileSync(new URL("sql/mysql.sql", import.meta.url), "utf8");

/** With the collation that has to be given to them. */
export const binaryTables = tables.replaceAll("utf8mb4_unicode_ci", "utf8mb4_nopad_bin");

interface PoolOptions {
  readonly connectionLimit?: number;
  readonly initSql?: string;
}

let databases = 0;

/** A database of its own in MariaDB, with what opens clients and adapters on it and what removes it. */
export async function openDatabase(name = "test", sql = binaryTables) {
  const database = `${name}_${process.pid}_${process.env["JEST_WORKER_ID"] ?? 0}_${databases++}`;
  const address = new URL(url);
  const clients: MySqlClient[] = [];
  const clientOf = (path: string, options: PoolOptions): MySqlClient => {
    const { hostname: host, port, username: user, password } = address;
    const config = { host, port: Number(port), user, password: decodeURIComponent(password), database: path };
    const adapter = new PrismaMariaDb({ ...config, connectionLimit: 4, ...options });
    const made = new MySqlClient({ adapter });
    clients.push(made);
    return made;
  };
  const client = (options: PoolOptions = {}) => clientOf(database, options);
  const server = clientOf("", {});
  await server.$executeRawUnsafe(`CREATE DATABASE ${database}`);
  const own = client();
  const run = async (text: string) => {
    for (const statement of text.split(";\n"))
      if (statement.trim() !== "") await own.$executeRawUnsafe(statement);
  };
  await run(sql);
  return {
    database,
    client,
    run,
    connect: (options: Partial<PrismaAdapterOptions> = {}) =>
      new PrismaAdapter({ prisma: options.prisma ?? client(), ...options }),
    query: (text: string, ...values: unknown[]) =>
      own.$queryRawUnsafe<Record<string, unknown>[]>(text, ...values),
    remove: async () => {
      // A transaction that a failed test has left open would hold up the rest.
      await Promise.all(clients.map((one) => one !== server && one.$disconnect()));
      await server.$executeRawUnsafe(`DROP DATABASE IF EXISTS ${database}`);
      await server.$disconnect();
    },
  };
}
