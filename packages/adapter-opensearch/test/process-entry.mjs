// Makes an adapter in another process, which runs the built package.
import { Client } from "@opensearch-project/opensearch";
import { OpenSearchAdapter } from "@waymark/adapter-opensearch";

export default function connect({ indices }) {
  return new OpenSearchAdapter(new Client({ node: process.env.WAYMARK_TEST_OPENSEARCH }), { indices });
}
