// The conformance kit, on what `npm run build` has made.
import { after, before, describe, it } from "node:test";
import { testAdapter } from "@waymark/adapter-testkit";
import { MyStoreAdapter } from "../dist/index.js";

testAdapter(
  {
    name: "my-store",
    // An empty store that nobody else uses. `connect` gives a further adapter on it, as another process would have.
    async open() {
      const store = new Map();
      return {
        connect: () => new MyStoreAdapter(store),
        remove: async () => store.clear(),
      };
    },
    // As the adapter says. What is durable is tested from other processes too: `open` then gives an `address`, for the module
    // that `processEntry` names.
    expects: { durability: "process", turns: false, records: false, search: false, network: "none" },
  },
  { describe, it, beforeAll: before, afterAll: after },
);
