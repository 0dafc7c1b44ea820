import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Client } from "pg";

const url = process.env["WAYMARK_TEST_POSTGRES"];
if (url === undefined || url === "")
  throw new Error("WAYMARK_TEST_POSTGRES names no server; `npm test -- --only express-postgres` starts one");

const main = fileURLToPath(new URL("../main.mjs", import.meta.url));

/** A connection; the test closes it. */
export async function connect(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString });
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** A database of its own on the server of the tests, and what removes it. */
export async function openDatabase() {
  const name = `express_${process.pid}`;
  const admin = await connect(url ?? "");
  await admin.query(`DROP DATABASE IF EXISTS ${name}`);
  await admin.query(`CREATE DATABASE ${name}`);
  const own = new URL(url ?? "");
  own.pathname = `/${name}`;
  return {
    url: own.href,
    remove: async () => {
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.end();
    },
  };
}

export interface Process {
  readonly name: string;
  readonly child: ChildProcess;
  /** How it ended: its code, or the signal. */
  readonly ended: Promise<number | string | null>;
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  say(id: string, text: string, user?: string): Promise<Answer>;
}

export interface RequestOptions {
  readonly body?: unknown;
  readonly user?: string | null;
}

export interface Answer {
  readonly status: number;
  readonly connection: string | null;
  readonly body: Record<string, unknown>;
}

/** Starts the example as a person does; its connections are called `name`. */
export async function startProcess(databaseUrl: string, name: string): Promise<Process> {
  const own = new URL(databaseUrl);
  own.searchParams.set("application_name", name);
  const child = spawn(process.execPath, [main], {
    env: { ...process.env, DATABASE_URL: own.href, PORT: "0" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const ended = new Promise<number | string | null>((resolve) =>
    child.once("close", (code, signal) => resolve(signal ?? code)),
  );
  const base = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const found = /^listening on (\S+)$/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
    void ended.then((how) => reject(new Error(`the process ended with ${how}: ${errors}`)));
  });

  const request = async (method: string, path: string, { body, user = "ada" }: RequestOptions = {}) => {
    const response = await fetch(base + path, {
      method,
      headers: { "content-type": "application/json", ...(user === null ? {} : { "x-user-id": user }) },
      body: typeof body === "string" || body === undefined ? body : JSON.stringify(body),
    });
    const text = await response.text();
    return {
      status: response.status,
      connection: response.headers.get("connection"),
      body: text === "" ? {} : JSON.parse(text),
    };
  };
  const say = (id: string, text: string, user = "ada") =>
    request("POST", `/sessions/${id}/messages`, { body: { text }, user });
  return { name, child, ended, request, say };
}

/** Waits until something holds, as often as it takes; the runner's limit ends it. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await pause(5);
}
