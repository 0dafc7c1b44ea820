// One process of the server. Start as many as you like on one database: `DATABASE_URL=… PORT=3000 node main.mjs`
import { createServer } from "node:http";
import { Pool } from "pg";
import { bookingAgent } from "./agent.mjs";
import { createApp } from "./app.mjs";

const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
pool.on("error", (error) => console.error(error.message)); // an idle connection was lost; the pool opens another
const agent = bookingAgent(pool);
const server = createServer();

const underWay = new Set();
let isStopping = false;
server.on("request", (_request, response) => {
  underWay.add(response);
  response.once("close", () => underWay.delete(response));
  if (isStopping) endConnection(response);
});
server.on("request", createApp(agent));

/** With this answer: otherwise the connection would be kept for a next request, and the server would wait for that. */
function endConnection(response) {
  if (!response.headersSent) response.setHeader("connection", "close");
}

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

/** No new connections; turns under way are stored and answered; then the connections to the database are closed. */
async function stop() {
  isStopping = true;
  underWay.forEach(endConnection);
  await new Promise((resolve) => server.close(resolve));
  await agent.getPersistenceManager().close();
  await pool.end();
}

// A second signal ends the process at once: what is stored is stored, and a turn that is not is not there at all.
process.once("SIGTERM", stop);
process.once("SIGINT", stop);
