import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const template = fileURLToPath(new URL("../template", import.meta.url));

/** What npm takes for a name, as far as a class can be called after it. */
const packageName = /^(@[a-z0-9][a-z0-9._-]*\/)?[a-z][a-z0-9._-]*$/;

/**
 * Writes a new adapter package into a folder of `parent`, which is called like the package, without its scope.
 * @returns the folder.
 * @throws where the name is none for a package, or the folder has something in it; nothing is written then.
 */
export function createAdapter(name: string, parent: string): string {
  if (!packageName.test(name) || name.length > 214)
    throw new Error(`"${name}" is no name for a package: take lower-case letters, digits and hyphens`);
  const folder = join(parent, basename(name));
  if (existsSync(folder) && readdirSync(folder).length > 0)
    throw new Error(`${folder} is there and is not empty: take another name, or another folder`);

  mkdirSync(folder, { recursive: true });
  cpSync(template, folder, { recursive: true });
  // Under their own names, npm would not pack the one, and take the other for part of this package.
  renameSync(join(folder, "gitignore"), join(folder, ".gitignore"));
  renameSync(join(folder, "manifest.json"), join(folder, "package.json"));
  const store = storeOf(basename(name));
  for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (/\.(ts|mjs|md)$/.test(file)) rewrite(join(folder, file), (text) => renamed(text, store));
  }
  rewrite(join(folder, "package.json"), (text) => manifest(text, name, store));
  return folder;
}

function rewrite(file: string, change: (text: string) => string): void {
  writeFileSync(file, change(readFileSync(file, "utf8")));
}

/** What the adapter is for: `redis` of `waymark-adapter-redis`. */
function storeOf(name: string): string {
  const store = name.replace(/^(waymark-)?(adapter-)?/, "").replace(/-adapter$/, "");
  return /^[a-z]/.test(store) ? store : name;
}

function renamed(text: string, store: string): string {
  const words = store.split(/[^a-z0-9]+/).filter((word) => word !== "");
  const className = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
  return text.replaceAll("MyStore", className).replaceAll("my-store", store);
}

/** Core, the kit and this package have one version. */
function manifest(text: string, name: string, store: string): string {
  const own: { version: string } = JSON.parse(
    readFileSync(new URL("../package.json", import.meta.url), "utf8"),
  );
  return renamed(text, store)
    .replace(`"name": "${store}"`, `"name": "${name}"`)
    .replaceAll('"^0.0.0"', `"^${own.version}"`)
    .replaceAll('">=0.0.0 ', `">=${own.version} `);
}
