export { encryptStore, type EncryptReport, type EncryptStoreOptions } from "./encryption/encrypt-store.js";
export { withEncryption, type EncryptionKey, type EncryptionOptions } from "./encryption/with-encryption.js";
