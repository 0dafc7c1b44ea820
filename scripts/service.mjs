// What the files in scripts/servers/ share: Docker Compose, Debian packages, free ports, folders and users.
import { spawn } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root, run } from "./run.mjs";

export const isRoot = process.getuid?.() === 0;

const lastLine = (output) => output.trim().split("\n").at(-1) ?? "";

/**
 * Starts one service of compose.yaml under a project name of its own, with a random port on this machine.
 * Answers `{ host, port, exec, stop }`, or a sentence that says why Docker does not do it here.
 */
export async function compose(service, containerPort) {
  const engine = await run(["docker", "version", "--format", "{{.Server.Version}}"], { timeoutMs: 10_000 });
  if (!engine.ok) return "No Docker engine answers.";
  const docker = [
    "docker",
    "compose",
    "-f",
    `${root}compose.yaml`,
    "-p",
    `waymark-${service}-${process.pid}`,
  ];
  const stop = () => run([...docker, "down", "--volumes", "--timeout", "1"]);
  const up = await run([...docker, "up", "--detach", "--wait", service], { timeoutMs: 300_000 });
  const address = up.ok ? await run([...docker, "port", service, String(containerPort)]) : up;
  const [, port] = /:(\d+)\s*$/.exec(address.output) ?? [];
  if (!address.ok || port === undefined) {
    await stop();
    return `Docker Compose did not start it: ${lastLine(address.output)}.`;
  }
  const exec = (...command) => run([...docker, "exec", "-T", service, ...command]);
  return { host: "127.0.0.1", port: Number(port), exec, stop };
}

/**
 * Installs a Debian package without starting what it brings. Answers undefined, or a sentence that says why not.
 * `configure` names files to write before, as `{ path: text }`.
 */
export async function installDebian(name, configure = {}) {
  const apt = await run(["apt-get", "--version"]);
  if (!apt.ok) return "This system has no apt-get.";
  if (!isRoot) return `The Debian package ${name} is not installed; run as root, or install it.`;
  for (const [path, text] of Object.entries(configure)) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  const env = { DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const get = ["apt-get", "-y", "-o", "DPkg::Lock::Timeout=120"];
  await run([...get, "update"], { env });
  const { ok, output } = await run([...get, "install", "--no-install-recommends", name], { env });
  return ok ? undefined : `Installing the Debian package ${name} failed: ${lastLine(output)}.`;
}

/** A port of this machine that nothing listens on. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** The first of these users that exists, for servers that refuse to run as root; undefined for everybody else. */
export async function unprivileged(...names) {
  if (!isRoot) return undefined;
  for (const name of names) {
    const ids = await Promise.all([run(["id", "-u", name]), run(["id", "-g", name])]);
    if (ids.every(({ ok }) => ok)) return { uid: Number(ids[0].output), gid: Number(ids[1].output) };
  }
  throw new Error(`none of the users ${names.join(", ")} exists`);
}

/** A temporary folder that belongs to `user`, and what removes it. */
export function folderOf(user) {
  const folder = mkdtempSync(join(tmpdir(), "waymark-server-"));
  if (user) chownSync(folder, user.uid, user.gid);
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/**
 * Runs a command as `user`, until it ends. What it leaves running in the background must not hold the output open, so the
 * output goes nowhere but the exit code.
 */
export function runAs(user, [command, ...args], cwd) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...user, cwd, stdio: "ignore" });
    child.on("error", () => resolve(false));
    child.on("exit", (code) => resolve(code === 0));
  });
}
