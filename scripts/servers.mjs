/**
 * The database servers that tests need. None yet: the memory and the file store need no server.
 *
 * An entry is `{ name, suites, ways }`. `suites` names the jest projects that need it. `ways` are functions
 * that are tried in order, Docker Compose before a local binary; each answers `{ env, stop }` or, when it
 * cannot work here, a sentence that says why.
 */
const servers = [];

/**
 * Starts them all. `env` is what the tests get to find them, `missing` has one line for each that did not
 * start; under CI each such line counts as a failed test.
 */
export async function startServers() {
  const started = [];
  const missing = [];
  for (const { name, suites, ways } of servers) {
    const reasons = [];
    for (const way of ways) {
      const answer = await way();
      if (typeof answer !== "string") {
        started.push(answer);
        reasons.length = 0;
        break;
      }
      reasons.push(answer);
    }
    if (reasons.length > 0) missing.push(`${name}: ${suites.join(", ")} did not run. ${reasons.join(" ")}`);
  }
  return {
    env: Object.assign({}, ...started.map((server) => server.env)),
    missing,
    stop: () => Promise.all(started.map((server) => server.stop())),
  };
}
