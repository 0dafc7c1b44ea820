// The kit under node's own runner.
import { after, before, describe, it } from "node:test";
import { MemoryAdapter } from "@waymark/adapter-memory";
import { testAdapter } from "@waymark/adapter-testkit";

const wrong = process.env.WRONG === "1";

testAdapter(
  {
    name: "memory",
    open: async () => {
      const adapter = new MemoryAdapter();
      const { create } = adapter.sessionRepository;
      if (wrong) adapter.sessionRepository.create = (row) => create({ ...row, step: null });
      return { connect: () => adapter, remove: async () => adapter.clear() };
    },
    expects: { durability: "process", turns: true, records: true, search: true, network: "none" },
  },
  { describe, it, beforeAll: before, afterAll: after },
);
