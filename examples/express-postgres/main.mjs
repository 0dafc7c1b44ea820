// One process of the server. Start as many as you like on one database: `DATABASE_URL=… PORT=3000 node main.mjs`
import { createServer } from "node:http";
import { Pool } from "pg";
import { bookingAgent } from "./agent.mjs";
import { createApp } from "./app.mjs";

const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
pool.on("error", (error) => console.error(error.message)); // an idle connection was lost; the pool opens another
const agent = bookingAgent(pool);
const server = createServer(createApp(agent));
const underWay = new Set();
server.on("request", (_request, response) => {
  underWay.add(response);
  response.once("close", () => underWay.delete(response));
});

try {
  const { reachable, error } = await agent.getPersistenceManager().health(); // makes the tables where they are missing
  if (!reachable) throw error;
  server.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? "127.0.0.1", () => {
    const { address, port } = server.address();
    console.log(`listening on http://${address}:${port}`);
  });
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
  await pool.end();
}

/** No new requests; turns under way are stored and answered; then the connections to the database are closed. */
async function stop() {
  const closed = new Promise((resolve) => server.close(resolve));
  // Otherwise their connections would be kept for a next request, and the server would wait for them.
  for (const response of underWay) if (!response.headersSent) response.setHeader("connection", "close");
  await closed;
  await agent.getPersistenceManager().close();
  await pool.end();
}

// A second signal ends the process at once: what is stored is stored, and a turn that is not is not there at all.
process.once("SIGTERM", stop);
process.once("SIGINT", stop);
