export type {
  Budget,
  Budgets,
  Expectations,
  Harness,
  KitOptions,
  Runner,
  TestServer,
  TestStore,
  TimeoutMs,
} from "./harness.js";
export { type Address, type Proxy, type Traffic, createProxy } from "./proxy.js";
export { testAdapter } from "./test-adapter.js";
