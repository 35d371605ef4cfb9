/** What is said to people: errors, times, numbers. */

import { ChatError } from "@chat-service/client";

const ERRORS: Record<string, string> = {
  connectFailed: "The server cannot be reached.",
  disconnected: "There is no connection right now.",
  internalError: "The server had a problem.",
  invalidName: "That name cannot be used. Use letters, digits and blanks, without : { } and without a blank at the ends.",
  listLimitExceeded: "That list is full.",
  messageTooLong: "That message is too long.",
  noAnswer: "The server does not answer. Please try again.",
  noLogin: "Please choose a name.",
  noRoom: "That room does not exist any more.",
  notAllowed: "You are not allowed to do that.",
  notJoined: "You are not in that room any more.",
  roomExists: "There is a room of that name already.",
  timeout: "The server is busy. Please try again.",
  tooManyRooms: "There are too many rooms already.",
  unconfirmed: "The connection was lost on the way. Look whether it has arrived before you send it again.",
};

/** An error in plain words. `special`: better words for some codes. */
export function explain(error: unknown, special: Record<string, string> = {}): string {
  if (!(error instanceof ChatError)) return "Something went wrong.";
  if (error.code === "noUser" || error.code === "noUserOnline") {
    return special[error.code] ?? `${String(error.args[0])} is not here right now.`;
  }
  return special[error.code] ?? ERRORS[error.code] ?? error.message;
}

const timeFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export const timeText = (ms: number): string => timeFormat.format(ms);
export const fullTimeText = (ms: number): string => fullFormat.format(ms);

export function dayText(ms: number): string {
  if (isSameDay(ms, Date.now())) return "Today";
  if (isSameDay(ms, Date.now() - 86_400_000)) return "Yesterday";
  return dayFormat.format(ms);
}

export function isSameDay(one: number, other: number): boolean {
  return new Date(one).toDateString() === new Date(other).toDateString();
}

export const count = (number: number, one: string, many = one + "s"): string =>
  `${number} ${number === 1 ? one : many}`;

export const badge = (number: number): string => (number > 99 ? "99+" : String(number));
