import nodeCrypto from "node:crypto";
import { afterEach, describe, expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { type Primitives, findPrimitives, webPrimitives } from "../../src/wrap/encryption/aes.js";

function own(): Primitives {
  const found = findPrimitives();
  if (found === undefined) throw new Error("there are none");
  return found;
}

const both: readonly (readonly [string, Primitives])[] = [
  ["the runtime's own", own()],
  ["WebCrypto", webPrimitives(crypto.subtle)],
];

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const hex = (of: Uint8Array) => Buffer.from(of).toString("hex");
/** One that answers at once is no WebCrypto. */
const isSynchronous = async (found: Primitives) => {
  const answer = found.derive(new Uint8Array(32), "");
  await answer;
  return !(answer instanceof Promise);
};

describe.each(both)("published answers (%s)", (_, { derive, aes, mac }) => {
  it("HKDF: RFC 5869, test case 3", async () => {
    expect(hex(await derive(bytes("0b".repeat(22)), ""))).toBe(
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d",
    );
  });

  it("HMAC: RFC 4231, test case 1", async () => {
    const sign = await mac(bytes("0b".repeat(20)));
    expect(hex(await sign(bytes(Buffer.from("Hi There").toString("hex"))))).toBe(
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    );
  });

  it("AES-256-GCM: test case 16 of its specification", async () => {
    const { encrypt, decrypt } = await aes(bytes("feffe9928665731c6d6a8f9467308308".repeat(2)));
    const plain = bytes(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" +
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    );
    const beside = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    const nonce = bytes("cafebabefacedbaddecaf888");
    const encrypted = bytes(
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa" +
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" +
        "76fc6ece0f4e1768cddf8853bb2d551b",
    );
    expect(hex(await encrypt(plain, nonce, beside))).toBe(hex(encrypted));
    expect(hex(await decrypt(encrypted, nonce, beside))).toBe(hex(plain));
  });

  it("the key may be cleared once it is taken", async () => {
    const key = new Uint8Array(32).fill(7);
    const [nonce, none] = [new Uint8Array(12), new Uint8Array()];
    const [cleared, kept] = [key.slice(), key.slice()].map((one) => [one, aes(one), mac(one)] as const);
    cleared?.[0].fill(0);
    const made = async (one: typeof cleared) => {
      if (one === undefined) throw new Error("there are two");
      const [, cipher, sign] = one;
      return [hex(await (await cipher).encrypt(none, nonce, none)), hex(await (await sign)(none))];
    };
    expect(await made(cleared)).toEqual(await made(kept));
  });
});

const anyBytes = fc.uint8Array({ maxLength: 300 }).map((found) => new Uint8Array(found));
const sized = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((found) => new Uint8Array(found));

it("both give the same bytes, and read what the other wrote", async () => {
  await fc.assert(
    fc.asyncProperty(
      ...([sized(32), fc.string({ unit: "binary" }), sized(12), anyBytes, anyBytes] as const),
      async (key, info, nonce, plain, beside) => {
        const made = both.map(async ([, { derive, aes, mac }]) => {
          const cipher = await aes(await derive(key, info));
          const encrypted = await cipher.encrypt(plain, nonce, beside);
          return { cipher, encrypted, mac: hex(await (await mac(key))(plain)) };
        });
        const [one, other] = await Promise.all(made);
        if (one === undefined || other === undefined) throw new Error("there are two");
        expect([hex(one.encrypted), one.mac]).toEqual([hex(other.encrypted), other.mac]);
        for (const { cipher } of [one, other])
          expect(hex(await cipher.decrypt(one.encrypted, nonce, beside))).toBe(hex(plain));
      },
    ),
  );
});

it("both refuse a changed bit, wherever it is", async () => {
  const key = sized(32);
  await fc.assert(
    fc.asyncProperty(key, sized(12), anyBytes, anyBytes, fc.nat(), async (key, nonce, plain, beside, at) => {
      for (const [, { aes }] of both) {
        const { encrypt, decrypt } = await aes(key);
        const parts = [await encrypt(plain, nonce, beside), nonce, beside] as const;
        const length = parts.reduce((sum, part) => sum + part.length, 0);
        let left = at % (length * 8);
        const [encrypted, newNonce, newBeside] = parts.map((part) => {
          const copy = part.slice();
          if (left >= 0 && left < part.length * 8)
            copy[left >> 3] = (copy[left >> 3] ?? 0) ^ (1 << (left & 7));
          left -= part.length * 8;
          return copy;
        });
        if (!encrypted || !newNonce || !newBeside) throw new Error("there are three");
        await expect(async () => decrypt(encrypted, newNonce, newBeside)).rejects.toThrow();
        const short = parts[0].subarray(0, plain.length + 15);
        await expect(async () => decrypt(short, nonce, beside)).rejects.toThrow();
      }
    }),
  );
});

describe("the choice", () => {
  const { getBuiltinModule } = process;
  afterEach(() => {
    process.getBuiltinModule = getBuiltinModule;
  });

  it("is the runtime's own", async () => {
    expect(await isSynchronous(own())).toBe(true);
  });

  const throwing = () => {
    throw new Error("not implemented");
  };
  const { createDecipheriv } = nodeCrypto;
  it.each([
    ["there is no way to it", undefined],
    ["it cannot be loaded", throwing],
    ["it is not there", () => undefined],
    ["it is not all there", () => ({ createSecretKey: throwing })],
    ["some of it throws", () => ({ ...nodeCrypto, createCipheriv: throwing })],
    ["it gives other bytes", () => ({ ...nodeCrypto, hkdfSync: () => new ArrayBuffer(32) })],
    [
      "it does not look at the tag",
      () => ({
        ...nodeCrypto,
        createDecipheriv: (...given: Parameters<typeof createDecipheriv>) =>
          Object.assign(createDecipheriv(...given), { final: () => Buffer.alloc(0) }),
      }),
    ],
  ])("is WebCrypto where %s", async (_, load) => {
    Reflect.set(process, "getBuiltinModule", load);
    expect(await isSynchronous(own())).toBe(false);
  });
});
