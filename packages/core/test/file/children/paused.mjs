// Stops itself in the middle of a commit, or of a delete where none is given, at the call of the file system that `at` names, and reports how it ended.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const { directory, id, at, file, commit } = JSON.parse(process.argv[2]);
const matches = new RegExp(file);
const paths = new Map();
let isArmed = false;

const open = fs.openSync;
fs.openSync = (path, ...rest) => {
  const handle = open(path, ...rest);
  paths.set(handle, path);
  return handle;
};
const original = fs[at];
fs[at] = (...args) => {
  const path = typeof args[0] === "number" ? paths.get(args[0]) : args[0];
  if (isArmed && matches.test(path)) {
    isArmed = false;
    process.kill(process.pid, "SIGSTOP");
  }
  return original(...args);
};
syncBuiltinESMExports();

const { FileAdapter } = await import("@waymark/core/file");
const adapter = new FileAdapter({ directory });
const seen = await adapter.turns.load(id, { last: 1 });

async function run() {
  if (commit !== undefined) {
    const [outcome] = await adapter.turns.commit([commit]);
    return outcome.status === "failed" ? { status: "failed", code: outcome.error.code } : outcome;
  }
  await adapter.messageRepository.deleteBySessionId(id, { log: seen.row.life });
  return { removed: await adapter.sessionRepository.delete(id, seen.row.revision) };
}

process.send("ready");
process.once("message", async () => {
  isArmed = true;
  process.send(await run());
  process.disconnect();
});
