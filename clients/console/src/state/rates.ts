/** What an instance does per second, from the differences of its counters. */

import type { Statistics } from "./records.js";

export const COUNTED = ["messages", "commands", "failures", "deliveries", "logins"] as const;
export type Counted = (typeof COUNTED)[number];
export type Rates = Record<Counted, number>;

/** Samples that are kept. */
export const MAX_SAMPLES = 60;

/** The rates between two readings; null if they are of different instances, or of no different time. */
export function ratesBetween(before: Statistics, now: Statistics): Rates | null {
  const seconds = (now.time - before.time) / 1000;
  if (before.instanceId !== now.instanceId || seconds <= 0) return null;
  return Object.fromEntries(
    COUNTED.map((name) => [name, Math.max(0, (now[name] ?? 0) - (before[name] ?? 0)) / seconds]),
  ) as Rates;
}

/** The points of a line through values, in a box of the given size, for SVG. */
export function linePoints(values: readonly number[], width: number, height: number): string {
  const highest = Math.max(...values, 1e-9);
  const step = width / (MAX_SAMPLES - 1);
  const start = width - step * (values.length - 1);
  return values
    .map((value, index) => `${(start + index * step).toFixed(1)},${(height - (value / highest) * height).toFixed(1)}`)
    .join(" ");
}
