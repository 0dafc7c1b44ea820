// Makes Prisma's client for the tests, from the fragments as they are pasted and from the models beside this file. Repeated
// runs cost nothing.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";

const require = createRequire(import.meta.url);
const here = fileURLToPath(new URL(".", import.meta.url));
const prisma = dirname(require.resolve("prisma/package.json"));
const folder = join(here, "..", ".clients");

/** Each client by its name: its provider, and the file with its models. */
const clients = {
  postgresql: { provider: "postgresql", models: "../schema/postgresql.prisma" },
  own: { provider: "postgresql", models: "models/own.prisma" },
  sqlite: { provider: "sqlite", models: "../schema/sqlite.prisma" },
  mysql: { provider: "mysql", models: "../schema/mysql.prisma" },
};

const header = (output, provider) => `generator client {
  provider            = "prisma-client"
  output              = "./${output}"
  moduleFormat        = "esm"
  importFileExtension = "js"
}

datasource db {
  provider = "${provider}"
}

`;

export default function generate() {
  for (const [name, { provider, models }] of Object.entries(clients)) {
    const text = readFileSync(join(here, models), "utf8");
    const version = readFileSync(join(prisma, "package.json"), "utf8");
    const self = readFileSync(fileURLToPath(import.meta.url), "utf8");
    const stamp = createHash("sha256")
      .update(JSON.stringify([text, version, self]))
      .digest("hex");
    const stampFile = join(folder, name, "stamp");
    if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) continue;
    const made = make(`${name}.${process.pid}`, provider, text);
    writeFileSync(join(made, "stamp"), stamp);
    // Whole at once: another process may be using it.
    rmSync(join(folder, name), { recursive: true, force: true });
    renameSync(made, join(folder, name));
  }
}

function make(name, provider, models) {
  const file = join(folder, `${name}.prisma`);
  const output = join(folder, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, header(name, provider) + models);
  execFileSync(process.execPath, [join(prisma, "build", "index.js"), "generate", "--schema", file], {
    cwd: folder,
    encoding: "utf8",
    stdio: "pipe",
    // To make a client needs no engine; this keeps it from being looked for on the network.
    env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, PRISMA_HIDE_UPDATE_MESSAGE: "1" },
  });
  rmSync(file);
  // Other processes run the client without a compiler.
  for (const path of readdirSync(output, { recursive: true })) {
    if (!path.endsWith(".ts")) continue;
    const source = readFileSync(join(output, path), "utf8");
    const compilerOptions = { target: "ES2023", module: "ESNext", verbatimModuleSyntax: true };
    const { outputText } = ts.transpileModule(source, { compilerOptions });
    writeFileSync(join(output, path.replace(/\.ts$/, ".js")), outputText);
  }
  return output;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) generate();
