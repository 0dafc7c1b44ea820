// PostgreSQL for the tests: by Docker Compose, otherwise a private cluster of the binaries that are on this machine.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "../run.mjs";
import { compose, folderOf, freePort, installDebian, runAs, unprivileged } from "../service.mjs";

const debian = "/usr/lib/postgresql";

const versionIn = (output) => /\d+(\.\d+)*/.exec(output)?.[0] ?? "unknown";

async function byCompose() {
  const server = await compose("postgres", 5432);
  if (typeof server === "string") return server;
  const { output } = await server.exec("postgres", "--version");
  const url = `postgres://postgres@${server.host}:${server.port}/postgres`;
  return { url, version: versionIn(output), stop: server.stop };
}

/** The folder of `initdb` and `pg_ctl`; Debian keeps them off the PATH. */
async function findBinaries() {
  const versions = existsSync(debian) ? readdirSync(debian).toSorted((a, b) => Number(b) - Number(a)) : [];
  const folders = versions.map((version) => join(debian, version, "bin"));
  const configured = await run(["pg_config", "--bindir"]);
  if (configured.ok) folders.push(configured.output.trim());
  return folders.find((folder) =>
    ["initdb", "pg_ctl", "postgres"].every((name) => existsSync(join(folder, name))),
  );
}

export async function byBinaries() {
  let binaries = await findBinaries();
  if (binaries === undefined) {
    // Without a cluster of its own the package starts nothing on the default port.
    const problem = await installDebian("postgresql-15", {
      "/etc/postgresql-common/createcluster.d/waymark-tests.conf": "create_main_cluster = false\n",
    });
    if (problem !== undefined) return problem;
    binaries = await findBinaries();
  }
  if (binaries === undefined) return "No initdb and pg_ctl were found.";
  const user = await unprivileged("postgres", "nobody");
  const { folder, remove } = folderOf(user);
  const data = join(folder, "data");
  const log = join(folder, "log");
  const pgctl = (...args) => runAs(user, [join(binaries, "pg_ctl"), "-D", data, ...args], folder);
  const initdb = [join(binaries, "initdb"), "-D", data, "-U", "postgres", "-E", "UTF8"];
  const options = ["--locale=C", "--auth=trust", "--no-sync"];
  if (!(await runAs(user, [...initdb, ...options], folder))) {
    remove();
    return `${initdb[0]} failed.`;
  }
  for (let tries = 0; tries < 3; tries++) {
    const port = await freePort();
    const settings = `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200`;
    if (!(await pgctl("-w", "-t", "30", "-l", log, "-o", settings, "start"))) continue;
    const { output } = await run([join(binaries, "postgres"), "--version"]);
    return {
      url: `postgres://postgres@127.0.0.1:${port}/postgres`,
      version: versionIn(output),
      stop: async () => {
        await pgctl("-m", "immediate", "-w", "stop");
        remove();
      },
    };
  }
  const said = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n").at(-1) : "it wrote no log";
  remove();
  return `pg_ctl could not start it: ${said}.`;
}

export default {
  name: "PostgreSQL",
  variable: "WAYMARK_TEST_POSTGRES",
  suites: ["adapter-postgres", "adapter-prisma", "express-postgres"],
  ways: [byCompose, byBinaries],
};
