// PgBouncer in transaction mode before a PostgreSQL of its own: by Docker Compose, otherwise of the Debian package.
import { spawn } from "node:child_process";
import { chownSync, existsSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { run } from "../run.mjs";
import { compose, folderOf, freePort, installDebian, unprivileged } from "../service.mjs";
import { byBinaries as postgresByBinaries } from "./postgres.mjs";

const installed = "/usr/sbin/pgbouncer";

const versionIn = (output) => /\d+(\.\d+)+/.exec(output)?.[0] ?? "unknown";

async function byCompose() {
  const server = await compose("pgbouncer", 5432);
  if (typeof server === "string") return server;
  const { output } = await server.exec("pgbouncer", "--version");
  const url = `postgres://postgres@${server.host}:${server.port}/postgres`;
  return { url, version: versionIn(output), stop: server.stop };
}

const settings = (port, database) => `[databases]
* = host=${database.hostname} port=${database.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 400
default_pool_size = 40
`;

/** Whether something listens on the port. */
function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => (socket.destroy(), resolve(true))).on("error", () => resolve(false));
  });
}

async function startBouncer(database) {
  // It refuses to run as root.
  const user = await unprivileged("postgres", "nobody");
  const { folder, remove } = folderOf(user);
  const port = await freePort();
  const file = join(folder, "pgbouncer.ini");
  writeFileSync(file, settings(port, database));
  if (user) chownSync(file, user.uid, user.gid);
  const child = spawn(installed, [file], { ...user, cwd: folder, stdio: "ignore" });
  const ended = new Promise((resolve) => child.once("exit", resolve).once("error", resolve));
  const stop = async () => {
    child.kill("SIGKILL");
    await ended;
    remove();
  };
  for (let tries = 0; tries < 100 && child.exitCode === null; tries++) {
    if (await answers(port)) return { port, stop };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await stop();
  return undefined;
}

async function byPackage() {
  if (!existsSync(installed)) {
    const problem = await installDebian("pgbouncer");
    if (problem !== undefined) return problem;
  }
  const postgres = await postgresByBinaries();
  if (typeof postgres === "string") return postgres;
  for (let tries = 0; tries < 3; tries++) {
    const bouncer = await startBouncer(new URL(postgres.url));
    if (bouncer === undefined) continue;
    return {
      url: `postgres://postgres@127.0.0.1:${bouncer.port}/postgres`,
      version: versionIn((await run([installed, "--version"])).output),
      stop: async () => {
        await bouncer.stop();
        await postgres.stop();
      },
    };
  }
  await postgres.stop();
  return "pgbouncer did not come up.";
}

export default {
  name: "PgBouncer",
  variable: "WAYMARK_TEST_PGBOUNCER",
  suites: ["adapter-postgres"],
  ways: [byCompose, byPackage],
};
