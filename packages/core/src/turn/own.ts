/**
 * Remembers which versions of a session were made by this process without anybody else in between: the policy `queue` lets
 * a later turn of the process go on top of an earlier one, and of nobody else's.
 */
export interface OwnVersions {
  moved(id: string, from: string | undefined, to: string): void;
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

  function madeAll(id: string, from: string, to: string): boolean {
    const chain = chains.get(id);
    return chain !== undefined && chain.latest === to && isBetween(from, chain.first, chain.latest);
  }

  return { moved, madeAll };
}

function isBetween(version: string, first: string, last: string): boolean {
  const life = (text: string) => text.slice(0, text.lastIndexOf("."));
  const number = (text: string) => Number(text.slice(text.lastIndexOf(".") + 1));
  if (life(version) !== life(first)) return false;
  return number(version) >= number(first) && number(version) <= number(last);
}
