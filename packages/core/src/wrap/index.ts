export { withEncryption, type EncryptionKey, type EncryptionOptions } from "./encryption/with-encryption.js";
