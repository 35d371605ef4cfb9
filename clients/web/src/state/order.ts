/** Compares names the way people sort them, with room2 before room10. */
const collator = new Intl.Collator(undefined, { numeric: true });

export const compareNames = (one: string, other: string): number => collator.compare(one, other);

export const byName = (one: { name: string }, other: { name: string }): number => compareNames(one.name, other.name);
