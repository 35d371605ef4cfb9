/** Numbers, times and errors, as people read them. */

import { ApiError } from "./api.js";

const numbers = new Intl.NumberFormat("en");
const rates = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const times = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const names = new Intl.Collator("en", { numeric: true });

export const compareNames = (one: string, other: string): number => names.compare(one, other);

export const number = (value: number): string => numbers.format(value);

/** A rate per second. */
export const rate = (value: number): string => rates.format(value < 0.005 ? 0 : value);

export const dateTime = (ms: number): string => times.format(ms);

export const timeOfDay = (ms: number): string => clock.format(ms);

/** "1 room", "2,000 rooms". */
export function count(value: number, what: string): string {
  return `${number(value)} ${what}${value === 1 ? "" : "s"}`;
}

/** A time in seconds: "0.4 s", "3 min". */
export function duration(seconds: number): string {
  const size = Math.abs(seconds);
  if (size < 10) return `${seconds.toFixed(1)} s`;
  if (size < 120) return `${Math.round(seconds)} s`;
  if (size < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

/** Keeps the direction of a name from that of the sentence. */
export const isolated = (name: string): string => `\u2068${name}\u2069`;

export function explain(error: unknown): string {
  if (error instanceof ApiError || error instanceof Error) {
    return /[.!?…]$/.test(error.message) ? error.message : `${error.message}.`;
  }
  return "Something went wrong.";
}

/** The text of a message, or its fields as JSON. */
export function messageText({ id, timestamp, author, ...rest }: Record<string, unknown>): string {
  const fields = Object.keys(rest);
  const { textMessage } = rest;
  if (fields.length === 1 && typeof textMessage === "string") return textMessage;
  return JSON.stringify(rest);
}
