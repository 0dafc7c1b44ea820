// A release, rehearsed in a copy of the repository: what the changesets make of the versions, and what would be published.
import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { pnpm, readJson, root, run } from "./run.mjs";

const changesets = `${root}node_modules/@changesets/cli/bin.js`;
const leftOut = new Set(["node_modules", ".git", ".turbo", ".blocks", "coverage"]);

/** The folders of the packages that are published. */
export function publicPackages(repository = root) {
  return readdirSync(join(repository, "packages"))
    .map((name) => ({ name, folder: join(repository, "packages", name) }))
    .filter(({ folder }) => existsSync(join(folder, "package.json")))
    .map((found) => ({ ...found, manifest: readJson(join(found.folder, "package.json")) }))
    .filter(({ manifest }) => !manifest.private);
}

/**
 * Raises the versions in a copy, twice, packs each public package as a release would, and checks all of it.
 * Answers `{ version, archives }`, the archives as `{ name, path }`. Throws what is wrong.
 */
export async function rehearse(folder) {
  const copy = copyRepository(folder);
  const [major, minor] = publicPackages()[0].manifest.version.split(".").map(Number);
  // A minor of core must not make a major of those that have it as a peer, and every change moves all packages.
  await raise(copy, { "@waymark/core": "minor" }, `${major}.${minor + 1}.0`);
  const version = `${major}.${minor + 1}.1`;
  await raise(copy, { "@waymark/adapter-memory": "patch" }, version);

  const target = join(folder, "archives");
  mkdirSync(target);
  await must([...pnpm, "-r", "--filter", "./packages/*", "pack", "--pack-destination", target], copy);
  const packages = publicPackages(copy);
  const archives = packages.map(({ name }) => ({
    name,
    path: join(target, `waymark-${name}-${version}.tgz`),
  }));
  const expected = archives.map(({ path }) => basename(path));
  assert.deepEqual(readdirSync(target).toSorted(), expected.toSorted(), "one archive of each public package");
  await Promise.all(packages.map((one, index) => checkPublish(one, archives[index].path, version)));
  return { version, archives };
}

function copyRepository(folder) {
  const copy = join(folder, "repository");
  cpSync(root, copy, { recursive: true, filter: (source) => !leftOut.has(basename(source)) });
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"), "junction");
  // pnpm reads there which version stands for `workspace:`.
  const packages = publicPackages(copy);
  for (const { folder: from } of packages) {
    const scope = join(from, "node_modules", "@waymark");
    mkdirSync(scope, { recursive: true });
    for (const { name, folder: to } of packages) symlinkSync(to, join(scope, name), "junction");
  }
  return copy;
}

/** Adds a changeset to those that are there, and lets all of them move the versions. */
async function raise(copy, bumps, version) {
  const lines = Object.entries(bumps).map(([name, kind]) => `"${name}": ${kind}`);
  writeFileSync(join(copy, ".changeset", "rehearsal.md"), `---\n${lines.join("\n")}\n---\n\nA rehearsal.\n`);
  const before = privateVersions(copy);
  await must([process.execPath, changesets, "version"], copy);
  for (const { name, folder, manifest } of publicPackages(copy)) {
    assert.equal(manifest.version, version, `the next version of ${name}`);
    const log = readFileSync(join(folder, "CHANGELOG.md"), "utf8");
    assert.ok(log.includes(`## ${version}\n`), `the changelog of ${name} tells of ${version}`);
  }
  assert.deepEqual(privateVersions(copy), before, "versions of private packages");
}

function privateVersions(copy) {
  return ["bench", "docs", ...readdirSync(join(copy, "examples")).map((name) => `examples/${name}`)]
    .map((folder) => join(copy, folder, "package.json"))
    .filter((file) => existsSync(file))
    .map((file) => readJson(file).version);
}

/** What npm would send: exactly the files that belong to the package. */
async function checkPublish({ name, folder, manifest }, archive, version) {
  const command = ["npm", "publish", archive, "--dry-run", "--json", "--offline", "--loglevel", "error"];
  const output = await must(command, folder);
  const published = JSON.parse(output.slice(output.indexOf("\n{") + 1));
  const { id, files } = published[manifest.name] ?? published;
  assert.equal(id, `${manifest.name}@${version}`);
  assert.deepEqual(
    files.map(({ path }) => path).toSorted(),
    filesOf(folder, manifest).toSorted(),
    `files of ${name}; if dist has more than src, remove it and build again`,
  );
}

/** Each source, what tsc makes of it, the template where there is one, and what npm always takes. */
function filesOf(folder, manifest) {
  const under = (part) =>
    readdirSync(join(folder, part), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) =>
        join(entry.parentPath, entry.name)
          .slice(folder.length + 1)
          .replaceAll("\\", "/"),
      );
  const sources = under("src");
  const built = sources.flatMap((source) =>
    ["js", "js.map", "d.ts", "d.ts.map"].map((ending) =>
      source.replace(/^src\//, "dist/").replace(/\.ts$/, `.${ending}`),
    ),
  );
  const more = ["schema", "template"].filter((part) => manifest.files.includes(part)).flatMap(under);
  return ["LICENSE", "README.md", "package.json", ...sources, ...built, ...more];
}

async function must(command, cwd) {
  const { ok, output } = await run(command, { cwd, env: { NO_COLOR: "1" } });
  assert.ok(ok, `${command.join(" ")}\n${output}`);
  return output;
}
