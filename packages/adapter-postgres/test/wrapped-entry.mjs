// Makes a wrapped adapter in another process, which runs the built packages.
import { PostgreSQLAdapter } from "@waymark/adapter-postgres";
import { withRetry, withTenant } from "@waymark/core/wrap";
import { Pool } from "pg";

export default function connect({ schema, tenant }) {
  const client = new Pool({ connectionString: process.env.WAYMARK_TEST_POSTGRES, max: 4 });
  client.on("error", () => {});
  const adapter = new PostgreSQLAdapter({ client, schema });
  return tenant === undefined ? withRetry(adapter) : withTenant(adapter, tenant);
}
