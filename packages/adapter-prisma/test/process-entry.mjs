// Makes an adapter in another process, which runs the built package.
import { PrismaBetterSqlite3 } from "@prisma/adapter-better-sqlite3";
import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaAdapter } from "@waymark/adapter-prisma";

export default async function connect({ provider, schema, file }) {
  const { PrismaClient } = await import(`../.clients/${provider}/client.js`);
  const url = process.env.WAYMARK_TEST_POSTGRES;
  const adapter =
    provider === "sqlite"
      ? new PrismaBetterSqlite3({ url: `file:${file}` })
      : new PrismaPg({ connectionString: url, max: 4 }, { schema });
  return new PrismaAdapter({ prisma: new PrismaClient({ adapter }) });
}
