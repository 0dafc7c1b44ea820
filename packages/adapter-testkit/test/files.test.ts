import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { testAdapter } from "../src/index.js";
import { files } from "./support/stores.js";

testAdapter(files, { describe, it, beforeAll, afterAll });
