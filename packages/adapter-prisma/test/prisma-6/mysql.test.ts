import { jest } from "@jest/globals";

jest.unstable_mockModule("../clients.mjs", () => import("./clients.mjs"));
await import("../mysql.test.js");
