export { encryptStore, type EncryptReport, type EncryptStoreOptions } from "./encryption/encrypt-store.js";
export { withEncryption, type EncryptionKey, type EncryptionOptions } from "./encryption/with-encryption.js";
export type { RetryEnvironment, RetryOptions } from "./again.js";
export { withRetry } from "./retry.js";
export { withTenant } from "./tenant.js";
