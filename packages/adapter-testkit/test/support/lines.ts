import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type Socket, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type ErrorCode, type PersistenceAdapter, StorageError, WaymarkError } from "@waymark/core/adapter";
import type { Address, Budgets, Harness, TestServer } from "../../src/index.js";

interface Request {
  readonly path: readonly [string, string];
  readonly args: readonly unknown[];
  readonly sessionId?: string | undefined;
}

interface Reply {
  readonly n: number;
  readonly answer: never;
  readonly error?: { code: ErrorCode; message: string; operation: string; sessionId?: string };
}

/** Sends requests to a server on one connection, which is made when it is needed. */
export interface LineClient {
  send(request: Request): Promise<never>;
  close(): void;
}

interface Waiting {
  readonly request: Request;
  resolve(answer: never): void;
  reject(error: unknown): void;
}

/** What a wrong adapter does otherwise. */
export interface Wrong {
  /** The error of a request whose connection is lost. */
  readonly lost?: (request: Request, right: StorageError) => unknown;
  /** Takes the pieces of a connection for whole replies. */
  readonly isUnbuffered?: boolean;
  /** Does not connect a second time. */
  readonly isOnce?: boolean;
  /** Changes the adapter that is made of the client. */
  readonly spoil?: (right: PersistenceAdapter, client: LineClient) => PersistenceAdapter;
}

export function createLineClient({ host, port }: Address, wrong: Wrong = {}): LineClient {
  const waiting = new Map<number, Waiting>();
  let count = 0;
  let current: Socket | undefined;
  let isClosed = false;

  function lose(cause?: Error): void {
    current = undefined;
    const all = [...waiting.values()];
    waiting.clear();
    for (const { request, reject } of all) {
      const { sessionId, path } = request;
      const operation = path[1];
      const message = `${operation}: the connection was lost`;
      const right = new StorageError("STORAGE_UNAVAILABLE", message, { operation, sessionId, cause });
      const error = wrong.lost === undefined ? right : wrong.lost(request, right);
      if (error !== undefined) reject(error);
    }
  }

  function take(line: string): void {
    const { n, answer, error }: Reply = JSON.parse(line);
    const one = waiting.get(n);
    waiting.delete(n);
    if (error === undefined) one?.resolve(answer);
    else one?.reject(new WaymarkError(error.code, error.message, error));
  }

  function open(): Socket {
    const socket = connect(port, host);
    let failed: Error | undefined;
    let rest = "";
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      if (wrong.isUnbuffered === true) rest = "";
      const lines = `${rest}${text}`.split("\n");
      rest = lines.pop() ?? "";
      if (wrong.isUnbuffered === true && rest !== "") return socket.destroy();
      for (const line of lines) take(line);
      return undefined;
    });
    socket.on("error", (error) => (failed = error));
    socket.on("close", () => {
      if (current === socket) lose(failed);
    });
    current = socket;
    return socket;
  }

  return {
    send(request) {
      if (isClosed)
        return Promise.reject(new WaymarkError("CLOSED", "the client is closed", { operation: "send" }));
      const socket = current ?? (wrong.isOnce === true && count > 0 ? undefined : open());
      const n = ++count;
      return new Promise<never>((resolve, reject) => {
        waiting.set(n, { request, resolve, reject });
        if (socket === undefined) return lose();
        const { path, args } = request;
        socket.write(`${JSON.stringify({ n, path, args })}\n`);
        return undefined;
      });
    },
    close() {
      isClosed = true;
      current?.destroy();
    },
  };
}

export function lineAdapter(client: LineClient, wrong: Wrong = {}): PersistenceAdapter {
  const send = (part: string, name: string, args: readonly unknown[], sessionId?: string) =>
    client.send({ path: [part, name], args, sessionId });
  const rows = "sessionRepository";
  const entries = "messageRepository";
  const right: PersistenceAdapter = {
    name: "lines",
    durability: "commit",
    limits: { commitBytes: 1_000_000 },
    sessionRepository: {
      create: (row) => send(rows, "create", [row], row.id),
      findById: (id) => send(rows, "findById", [id], id),
      update: (row, seen) => send(rows, "update", [row, seen], row.id),
      delete: (id, seen) => send(rows, "delete", [id, seen], id),
      find: (filter, page) => send(rows, "find", [filter, page]),
    },
    messageRepository: {
      insert: (list) => send(entries, "insert", [list], list[0]?.sessionId),
      findBySessionId: (id, range) => send(entries, "findBySessionId", [id, range], id),
      deleteBySessionId: (id, range) => send(entries, "deleteBySessionId", [id, range], id),
    },
    turns: {
      groups: true,
      commit: (commits) =>
        send("turns", "commit", [commits], commits.length === 1 ? commits[0]?.id : undefined),
      load: (id, options) => send("turns", "load", [id, options], id),
    },
  };
  return wrong.spoil?.(right, client) ?? right;
}

export interface LineOptions extends Wrong {
  /** What the server keeps: in memory, nothing after it was killed. */
  readonly kind?: "files" | "memory";
  readonly budgets?: Budgets;
}

const program = fileURLToPath(new URL("../children/line-server.mjs", import.meta.url));

/** A harness of the line store; each store has a server process of its own. */
export function lines(name: string, options: LineOptions = {}): Harness {
  const openServer = async (): Promise<TestServer> => {
    const directory = await mkdtemp(join(tmpdir(), "waymark-lines-"));
    let child: ChildProcess;
    let port = 0;
    const start = async () => {
      const args = [program, directory, String(port), options.kind ?? "files"];
      child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
      const { stdout } = child;
      if (stdout === null) throw new Error("the server has no output");
      const [line] = await once(createInterface({ input: stdout }), "line");
      port = Number(line);
    };
    const end = async (signal: NodeJS.Signals) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill(signal);
      await ended;
    };
    await start();
    const clients: LineClient[] = [];
    const connectTo = (at: Address) => {
      const client = createLineClient(at, options);
      clients.push(client);
      return lineAdapter(client, options);
    };
    const own = { host: "127.0.0.1", port };
    return {
      store: {
        connect: () => connectTo(own),
        remove: async () => clients.forEach((client) => client.close()),
        network: { ...own, connect: connectTo, secrets: [password] },
      },
      kill: () => end("SIGKILL"),
      stop: () => end("SIGINT"),
      start,
      remove: async () => {
        await end("SIGKILL");
        await rm(directory, { recursive: true, force: true });
      },
    };
  };
  return {
    name,
    expects: { durability: "commit", turns: true, records: false, search: false, network: "restart" },
    processEntry: new URL("../children/none.mjs", import.meta.url),
    open: async () => {
      const { store, remove } = await openServer();
      return {
        ...store,
        remove: async () => {
          await store.remove();
          await remove();
        },
      };
    },
    openServer,
    budgets: options.budgets ?? {
      turn: { roundTrips: 1, bytes: 4000 },
      resume: { roundTrips: 1, bytes: 16_000 },
    },
  };
}

/** What no error may have in it. */
export const password = "open-sesame";
