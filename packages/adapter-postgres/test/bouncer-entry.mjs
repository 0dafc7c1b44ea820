// Makes an adapter behind PgBouncer in another process, which runs the built package.
import { PostgreSQLAdapter } from "@waymark/adapter-postgres";
import { Pool } from "pg";

export default function connect({ schema }) {
  const client = new Pool({ connectionString: process.env.WAYMARK_TEST_PGBOUNCER, max: 4 });
  client.on("error", () => {});
  return new PostgreSQLAdapter({ client, schema, preparedStatements: false });
}
