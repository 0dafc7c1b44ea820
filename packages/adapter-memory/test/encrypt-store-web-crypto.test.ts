// The tests of `encrypt-store.test.ts` where the runtime has nothing but WebCrypto.
Reflect.set(process, "getBuiltinModule", undefined);
await import("./encrypt-store.test.js");
