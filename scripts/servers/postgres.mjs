// PostgreSQL for the tests: by Docker Compose, otherwise a private cluster of the binaries that are on this machine.
// `node scripts/servers/postgres.mjs FOLDER PORT PASSWORD` runs one for a test of its own, as scripts/private.mjs says.
import { spawn } from "node:child_process";
import { chownSync, existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runPrivate } from "../private.mjs";
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

/** Answers `{ binaries }`, which are installed where they are missing, or a sentence that says why there are none. */
async function needBinaries() {
  let binaries = await findBinaries();
  if (binaries === undefined) {
    // Without a cluster of its own the package starts nothing on the default port.
    const problem = await installDebian("postgresql-15", {
      "/etc/postgresql-common/createcluster.d/waymark-tests.conf": "create_main_cluster = false\n",
    });
    if (problem !== undefined) return problem;
    binaries = await findBinaries();
  }
  return binaries === undefined ? "No initdb and pg_ctl were found." : { binaries };
}

export async function byBinaries() {
  const needed = await needBinaries();
  if (typeof needed === "string") return needed;
  const { binaries } = needed;
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

/** Runs a cluster whose user has to log in by its password. Answers `{ port, child }`, or why it does not come up. */
async function startOwn(folder, wantedPort, password) {
  const needed = await needBinaries();
  if (typeof needed === "string") return needed;
  const program = (name) => join(needed.binaries, name);
  const user = await unprivileged("postgres", "nobody");
  if (user) chownSync(folder, user.uid, user.gid);
  const data = join(folder, "data");
  if (!existsSync(join(data, "PG_VERSION"))) {
    const pwfile = join(folder, "password");
    writeFileSync(pwfile, password);
    const initdb = [program("initdb"), "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"];
    const login = ["--auth=scram-sha-256", `--pwfile=${pwfile}`];
    if (!(await runAs(user, [...initdb, ...login], folder))) return "initdb failed.";
  }
  let said = "";
  // Where it was killed, its processes may hold the data for a moment longer.
  for (let tries = 0; tries < 50; tries++) {
    const port = wantedPort === 0 ? await freePort() : wantedPort;
    const settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=60"];
    const args = ["-D", data, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])];
    const child = spawn(program("postgres"), args, {
      ...user,
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
    });
    child.stderr.on("data", (chunk) => (said = `${said}${chunk}`.slice(-2000)));
    while (child.exitCode === null && child.signalCode === null) {
      const { ok } = await run([program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", String(port)]);
      if (ok) return { port, child };
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return `PostgreSQL did not come up: ${said.trim()}`;
}

export default {
  name: "PostgreSQL",
  variable: "WAYMARK_TEST_POSTGRES",
  suites: ["adapter-postgres", "adapter-prisma", "express-postgres"],
  ways: [byCompose, byBinaries],
};

if (process.argv[1] === fileURLToPath(import.meta.url)) await runPrivate(startOwn);
