/**
 * What the application hands over: a client, a pool, a database, which it closes itself. Write its type here, or an interface
 * of what you use of it, and the compiler names the eight methods that are to be ported.
 */
export type Store = Map<string, string>;
