export { FileAdapter, type FileAdapterOptions } from "./adapter.js";
export { readJson, writeJson } from "./json.js";
