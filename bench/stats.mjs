/** The middle of some numbers, with the interval that holds it with 95 % confidence (by ranks, so no shape is assumed). */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const n = sorted.length;
  const spread = (1.96 * Math.sqrt(n)) / 2;
  const at = (rank) => sorted[Math.min(n - 1, Math.max(0, Math.round(rank)))];
  return { median: at((n - 1) / 2), low: at((n - 1) / 2 - spread), high: at((n - 1) / 2 + spread) };
}

export function text({ median, low, high }, digits = 2) {
  return `${median.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;
}

/** One row of the report. `limit` is what was promised; none where a number is only told. */
export function row(what, measured, limit, unit = "") {
  const kept = limit === undefined || measured.median <= limit;
  const promise = limit === undefined ? "" : `, at most ${limit}${unit}`;
  console.log(`${kept ? "ok    " : "MISSED"} ${what}: ${text(measured)}${unit}${promise}`);
  return kept;
}

/** How long `after` takes in units of `before`: some of each in turn, so that both see the same machine. */
export async function compare(before, after, { pairs, rounds = 5, settled = async () => {} }) {
  const time = async (work) => {
    const begin = performance.now();
    for (let round = 0; round < rounds; round++) await work();
    await settled();
    return performance.now() - begin;
  };
  const ratios = [];
  for (let pair = 0; pair < pairs; pair++) {
    const first = await time(before);
    ratios.push((await time(after)) / first);
  }
  return median(ratios);
}

/**
 * Until a process is as fast as it will be. One that has only ever met one session is compiled for that one, and slower again
 * for some thousand turns when the next one comes: so there are several, as there are in a server.
 */
export async function warmUp(beforeOf, afterOf) {
  for (let session = 0; session < 20; session++) {
    const id = `warm ${session}`;
    await compare(await beforeOf(id), await afterOf(id), { pairs: 100 });
  }
}

/** Turns of all at once, for each as many as come: nobody waits for the slowest. */
export const each = (works, turns) => () =>
  Promise.all(
    works.map(async (work) => {
      for (let turn = 0; turn < turns; turn++) await work();
    }),
  );
