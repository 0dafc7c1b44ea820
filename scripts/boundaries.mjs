// Import boundaries: who may import whom, without cycles. A violation says where the code belongs.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import ts from "typescript";
import { root } from "./run.mjs";

const core = "packages/core/src/";

/** What each part of core may import besides itself. A file name without its ending stands for that file alone. */
const layers = {
  errors: ["contract"],
  contract: ["errors"],
  codec: ["contract", "errors"],
  state: ["contract", "errors", "codec"],
  turn: ["contract", "errors", "codec", "state"],
  persistence: ["contract", "errors", "codec", "state", "turn"],
  session: ["contract", "errors", "codec", "state", "turn", "persistence"],
  agent: ["contract", "errors", "codec", "state", "turn", "persistence", "session"],
  file: ["contract", "errors", "codec", "turn/apply", "turn/system"],
  wrap: ["contract", "errors", "codec", "turn/apply", "turn/connection", "turn/environment", "turn/system"],
  "session-store": ["contract", "errors", "codec", "state", "turn", "persistence", "file"],
};

/** Parts that run under Node alone; nothing that runs elsewhere imports them. */
const nodeParts = ["file", "session-store"];
const neutralParts = Object.keys(layers).filter((layer) => !nodeParts.includes(layer));

/** Why a layer is closed to the others, for the message. */
const purpose = {
  errors: "errors.ts is read by everything, so it may know only the contract",
  contract:
    "contract/ is types and what they promise: move code that acts on them up to turn/ or persistence/",
  codec: "codec/ turns values into plain JSON and knows no rule of a turn: such a rule belongs to turn/",
  state:
    "state/ is schema, migration and pure helpers: what reads or writes a store belongs to turn/ or persistence/",
  turn: "turn/ holds the rules of one commit: hooks, queries and retention belong to persistence/",
  persistence: "persistence/ is the manager below the handle: what people hold belongs to session/",
  session: "session/ is the handle: what asks a model or walks routes belongs to agent/",
  agent: "agent/ uses what lies below and is imported only by an entry file",
  file: "file/ is an adapter like any other: a rule that all adapters need belongs to turn/ or codec/",
  wrap: "wrap/ takes an adapter and is one: a rule that all adapters need belongs to turn/ or codec/",
  "session-store":
    "session-store/ is the manager on files, under an entry of its own: what an agent does belongs to agent/",
};

/** The files that packages import by name. Nothing inside core imports them. */
const entries = {
  index: neutralParts,
  adapter: ["contract", "errors", "codec", "turn"],
  testing: neutralParts,
};

const allowed = { ...layers, ...entries };

/** What a package other than core may import besides its own files; an adapter not named here gets `adapter`. */
const packages = {
  adapter: ["@waymark/core/adapter"],
  // By the package's own `imports` map: only under Node.
  "adapter-sqlite": ["@waymark/core/adapter", "#file"],
  "adapter-sqlite/src/file": ["@waymark/core/adapter", "node:"],
  "adapter-testkit": ["@waymark/core", "node:"],
  "create-adapter": ["node:"],
};

const violations = [];

const filesOf = (folder) =>
  existsSync(root + folder)
    ? readdirSync(root + folder, { recursive: true })
        .map((file) => folder + file.replaceAll("\\", "/"))
        .filter((file) => file.endsWith(".ts"))
    : [];

const importsOf = (file) => {
  const text = readFileSync(root + file, "utf8");
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName, pos }) => ({
    name: fileName,
    at: `${file}:${text.slice(0, pos).split("\n").length}`,
  }));
};

const resolve = (file, name) => posix.join(posix.dirname(file), name).replace(/\.js$/, ".ts");

/** "turn" for packages/core/src/turn/plan.ts, "index" for packages/core/src/index.ts. */
const partOf = (file) => file.slice(core.length).split("/")[0].replace(/\.ts$/, "");

function checkCore(file, { name, at }) {
  const from = partOf(file);
  if (!(from in allowed)) return;
  if (name.startsWith(".")) {
    const target = resolve(file, name);
    const to = partOf(target);
    const open = [from, ...allowed[from]].some(
      (part) => target === `${core}${part}.ts` || target.startsWith(`${core}${part}/`),
    );
    if (!target.startsWith(core)) {
      violations.push(`${at} imports ${name}, which lies outside src: core reads only its own source`);
    } else if (to in entries) {
      violations.push(`${at} imports the entry ${to}.ts: import the file that defines what you need`);
    } else if (!open) {
      const why = purpose[from] ?? `${from}.ts may show only ${allowed[from].join(", ")} to its readers`;
      violations.push(`${at} ${from} may not import ${to}. ${why}.`);
    }
  } else if (name.startsWith("node:")) {
    if (!nodeParts.includes(from)) {
      const only = nodeParts.map((part) => `${part}/`).join(" and ");
      violations.push(
        `${at} imports ${name}: only ${only} may use Node, everything else runs in any runtime.`,
      );
    }
  } else if (name !== "#default-store") {
    violations.push(
      `${at} imports ${name}: core has no dependency; copy the few lines or take it as a parameter.`,
    );
  }
}

function checkPackage(name, file, imported) {
  const part = Object.keys(packages).findLast((key) => file.startsWith(`packages/${key}/`));
  const open = packages[part ?? "adapter"];
  if (imported.name.startsWith(".") || open.some((prefix) => imported.name.startsWith(prefix))) return;
  violations.push(
    `${imported.at} ${name} may import ${open.join(" and ")} only, not ${imported.name}. ` +
      "Describe what you use of a driver as an interface in client.ts and let the application hand it over; " +
      "a rule that all adapters need belongs to core.",
  );
}

/** Type imports count too: files that need each other's types belong together. */
function checkCycles(graph) {
  const done = new Set();
  const visit = (file, trail) => {
    const start = trail.indexOf(file);
    if (start >= 0) {
      const cycle = [...trail.slice(start), file].map((name) => name.slice(core.length));
      violations.push(
        `${file} is part of a cycle: ${cycle.join(" → ")}. Move what both need into a file of its own.`,
      );
    } else if (!done.has(file)) {
      for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
      done.add(file);
    }
  };
  for (const file of graph.keys()) visit(file, []);
}

const graph = new Map();
for (const file of filesOf(core)) {
  const imports = importsOf(file);
  if (!(partOf(file) in allowed)) {
    violations.push(
      `${file} is no part of core: put the code into one, or add a part to scripts/boundaries.mjs.`,
    );
  }
  for (const imported of imports) checkCore(file, imported);
  const own = imports.filter(({ name }) => name.startsWith(".")).map(({ name }) => resolve(file, name));
  graph.set(file, own);
}
checkCycles(graph);

for (const name of readdirSync(`${root}packages`).filter((folder) => folder !== "core")) {
  for (const file of filesOf(`packages/${name}/src/`)) {
    for (const imported of importsOf(file)) checkPackage(name, file, imported);
  }
}

for (const violation of violations) console.error(violation);
if (violations.length > 0) {
  console.error(`\n${violations.length} import(s) cross a boundary; the table is in scripts/boundaries.mjs.`);
  process.exitCode = 1;
}
