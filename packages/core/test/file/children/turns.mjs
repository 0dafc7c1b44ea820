// Commits turns that build on each other until it is told to stop, and reports each that is acknowledged.
import { FileAdapter } from "@waymark/core/file";

const {
  directory,
  id,
  name,
  count = Infinity,
  bytes = 10,
  lockTimeoutMs = 5000,
} = JSON.parse(process.argv[2]);
const adapter = new FileAdapter({ directory, lockTimeoutMs });
let made = 0;
const unique = () => `${name}-${process.pid}-${++made}`;
const text = "x".repeat(bytes);

async function turn() {
  const operation = { id: unique(), digest: "d" };
  for (;;) {
    const loaded = await adapter.turns.load(id, { last: 0 });
    const n = loaded === null ? 1 : loaded.row.state.n + 1;
    const expect =
      loaded === null
        ? { kind: "create", life: unique(), createdAt: 1 }
        : { kind: "version", version: loaded.row.version };
    const [outcome] = await adapter.turns.commit([
      {
        id,
        expect,
        operation,
        revision: unique(),
        at: n,
        set: { state: { n } },
        messages: ["a", "b"].map((part) => ({
          userId: null,
          role: "user",
          content: `${n}${part}`,
          createdAt: n,
          body: text,
        })),
        history: [],
      },
    ]);
    if (outcome.status === "failed") throw outcome.error;
    if (outcome.status === "committed" || outcome.status === "replayed")
      return { n, version: outcome.version };
  }
}

try {
  for (let done = 0; done < count; done++) process.send(await turn());
  process.send({ done: true });
} catch (error) {
  process.send({ code: error.code, retryable: error.retryable, message: error.message });
}
process.disconnect();
