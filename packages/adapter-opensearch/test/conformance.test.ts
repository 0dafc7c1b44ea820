import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { testAdapter } from "@waymark/adapter-testkit";
import { OpenSearchAdapter } from "../src/index.js";
import { openIndices, url } from "./server.js";

const password = "open-sesame";
const { hostname, port } = new URL(url);

testAdapter(
  {
    name: "OpenSearch",
    // A node takes too long to start: a test of its own kills one.
    expects: { durability: "commit", turns: false, records: false, search: false, network: "proxy" },
    processEntry: new URL("./process-entry.mjs", import.meta.url),
    budgets: {
      turn: { roundTrips: 3, bytes: 13_000 },
      resume: { roundTrips: 2, bytes: 11_000 },
    },
    async open() {
      const store = openIndices("kit");
      return {
        connect: () => store.connect(),
        remove: () => store.remove(),
        address: { indices: store.indices },
        raw: { session: store.hasSession, messages: store.countMessages },
        network: {
          host: hostname,
          port: Number(port),
          connect: (at) => {
            const auth = { username: "ann", password };
            const client = store.open({ node: `http://${at.host}:${at.port}`, auth });
            return new OpenSearchAdapter(client, { indices: store.indices });
          },
          secrets: [password],
        },
      };
    },
  },
  { describe, it, beforeAll, afterAll },
);
