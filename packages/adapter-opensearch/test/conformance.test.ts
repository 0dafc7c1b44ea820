import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { testAdapter } from "@waymark/adapter-testkit";
import { openIndices } from "./server.js";

testAdapter(
  {
    name: "OpenSearch",
    expects: { durability: "commit", turns: false, records: false, search: false },
    processEntry: new URL("./process-entry.mjs", import.meta.url),
    async open() {
      const store = openIndices("kit");
      return {
        connect: () => store.connect(),
        remove: () => store.remove(),
        address: { indices: store.indices },
        raw: { session: store.hasSession, messages: store.countMessages },
      };
    },
  },
  { describe, it, beforeAll, afterAll },
);
