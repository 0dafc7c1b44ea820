// Redis for the tests: by Docker Compose, otherwise a private server of the binary that is on this machine.
// `node scripts/servers/redis.mjs FOLDER PORT SETTING...` runs one for a test of its own, as scripts/private.mjs says.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { runPrivate } from "../private.mjs";
import { run } from "../run.mjs";
import { compose, folderOf, freePort, installDebian } from "../service.mjs";

const versionIn = (output) => /v=(\d+(\.\d+)*)/.exec(output)?.[1] ?? "unknown";

/** Every write is on disk before it is answered, as the tests that kill a server expect. */
const durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""];

/** Installs the binaries where they are missing. Answers undefined, or a sentence that says why they are not there. */
export async function needRedis() {
  if ((await run(["redis-server", "--version"])).ok) return undefined;
  // What comes with the package must not stay on the default port.
  const problem = await installDebian("redis-server");
  if (problem !== undefined) return problem;
  const { ok } = await run(["redis-server", "--version"]);
  return ok ? undefined : "No redis-server was found.";
}

export async function redisVersion() {
  return versionIn((await run(["redis-server", "--version"])).output);
}

/** Starts one server in a folder of its own. Answers `{ port, stop }`, or undefined where it does not come up. */
export async function startRedis(...settings) {
  const { folder, remove } = folderOf(undefined);
  const server = await startIn(folder, await freePort(), ...settings);
  if (server === undefined) {
    remove();
    return undefined;
  }
  const { port, end } = server;
  return { port, stop: () => end().then(remove) };
}

async function startIn(folder, port, ...settings) {
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, ...durable, ...settings];
  const child = spawn("redis-server", args, { stdio: "ignore" });
  const ended = new Promise((resolve) => child.once("exit", resolve).once("error", resolve));
  const end = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  for (let tries = 0; tries < 100 && child.exitCode === null; tries++) {
    const { output } = await run(["redis-cli", "-p", String(port), "ping"]);
    // One that wants a password says so when it is ready.
    if (/^(PONG|NOAUTH)/.test(output)) return { port, child, end };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await end();
  return undefined;
}

async function startOwn(folder, wantedPort, ...settings) {
  const problem = await needRedis();
  if (problem !== undefined) return problem;
  for (let tries = 0; tries < 3; tries++) {
    const server = await startIn(folder, wantedPort === 0 ? await freePort() : wantedPort, ...settings);
    if (server !== undefined) return server;
  }
  return "redis-server did not come up.";
}

async function byCompose() {
  const server = await compose("redis", 6379);
  if (typeof server === "string") return server;
  const { output } = await server.exec("redis-server", "--version");
  return { url: `redis://${server.host}:${server.port}`, version: versionIn(output), stop: server.stop };
}

async function byBinaries() {
  const problem = await needRedis();
  if (problem !== undefined) return problem;
  for (let tries = 0; tries < 3; tries++) {
    const server = await startRedis();
    if (server === undefined) continue;
    return { url: `redis://127.0.0.1:${server.port}`, version: await redisVersion(), stop: server.stop };
  }
  return "redis-server did not come up.";
}

export default {
  name: "Redis",
  variable: "WAYMARK_TEST_REDIS",
  suites: ["adapter-redis"],
  ways: [byCompose, byBinaries],
};

if (process.argv[1] === fileURLToPath(import.meta.url)) await runPrivate(startOwn);
