// Packs every public package as npm would and checks the result: publint --strict and Are The Types Wrong.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { readJson, root, run } from "./run.mjs";

const bin = (name) => [process.execPath, `${root}node_modules/${name}`];
const publint = bin("publint/src/cli.js");
const attw = bin("@arethetypeswrong/cli/dist/index.js");

/** The folders of the packages that are published. */
export function publicPackages() {
  return readdirSync(`${root}packages`)
    .map((name) => ({ name, folder: `${root}packages/${name}` }))
    .filter(({ folder }) => !readJson(`${folder}/package.json`).private);
}

/** Answers one `{ name, ok, output }` for each check. */
export async function checkPackage({ name, folder }) {
  const target = mkdtempSync(join(tmpdir(), "waymark-pack-"));
  try {
    const packed = await run(["npm", "pack", "--silent", "--pack-destination", target], { cwd: folder });
    const archive = join(target, readdirSync(target)[0] ?? "");
    if (!packed.ok) return [{ name: `pack ${name}`, ...packed }];
    return await Promise.all([
      run([...publint, archive, "--strict"]).then((result) => ({ name: `publint ${name}`, ...result })),
      run([...attw, archive, "--profile", "esm-only", "--no-color"]).then((result) => ({
        name: `attw ${name}`,
        ...result,
      })),
    ]);
  } finally {
    rmSync(target, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  for (const target of publicPackages()) {
    for (const { name, ok, output } of await checkPackage(target)) {
      console.log(ok ? `ok      ${name}` : `FAILED  ${name}\n${output}`);
      if (!ok) process.exitCode = 1;
    }
  }
}
