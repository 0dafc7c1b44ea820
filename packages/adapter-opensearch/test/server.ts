import { Client, type ClientOptions } from "@opensearch-project/opensearch";
import { OpenSearchAdapter, type OpenSearchAdapterOptions } from "../src/index.js";

const found = process.env["WAYMARK_TEST_OPENSEARCH"];
if (found === undefined || found === "")
  throw new Error(
    "WAYMARK_TEST_OPENSEARCH names no server; `npm test -- --only adapter-opensearch` starts one",
  );

export const url: string = found;

let stores = 0;

/** Indices of its own, with what opens adapters on them and what removes them. */
export function openIndices(name = "test", node = url) {
  const prefix = `${name}-${process.pid}-${Date.now()}-${stores++}`;
  const indices = { sessions: `${prefix}-sessions`, messages: `${prefix}-messages` };
  const clients: Client[] = [];
  const open = (options: ClientOptions = {}): Client => {
    const client = new Client({ node, ...options });
    clients.push(client);
    return client;
  };
  const client = open();
  const count = async (index: string, field: string, value: string): Promise<number> => {
    await client.indices.refresh({ index });
    const query = { term: { [field]: { value } } };
    return (await client.count({ index, body: { query } })).body.count;
  };
  return {
    indices,
    client,
    open,
    connect: (options: OpenSearchAdapterOptions = {}) =>
      new OpenSearchAdapter(open(), { indices, ...options }),
    hasSession: (id: string) => count(indices.sessions, "id", id).then((found) => found > 0),
    countMessages: (id: string) => count(indices.messages, "sessionId", id),
    remove: async (): Promise<void> => {
      await client.indices.delete({ index: Object.values(indices), ignore_unavailable: true });
      await Promise.all(clients.map((one) => one.close()));
    },
  };
}
