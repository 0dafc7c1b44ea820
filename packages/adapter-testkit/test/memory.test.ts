import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { testAdapter } from "../src/index.js";
import { memory } from "./support/stores.js";

const runner = { describe, it, beforeAll, afterAll };

testAdapter(memory("memory"), runner);
testAdapter(memory("memory without facets", { without: ["turns", "records", "search"] }), runner);
