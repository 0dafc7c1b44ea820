// The packages as they would be published next: rehearses the release, checks each archive (publint --strict, Are The Types
// Wrong), installs all of them with npm into empty projects, and uses them there (scripts/consumer).
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { rehearse } from "./release.mjs";
import { readJson, root, run } from "./run.mjs";

const node = (...args) => [process.execPath, ...args];
const publint = node(`${root}node_modules/publint/src/cli.js`);
const attw = node(`${root}node_modules/@arethetypeswrong/cli/dist/index.js`);
const tsc = node(`${root}node_modules/typescript/bin/tsc`);

/** Gives `{ name, ok, output, seconds }` for each check, as it ends. */
export async function* checkPackages() {
  const folder = mkdtempSync(join(tmpdir(), "waymark-packages-"));
  try {
    let release;
    yield await timed("release", async () => {
      release = await rehearse(folder);
      return { ok: true, output: "" };
    });
    if (release === undefined) return;
    for (const archive of release.archives) {
      yield* await Promise.all([
        timed(`publint ${archive.name}`, () => run([...publint, archive.path, "--strict"])),
        timed(`attw ${archive.name}`, () =>
          run([...attw, archive.path, "--profile", "esm-only", "--no-color"]),
        ),
      ]);
    }
    yield* useAlone(join(folder, "alone"), release.archives);
    yield* useWithDrivers(join(folder, "drivers"), release.archives);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A project with the packages only: without their peers, so that nothing has to be fetched. */
async function* useAlone(project, archives) {
  const install = ["--offline", "--legacy-peer-deps", ...archives.map(({ path }) => path)];
  const installed = await timed("install alone", () => makeProject(project, install));
  yield installed;
  if (!installed.ok) return;
  yield await timed("use by import", () => run(node("use.mjs"), { cwd: project }));
  yield await timed("use by require", () => run(node("require.cjs"), { cwd: project }));
  yield* compileAndRun(project, "typed", {});
}

/** A project with the drivers, as npm installs peers, and with the versions that the repository is tested with. */
async function* useWithDrivers(project, archives) {
  const drivers = [
    "@opensearch-project/opensearch",
    "@prisma/client",
    "@types/node",
    "@types/pg",
    "ioredis",
    "pg",
    "zod",
  ].map((name) => `${name}@${readJson(`${root}docs/node_modules/${name}/package.json`).version}`);
  const install = ["--prefer-offline", ...archives.map(({ path }) => path), ...drivers];
  const installed = await timed("install with drivers", () => makeProject(project, install));
  yield installed;
  if (installed.ok) yield* compileAndRun(project, "drivers", { lib: ["ES2023"], types: ["node"] });
}

function makeProject(project, install) {
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{ "private": true, "type": "module" }');
  cpSync(`${root}scripts/consumer`, project, { recursive: true });
  return run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", ...install], { cwd: project });
}

/** Checks every declaration of every package, too. */
async function* compileAndRun(project, name, options) {
  const ways = [
    ["nodenext", "nodenext"],
    ["bundler", "esnext"],
  ];
  yield* await Promise.all(
    ways.map(([resolution, module]) => {
      const config = `tsconfig.${resolution}.json`;
      const outDir = `out-${resolution}`;
      const target = { target: "ES2022", module, moduleResolution: resolution };
      const checks = { strict: true, skipLibCheck: false, noEmitOnError: true };
      const compilerOptions = { ...target, ...checks, types: [], outDir, ...options };
      writeFileSync(join(project, config), JSON.stringify({ compilerOptions, files: [`${name}.ts`] }));
      return timed(`${name}.ts with ${resolution}`, async () => {
        const compiled = await run([...tsc, "-p", config, "--pretty", "false"], { cwd: project });
        return compiled.ok ? run(node(`${outDir}/${name}.js`), { cwd: project }) : compiled;
      });
    }),
  );
}

async function timed(name, action) {
  const begin = performance.now();
  const { ok, output } = await action().catch((error) => ({ ok: false, output: `${error.message}\n` }));
  return { name, ok, output, seconds: (performance.now() - begin) / 1000 };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  for await (const { name, ok, output, seconds } of checkPackages()) {
    console.log(ok ? `ok      ${name} (${seconds.toFixed(1)} s)` : `FAILED  ${name}\n${output}`);
    if (!ok) process.exitCode = 1;
  }
}
