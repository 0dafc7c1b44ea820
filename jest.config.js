import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL(".", import.meta.url));

/** What every suite shares: ESM, TypeScript by swc, workspace packages read from their source. */
function project(rootDir) {
  return {
    displayName: basename(rootDir),
    rootDir,
    testEnvironment: "node",
    testEnvironmentOptions: { customExportConditions: ["waymark-source", "node", "node-addons"] },
    testMatch: ["<rootDir>/test/**/*.test.ts"],
    // What a suite's tests have to have made before they run.
    ...(existsSync(`${rootDir}/test/generate.mjs`) ? { globalSetup: `${rootDir}/test/generate.mjs` } : {}),
    extensionsToTreatAsEsm: [".ts"],
    moduleFileExtensions: ["js", "mjs", "cjs", "ts", "json", "node"],
    moduleNameMapper: { "^(\\.{1,2}/.*)\\.js$": "$1" },
    modulePathIgnorePatterns: ["<rootDir>/dist/"],
    transform: {
      "\\.ts$": [
        require.resolve("@swc/jest"),
        { jsc: { target: "es2023", parser: { syntax: "typescript" } }, sourceMaps: "inline" },
      ],
    },
  };
}

const suites = ["packages", "examples"].flatMap((folder) =>
  existsSync(root + folder) ? readdirSync(root + folder).map((name) => `${root}${folder}/${name}`) : [],
);

export default {
  projects: suites.filter((folder) => existsSync(`${folder}/test`)).map(project),
  coverageProvider: "v8",
  collectCoverageFrom: ["packages/*/src/**/*.ts"],
};
