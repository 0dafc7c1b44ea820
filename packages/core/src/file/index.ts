export { FileAdapter, type FileAdapterOptions } from "./adapter.js";
