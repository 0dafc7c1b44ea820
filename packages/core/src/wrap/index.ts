export type { RetryEnvironment, RetryOptions } from "./again.js";
export { withRetry } from "./retry.js";
export { withTenant } from "./tenant.js";
