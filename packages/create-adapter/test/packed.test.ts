import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";

const packages = fileURLToPath(new URL("../../", import.meta.url));
let folder: string;
let project: string;

/** Runs a command, as a person would type it; rejects with all that it has printed. */
function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
  const shell = process.platform === "win32";
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd, env, shell, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout + stderr);
      else reject(new Error(`${command} ${args.join(" ")}\n${stdout}${stderr}`, { cause: error }));
    });
  });
}

const archive = (name: string) =>
  join(folder, readdirSync(folder).find((file) => file.startsWith(`waymark-${name}-`)) ?? name);

/** The methods in which the compiler finds something, as often as it does. */
async function methodsToPort(): Promise<string[]> {
  const output = await run(project, "npx", "tsc", "--noEmit", "--pretty", "false").catch(String);
  return [...output.matchAll(/^(src\/\w+\.ts)\((\d+),\d+\): error/gm)].map(([, file = "", line]) => {
    const before = readFileSync(join(project, file), "utf8").split("\n").slice(0, Number(line));
    const [method] = before.toReversed().flatMap((text) => /^ {4}async (\w+)\(/.exec(text)?.[1] ?? []);
    return `${file} ${method}`;
  });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "waymark-create-"));
  project = join(folder, "my-store");
  for (const name of ["core", "adapter-testkit", "create-adapter"])
    await run(join(packages, name), "npm", "pack", "--silent", "--pack-destination", folder);
}, 120_000);

afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe("the packed generator, in an empty folder", () => {
  it("makes a package that installs, compiles and passes the whole kit", async () => {
    const output = await run(
      folder,
      ...(["npm", "exec", "--yes", `--package=${archive("create-adapter")}`, "--"] as const),
      ...["create-adapter", "my-store"],
    );
    expect(output).toMatch(/cd my-store\n +npm install\n +npm test/);
    await run(
      project,
      ...(["npm", "install", "--save-dev", "--no-audit", "--no-fund", "--prefer-offline"] as const),
      ...[archive("core"), archive("adapter-testkit")],
    );
    const tested = await run(project, "npm", "test");
    expect(tested).toMatch(/^. fail 0$/m);
    expect(Number(/^. pass (\d+)$/m.exec(tested)?.[1])).toBeGreaterThan(70);
  }, 600_000);

  it("names the eight methods to port when the type of the store changes, and nothing else", async () => {
    const file = join(project, "src", "store.ts");
    const text = readFileSync(file, "utf8");
    expect(await methodsToPort()).toEqual([]);
    for (const type of [
      "{ query(text: string): Promise<unknown[]> }",
      "{ get(key: string): string }",
      "unknown",
    ]) {
      writeFileSync(file, text.replace("Map<string, string>", type));
      expect((await methodsToPort()).toSorted()).toEqual(
        [
          ...["create", "findById", "update", "delete", "find"].map((name) => `src/sessions.ts ${name}`),
          ...["insert", "findBySessionId", "deleteBySessionId"].map((name) => `src/messages.ts ${name}`),
        ].toSorted(),
      );
    }
  }, 120_000);

  it("says how it is called, and what it refuses", async () => {
    const bin = join(packages, "create-adapter", "dist", "bin.js");
    for (const [args, message] of [
      [[], /npm create @waymark\/adapter NAME/],
      [["--help"], /npm create @waymark\/adapter NAME/],
      [["My Store"], /"My Store" is no name for a package/],
      [["my-store"], /my-store is there and is not empty/],
    ] as const) {
      await expect(run(folder, process.execPath, bin, ...args)).rejects.toThrow(message);
    }
  });
});
