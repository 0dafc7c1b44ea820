// A Redis Cluster of three masters for the tests: by Docker Compose, otherwise three private servers on this machine.
import { run } from "../run.mjs";
import { compose, freePort } from "../service.mjs";
import { needRedis, redisVersion, startRedis } from "./redis.mjs";

const addressesOf = (ports) => ports.map((port) => `127.0.0.1:${port}`);

async function byCompose() {
  // The nodes tell clients their own ports, so these are the same inside and outside.
  const ports = [await freePort(), await freePort(), await freePort()];
  ports.forEach((port, index) => (process.env[`WAYMARK_REDIS_PORT_${index + 1}`] = String(port)));
  const server = await compose("redis-cluster", ports[0]);
  if (typeof server === "string") return server;
  const { output } = await server.exec("redis-server", "--version");
  const version = /v=(\d+(\.\d+)*)/.exec(output)?.[1] ?? "unknown";
  return { url: addressesOf(ports).join(","), version, stop: server.stop };
}

async function byBinaries() {
  const problem = await needRedis();
  if (problem !== undefined) return problem;
  const servers = [];
  const stop = async () => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  for (let tries = 0; tries < 6 && servers.length < 3; tries++) {
    // The nodes talk to each other on a second port, which is too high for some of the free ones.
    const busPort = await freePort();
    const server = await startRedis("--cluster-enabled", "yes", "--cluster-port", String(busPort));
    if (server !== undefined) servers.push(server);
  }
  const addresses = addressesOf(servers.map(({ port }) => port));
  const made = await run(["redis-cli", "--cluster", "create", ...addresses, "--cluster-yes"]);
  if (servers.length === 3 && made.ok && (await isReady(servers))) {
    return { url: addresses.join(","), version: await redisVersion(), stop };
  }
  await stop();
  return `The three nodes did not make a cluster: ${made.output.trim().split("\n").at(-1)}.`;
}

/** Every node has to know of it, not only the one that was asked. */
async function isReady(servers) {
  for (let tries = 0; tries < 200; tries++) {
    const infos = await Promise.all(
      servers.map(({ port }) => run(["redis-cli", "-p", String(port), "cluster", "info"])),
    );
    if (infos.every(({ output }) => output.includes("cluster_state:ok"))) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

export default {
  name: "Redis Cluster",
  variable: "WAYMARK_TEST_REDIS_CLUSTER",
  suites: ["adapter-redis"],
  ways: [byCompose, byBinaries],
};
