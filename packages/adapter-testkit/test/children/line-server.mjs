// A small database server: the file store, or one in memory, behind a protocol of one JSON text a line. It ends when its
// standard input does.
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { MemoryAdapter } from "@waymark/adapter-memory";
import { FileAdapter } from "@waymark/core/file";

const [directory, port, kind] = process.argv.slice(2);
const store = kind === "memory" ? new MemoryAdapter() : new FileAdapter({ directory });
await store.initialize?.();

async function answerOf({ path: [part, name], args }) {
  try {
    return { answer: await store[part][name](...args) };
  } catch ({ code, message, operation, sessionId }) {
    return { error: { code, message, operation, sessionId } };
  }
}

const sockets = new Set();
const server = createServer((socket) => {
  sockets.add(socket);
  socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  const input = createInterface({ input: socket });
  // A connection that is reset is told to whoever reads it, too.
  input.on("error", () => {});
  input.on("line", async (line) => {
    let request;
    try {
      request = JSON.parse(line);
    } catch {
      // The end of a connection that was cut inside a request.
      return socket.destroy();
    }
    const reply = await answerOf(request);
    if (!socket.destroyed) socket.write(`${JSON.stringify({ n: request.n, ...reply })}\n`);
  });
});

async function end() {
  server.close();
  for (const socket of sockets) socket.destroy();
  await store.disconnect?.();
  process.exit();
}

process.on("SIGINT", () => void end());
process.stdin.on("close", () => process.exit()).resume();
server.listen(Number(port), "127.0.0.1", () => console.log(server.address().port));
