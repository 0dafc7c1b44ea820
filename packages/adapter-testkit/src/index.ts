export type { Expectations, Harness, KitOptions, Runner, TestStore, TimeoutMs } from "./harness.js";
export { testAdapter } from "./test-adapter.js";
