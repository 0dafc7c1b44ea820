import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The repository's root folder, with a slash at its end. */
export const root = fileURLToPath(new URL("../", import.meta.url));

export const readJson = (file) => JSON.parse(readFileSync(file, "utf8"));

/** npx with exactly the pnpm that `packageManager` names, so that nobody has to install it. */
export const pnpm = ["npx", "--yes", readJson(`${root}package.json`).packageManager];

/**
 * Runs a command in the root folder and answers `{ ok, code, output }`; it never throws.
 * With `show` the command writes to the terminal itself and `output` stays empty.
 */
export function run([command, ...args], { show = false, cwd = root, env = {}, timeoutMs } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: show ? "inherit" : ["ignore", "pipe", "pipe"],
      shell: process.platform === "win32" && (command === "npx" || command === "npm"),
      timeout: timeoutMs,
      killSignal: "SIGKILL",
    });
    let output = "";
    child.stdout?.on("data", (chunk) => (output += chunk));
    child.stderr?.on("data", (chunk) => (output += chunk));
    child.on("error", (error) => resolve({ ok: false, code: 1, output: `${output}${error.message}\n` }));
    child.on("close", (code, signal) => {
      if (signal) output += `ended by ${signal}${timeoutMs ? ` (limit ${timeoutMs} ms)` : ""}\n`;
      resolve({ ok: code === 0, code: code ?? 1, output });
    });
  });
}
