// Makes an adapter in another process, which runs the built package.
import { PrismaBetterSqlite3 } from "@prisma/adapter-better-sqlite3";
import { PrismaMariaDb } from "@prisma/adapter-mariadb";
import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaAdapter } from "@waymark/adapter-prisma";

const adapters = {
  sqlite: ({ file }) => new PrismaBetterSqlite3({ url: `file:${file}` }),
  postgresql: ({ schema }) =>
    new PrismaPg({ connectionString: process.env.WAYMARK_TEST_POSTGRES, max: 4 }, { schema }),
  mysql({ database }) {
    const { hostname: host, port, username: user, password } = new URL(process.env.WAYMARK_TEST_MARIADB);
    const login = { host, port: Number(port), user, password: decodeURIComponent(password) };
    return new PrismaMariaDb({ ...login, database, connectionLimit: 4 });
  },
};

export default async function connect(address) {
  const { PrismaClient } = await import(`../.clients/${address.provider}/client.js`);
  return new PrismaAdapter({ prisma: new PrismaClient({ adapter: adapters[address.provider](address) }) });
}
