// The tests of `encryption.test.ts` where the runtime has nothing but WebCrypto.
Reflect.set(process, "getBuiltinModule", undefined);
await import("./encryption.test.js");
