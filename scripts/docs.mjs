// Checks every ```ts block of the READMEs and of docs/: all are type-checked in one program, and each runs in a
// process of its own against the built packages, in an empty folder, unless it is marked `no-run`.
//
//   ```ts             a module of its own
//   ```ts no-run      type-checked only
//   ```ts group=tour  joined, in order, with the other blocks of that name in the same file
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import ts from "typescript";
import { root, run } from "./run.mjs";

const output = `${root}docs/.blocks/`;

function markdownFiles() {
  const docs = readdirSync(`${root}docs`).map((name) => `docs/${name}`);
  const packages = readdirSync(`${root}packages`).map((name) => `packages/${name}/README.md`);
  return ["README.md", ...docs, ...packages].filter(
    (file) => file.endsWith(".md") && existsSync(root + file),
  );
}

/** The modules of one Markdown file. Code keeps its line numbers, so an error names the line in the Markdown. */
function modulesOf(file) {
  const modules = new Map();
  const lines = readFileSync(root + file, "utf8").split(/\r?\n/);
  let current;
  let fence;
  for (const [index, line] of lines.entries()) {
    if (fence) {
      if (line.trim().startsWith(fence) && line.trim().replaceAll("`", "") === "")
        fence = current = undefined;
      else if (current) current.code[index] = line;
      continue;
    }
    const open = /^\s*(`{3,})\s*(\S*)\s*(.*)$/.exec(line);
    if (!open) continue;
    fence = open[1];
    if (open[2] !== "ts") continue;
    const words = open[3].split(/\s+/).filter(Boolean);
    const unknown = words.find((word) => word !== "no-run" && !/^group=[\w-]+$/.test(word));
    if (unknown) throw new Error(`${file}:${index + 1} unknown mark "${unknown}" on a ts block`);
    const group = words.find((word) => word.startsWith("group="))?.slice("group=".length) ?? `${index + 1}`;
    current = modules.get(group) ?? { file, line: index + 1, group, code: [], runs: true };
    if (words.includes("no-run")) current.runs = false;
    modules.set(group, current);
  }
  return [...modules.values()].map((module) => ({
    ...module,
    code: Array.from(module.code, (line) => line ?? "").join("\n"),
    path: `${output}${file.replace(/\.md$/, "").replaceAll("/", "-")}-${module.group}.ts`,
  }));
}

/** Answers one line for each error, with the place in the Markdown. */
function typeCheck(modules) {
  const base = ts.readConfigFile(`${root}tsconfig.base.json`, ts.sys.readFile).config;
  const { options } = ts.parseJsonConfigFileContent(base, ts.sys, `${root}docs`);
  const program = ts.createProgram(
    modules.map(({ path }) => path),
    {
      ...options,
      declaration: false,
      declarationMap: false,
      noEmit: true,
      lib: ["lib.es2023.d.ts", "lib.webworker.d.ts"],
      types: ["node"],
      customConditions: ["waymark-source"],
    },
  );
  const byPath = new Map(modules.map((module) => [module.path, module]));
  return ts.getPreEmitDiagnostics(program).map((diagnostic) => {
    const text = ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n  ");
    if (!diagnostic.file) return text;
    const name = diagnostic.file.fileName;
    const { line } = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start ?? 0);
    return `${byPath.get(name)?.file ?? name.replace(root, "")}:${line + 1} ${text} (TS${diagnostic.code})`;
  });
}

/** Answers the error of one block, or undefined when it ends well. */
async function execute(module) {
  const { outputText } = ts.transpileModule(module.code, {
    fileName: `${root}${module.file}`,
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      inlineSourceMap: true,
      sourceRoot: dirname(root + module.file),
    },
  });
  const script = module.path.replace(/\.ts$/, ".js");
  writeFileSync(script, outputText);
  const folder = mkdtempSync(join(tmpdir(), "waymark-docs-"));
  const result = await run([process.execPath, "--enable-source-maps", script], {
    cwd: folder,
    env: { WAYMARK_HOME: join(folder, "home"), NODE_ENV: "test" },
    timeoutMs: 30_000,
  });
  rmSync(folder, { recursive: true, force: true });
  return result.ok
    ? undefined
    : `${module.file}:${module.line} this block fails when it runs\n${result.output}`;
}

rmSync(output, { recursive: true, force: true });
mkdirSync(output, { recursive: true });
const modules = markdownFiles().flatMap(modulesOf);
for (const { path, code } of modules) writeFileSync(path, code);

const failures = typeCheck(modules);
const queue = failures.length > 0 ? [] : modules.filter(({ runs }) => runs);
const count = queue.length;
const worker = async () => {
  for (let module = queue.shift(); module; module = queue.shift()) {
    const failure = await execute(module);
    if (failure) failures.push(failure);
  }
};
await Promise.all(Array.from({ length: availableParallelism() }, worker));

for (const failure of failures) console.error(failure);
console.log(`${modules.length} blocks type-checked, ${count} run, ${failures.length} errors`);
if (failures.length > 0) process.exitCode = 1;
