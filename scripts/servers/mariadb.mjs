// MariaDB for the tests: by Docker Compose, otherwise a private server of the binaries that are on this machine.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { run } from "../run.mjs";
import { compose, folderOf, freePort, installDebian, runAs, unprivileged } from "../service.mjs";

const daemons = ["/usr/sbin/mariadbd", "/usr/local/bin/mariadbd", "/opt/homebrew/bin/mariadbd"];

const versionIn = (output) => /\d+(\.\d+)+/.exec(output)?.[0] ?? "unknown";

async function byCompose() {
  const server = await compose("mariadb", 3306);
  if (typeof server === "string") return server;
  const { output } = await server.exec("mariadbd", "--version");
  const url = `mysql://root@${server.host}:${server.port}/test`;
  return { url, version: versionIn(output), stop: server.stop };
}

async function byBinaries() {
  let daemon = daemons.find(existsSync);
  if (daemon === undefined) {
    const problem = await installDebian("mariadb-server");
    if (problem !== undefined) return problem;
    daemon = daemons.find(existsSync);
  }
  if (daemon === undefined) return "No mariadbd was found.";
  const user = await unprivileged("mysql", "nobody");
  const { folder, remove } = folderOf(user);
  const data = join(folder, "data");
  const install = ["mariadb-install-db", "--no-defaults", `--datadir=${data}`, "--skip-test-db"];
  if (!(await runAs(user, [...install, "--auth-root-authentication-method=normal"], folder))) {
    remove();
    return "mariadb-install-db failed.";
  }
  for (let tries = 0; tries < 3; tries++) {
    const server = await start(daemon, user, folder, data);
    if (server === undefined) continue;
    const stop = async () => {
      await server.stop();
      remove();
    };
    const version = versionIn((await run([daemon, "--version"])).output);
    return { url: `mysql://root@127.0.0.1:${server.port}/test`, version, stop };
  }
  remove();
  return "mariadbd did not come up.";
}

async function start(daemon, user, folder, data) {
  const port = await freePort();
  const socket = join(folder, "socket");
  const settings = [
    ...["--no-defaults", `--datadir=${data}`, `--socket=${socket}`, `--pid-file=${join(folder, "pid")}`],
    ...[`--port=${port}`, "--bind-address=127.0.0.1", "--max-connections=400", "--skip-log-bin"],
  ];
  const child = spawn(daemon, settings, { ...user, cwd: folder, stdio: "ignore" });
  const ended = new Promise((resolve) => child.once("exit", resolve).once("error", resolve));
  const stop = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  for (let tries = 0; tries < 200 && child.exitCode === null; tries++) {
    const client = ["mariadb", "--no-defaults", `--socket=${socket}`, "--user=root"];
    const made = await run([...client, "--execute=CREATE DATABASE IF NOT EXISTS test"]);
    if (made.ok) return { port, stop };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await stop();
  return undefined;
}

export default {
  name: "MariaDB",
  variable: "WAYMARK_TEST_MARIADB",
  suites: ["adapter-prisma"],
  ways: [byCompose, byBinaries],
};
