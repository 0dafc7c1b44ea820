// Makes an adapter in another process, which runs the built package.
import { PrismaAdapter } from "@waymark/adapter-prisma";

const openers = {
  sqlite: ({ PrismaBetterSqlite3, SqliteClient }, { file }) =>
    new SqliteClient({ adapter: new PrismaBetterSqlite3({ url: `file:${file}` }) }),
  postgresql({ PrismaPg, PostgreSqlClient }, { schema }) {
    const config = { connectionString: process.env.WAYMARK_TEST_POSTGRES, max: 4 };
    return new PostgreSqlClient({ adapter: new PrismaPg(config, { schema }) });
  },
  mysql({ PrismaMariaDb, MySqlClient }, { database }) {
    const { hostname: host, port, username: user, password } = new URL(process.env.WAYMARK_TEST_MARIADB);
    const login = { host, port: Number(port), user, password: decodeURIComponent(password) };
    return new MySqlClient({ adapter: new PrismaMariaDb({ ...login, database, connectionLimit: 4 }) });
  },
};

export default async function connect(address) {
  const prisma = openers[address.provider](await import(address.clients), address);
  return new PrismaAdapter({ prisma });
}
