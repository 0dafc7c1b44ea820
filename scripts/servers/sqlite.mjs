// SQLite has no server. better-sqlite3 is native, and is fetched or compiled here for the tests that need it, so that nobody
// who only installs waits for a compiler.
import { realpathSync } from "node:fs";
import { root, run } from "../run.mjs";

const folder = `${root}packages/adapter-sqlite`;

/** Answers which SQLite each driver has. */
const program = `
const Database = require("better-sqlite3");
const found = [new Database(":memory:").prepare("SELECT sqlite_version() AS v").get().v + " (better-sqlite3 " +
  require("better-sqlite3/package.json").version + ")"];
require("sql.js")().then(({ Database }) => {
  found.push(new Database().exec("SELECT sqlite_version()")[0].values[0][0] + " (sql.js)");
  console.log(found.join(", "));
});`;

async function answer() {
  const { ok, output } = await run([process.execPath, "-e", program], { cwd: folder });
  if (!ok) return undefined;
  const version = output.trim();
  return { url: version, version, stop: async () => {} };
}

async function build() {
  const found = await answer();
  if (found !== undefined) return found;
  // Also after a change of Node's version, for which the file has to be another one.
  const cwd = realpathSync(`${folder}/node_modules/better-sqlite3`);
  const { output } = await run(["npm", "run", "install"], { cwd });
  return (
    (await answer()) ?? `better-sqlite3 can neither be fetched nor compiled here.\n${output.slice(-2000)}`
  );
}

export default {
  name: "SQLite",
  variable: "WAYMARK_TEST_SQLITE",
  suites: ["adapter-prisma", "adapter-sqlite", "prisma"],
  ways: [build],
};
