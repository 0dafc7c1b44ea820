// A server of a test's own, which it may kill and start again. `node scripts/servers/NAME.mjs FOLDER PORT ...` runs one in
// that folder, says `ready PORT PID`, and ends when its standard input does: also when the test's process is killed.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const answers = (...command) => spawnSync(command[0], command.slice(1)).status === 0;

const servers = {
  opensearch: {
    isHere: () => answers("javac", "-version") && answers("mvn", "-version"),
    url: (at) => `http://${at}`,
  },
  postgres: {
    // Debian keeps its programs off the PATH.
    isHere: () => existsSync("/usr/lib/postgresql") || answers("pg_config", "--bindir"),
    url: (at, password) => `postgres://postgres:${password}@${at}/postgres`,
  },
  redis: {
    isHere: () => answers("redis-server", "--version"),
    url: (at) => `redis://${at}`,
  },
};

/** What these two give is described in private.d.mts. */
export function wantsPrivate(name) {
  return servers[name].isHere() || process.env.CI === "true";
}

export async function startPrivate(name, ...settings) {
  const program = fileURLToPath(new URL(`servers/${name}.mjs`, import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), `waymark-${name}-`));
  let child;
  let pid = 0;
  let port = 0;

  async function start() {
    const args = [program, folder, String(port), ...settings];
    child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    for await (const line of createInterface({ input: child.stdout })) {
      const [, foundPort, foundPid] = /^ready (\d+) (\d+)$/.exec(line) ?? [];
      if (foundPort === undefined) continue;
      port = Number(foundPort);
      pid = Number(foundPid);
      return;
    }
    throw new Error(`${name} did not come up`);
  }

  async function end(signal) {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    process.kill(pid, signal);
    await ended;
  }

  const kill = () => end("SIGKILL");
  const remove = async () => {
    await kill();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  const host = "127.0.0.1";
  const url = servers[name].url(`${host}:${port}`, ...settings);
  return { host, port, url, kill, stop: () => end("SIGINT"), start, remove };
}

/**
 * Runs a server for `startPrivate`: `start` answers its process when it is ready, or a sentence that says why it is not.
 * Ends when the server does, and the server ends when the standard input does.
 */
export async function runPrivate(start) {
  const [folder, port, ...settings] = process.argv.slice(2);
  const answer = await start(folder, Number(port), ...settings);
  if (typeof answer === "string") {
    console.error(answer);
    process.exit(1);
  }
  const { child } = answer;
  child.once("exit", () => process.exit());
  if (child.exitCode !== null || child.signalCode !== null) process.exit();
  process.stdin.on("close", () => child.kill("SIGKILL")).resume();
  console.log(`ready ${answer.port} ${child.pid}`);
}
