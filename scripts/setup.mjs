// Installs what the repository needs, with only Node and npm at hand. Repeated runs cost nothing.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { pnpm, root, run } from "./run.mjs";

const stampFile = `${root}node_modules/.waymark-setup`;

/** Installs the dependencies when Node or the lock file has changed since last time. Throws on failure. */
export async function setup({ quiet = false } = {}) {
  const lock = createHash("sha256")
    .update(readFileSync(`${root}pnpm-lock.yaml`))
    .digest("hex");
  const stamp = `${process.version} ${lock}\n`;
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  if (!quiet) console.log("Installing dependencies …");
  const { ok, output } = await run([...pnpm, "install", "--frozen-lockfile"]);
  if (!ok) throw new Error(`Installing the dependencies failed.\n${output}`);
  writeFileSync(stampFile, stamp);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  await setup().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
