export { MemoryAdapter, type Facet, type MemoryAdapterOptions, type MemorySnapshot } from "./adapter.js";
