/**
 * Remembers which versions of a session were made by this process without anybody else in between: the policy `queue` lets
 * a later turn of the process go on top of an earlier one, and of nobody else's.
 */
export interface OwnVersions {
  moved(id: string, from: string | undefined, to: string): void;
  /** The same, for a change that turned out to have been made: counted where it is the very next version. */
  movedOnce(id: string, from: string | undefined, to: string): void;
  /** Whether every change from version `from` to version `to` was made here. */
  madeAll(id: string, from: string, to: string): boolean;
}

interface Chain {
  readonly first: string;
  readonly latest: string;
}

const sessionsRemembered = 1000;

export function createOwnVersions(): OwnVersions {
  const chains = new Map<string, Chain>();

  function moved(id: string, from: string | undefined, to: string): void {
    const chain = chains.get(id);
    const first = chain !== undefined && chain.latest === from ? chain.first : (from ?? to);
    chains.delete(id);
    chains.set(id, { first, latest: to });
    const oldest = chains.size > sessionsRemembered ? chains.keys().next().value : undefined;
    if (oldest !== undefined) chains.delete(oldest);
  }

  function movedOnce(id: string, from: string | undefined, to: string): void {
    if (from === undefined || (lifeOf(from) === lifeOf(to) && numberOf(from) + 1 === numberOf(to)))
      moved(id, from, to);
  }

  function madeAll(id: string, from: string, to: string): boolean {
    const chain = chains.get(id);
    return chain !== undefined && chain.latest === to && isBetween(from, chain.first, chain.latest);
  }

  return { moved, movedOnce, madeAll };
}

function isBetween(version: string, first: string, last: string): boolean {
  if (lifeOf(version) !== lifeOf(first)) return false;
  return numberOf(version) >= numberOf(first) && numberOf(version) <= numberOf(last);
}

function lifeOf(version: string): string {
  return version.slice(0, version.lastIndexOf("."));
}

function numberOf(version: string): number {
  return Number(version.slice(version.lastIndexOf(".") + 1));
}
