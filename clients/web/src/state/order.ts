/** Compares names the way people sort them, with room2 before room10. */
const collator = new Intl.Collator(undefined, { numeric: true });

export const compareNames = (one: string, other: string): number => collator.compare(one, other);

export const byName = (one: { name: string }, other: { name: string }): number => compareNames(one.name, other.name);

/** The order in which the server sorts names: that of the code points, not that of UTF-16. */
export function compareCodePoints(one: string, other: string): number {
  const [a, b] = [[...one], [...other]];
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    if (a[at] !== b[at]) return a[at]!.codePointAt(0)! - b[at]!.codePointAt(0)!;
  }
  return a.length - b.length;
}

/** Conversations in the order of the list: favourites, rooms, direct messages. */
export function listed<One extends { key: string; kind: string }>(
  conversations: readonly One[],
  favourites: ReadonlySet<string>,
): One[] {
  const rank = (one: One) => (favourites.has(one.key) ? 0 : one.kind === "room" ? 1 : 2);
  // Sorting is stable, so that each part keeps its order.
  return [...conversations].sort((one, other) => rank(one) - rank(other));
}
