// Makes Prisma's clients for the tests, from the fragments as they are pasted and from the models beside this file: those of the
// newest major, and in `prisma-6` those of the oldest that is supported. Repeated runs cost nothing.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";

const here = fileURLToPath(new URL(".", import.meta.url));

/** Each client by its name: its provider, and the file with its models. */
const clients = {
  postgresql: { provider: "postgresql", models: "../schema/postgresql.prisma" },
  own: { provider: "postgresql", models: "models/own.prisma" },
  sqlite: { provider: "sqlite", models: "../schema/sqlite.prisma" },
  mysql: { provider: "mysql", models: "../schema/mysql.prisma" },
};

/** The majors: the package that has each installed, and what a schema says at its beginning. */
const majors = [
  {
    home: join(here, ".."),
    header: (output, provider) => `${generator(output)}
}

datasource db {
  provider = "${provider}"
}
`,
  },
  {
    home: join(here, "prisma-6"),
    // Without an engine, which would be fetched from elsewhere. The address is not used where there is a driver adapter. One
    // client is of the generator that most applications on this major have.
    header: (output, provider) => `${provider === "sqlite" ? olderGenerator(output) : generator(output)}
  engineType = "client"
}

datasource db {
  provider = "${provider}"
  url      = "file:unused"
}
`,
  },
];

const generator = (output) => `generator client {
  provider            = "prisma-client"
  output              = "./${output}"
  moduleFormat        = "esm"
  importFileExtension = "js"`;

const olderGenerator = (output) => `generator client {
  provider = "prisma-client-js"
  output   = "./${output}"`;

export default function generate() {
  for (const major of majors) for (const name of Object.keys(clients)) generateOne(major, name);
}

function generateOne(major, name) {
  const folder = join(major.home, ".clients");
  const prisma = dirname(createRequire(join(major.home, "package.json")).resolve("prisma/package.json"));
  const text = readFileSync(join(here, clients[name].models), "utf8");
  const version = readFileSync(join(prisma, "package.json"), "utf8");
  const self = readFileSync(fileURLToPath(import.meta.url), "utf8");
  const stamp = createHash("sha256")
    .update(JSON.stringify([text, version, self]))
    .digest("hex");
  const stampFile = join(folder, name, "stamp");
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  const output = `${name}.${process.pid}`;
  const made = join(folder, output);
  make(prisma, made, `${major.header(output, clients[name].provider)}\n${text}`);
  writeFileSync(join(made, "stamp"), stamp);
  // Whole at once: another process may be using it.
  rmSync(join(folder, name), { recursive: true, force: true });
  renameSync(made, join(folder, name));
}

function make(prisma, output, schema) {
  const file = `${output}.prisma`;
  const cwd = dirname(output);
  mkdirSync(cwd, { recursive: true });
  writeFileSync(file, schema);
  execFileSync(process.execPath, [join(prisma, "build", "index.js"), "generate", "--schema", file], {
    cwd,
    encoding: "utf8",
    stdio: "pipe",
    // To make a client needs no engine; this keeps it from being looked for on the network.
    env: {
      ...process.env,
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
      PRISMA_QUERY_ENGINE_LIBRARY: process.execPath,
      PRISMA_HIDE_UPDATE_MESSAGE: "1",
    },
  });
  rmSync(file);
  // Other processes run the client without a compiler.
  for (const path of readdirSync(output, { recursive: true })) {
    if (!path.endsWith(".ts") || path.endsWith(".d.ts")) continue;
    const source = readFileSync(join(output, path), "utf8");
    const compilerOptions = { target: "ES2023", module: "ESNext", verbatimModuleSyntax: true };
    const { outputText } = ts.transpileModule(source, { compilerOptions });
    writeFileSync(join(output, path.replace(/\.ts$/, ".js")), outputText);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) generate();
