// Makes an adapter in another process, which runs the built package.
import { PostgreSQLAdapter } from "@waymark/adapter-postgres";
import { withEncryption } from "@waymark/core/wrap";
import { Pool } from "pg";

export default function connect({ schema }) {
  const client = new Pool({ connectionString: process.env.WAYMARK_TEST_POSTGRES, max: 4 });
  client.on("error", () => {});
  const keys = [{ id: "k1", key: new Uint8Array(32).fill(1) }];
  return withEncryption(new PostgreSQLAdapter({ client, schema }), { keys });
}
