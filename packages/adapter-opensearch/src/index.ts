export { OpenSearchAdapter, type OpenSearchAdapterOptions } from "./adapter.js";
export type { OpenSearchClient } from "./client.js";
export { indexDefinitions } from "./indices.js";
