/** Texts for users: errors, times, numbers. */

import { ChatError } from "@chat-service/client";

const ERRORS: Record<string, string> = {
  connectFailed: "The server cannot be reached.",
  disconnected: "There is no connection right now.",
  internalError: "The server had a problem.",
  invalidName: "That name cannot be used. Use letters, digits and spaces, but not : { }, and no space at the beginning or end.",
  limitExceeded: "There are too many different reactions already.",
  listLimitExceeded: "That list is full.",
  messageTooLong: "That message is too long.",
  noAnswer: "The server does not answer. Please try again.",
  noLogin: "Please choose a name.",
  noMessage: "That message no longer exists.",
  noRoom: "That room no longer exists.",
  notAllowed: "You are not allowed to do that.",
  notJoined: "You are no longer in that room.",
  roomExists: "A room with that name already exists.",
  timeout: "The server is busy. Please try again.",
  tooManyRooms: "There are too many rooms already.",
  unconfirmed: "The connection was lost while sending. Check whether the message has arrived before you send it again.",
};

/** An error in plain words. `special`: more specific words for some codes. */
export function explain(error: unknown, special: Record<string, string> = {}): string {
  if (!(error instanceof ChatError)) return "Something went wrong.";
  if (error.code === "noUser" || error.code === "noUserOnline") {
    return special[error.code] ?? `${isolated(String(error.args[0]))} is not here right now.`;
  }
  return special[error.code] ?? ERRORS[error.code] ?? error.message;
}

/** A letter of a script that is written from right to left. */
const RTL = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** The direction of a text, by its first letter. */
export function direction(text: string): "ltr" | "rtl" {
  const first = /\p{L}/u.exec(text);
  return first && RTL.test(first[0]) ? "rtl" : "ltr";
}

/** A name for use in an English sentence: right-to-left names must not affect the punctuation around them. */
export const isolated = (name: string): string => (RTL.test(name) ? `\u2068${name}\u2069` : name);

/** Characters as people and the server count them. */
export const characters = (text: string): number => [...text].length;

/** The error for a text that is too long, or null. The text is not truncated. */
export function tooLong(text: string, limit: number, what = "a name"): string | null {
  const over = characters(text.trim()) - limit;
  if (over <= 0) return null;
  return `${numberFormat.format(over)} ${over === 1 ? "character" : "characters"} too many: ${what} has up to ${numberFormat.format(limit)}.`;
}

/** Maximum number of characters in names; the server refuses longer ones. */
export const MAX_USER_NAME = 32;
export const MAX_ROOM_NAME = 40;

const numberFormat = new Intl.NumberFormat();
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

/** A day and a time within a sentence, such as "today 10:32". */
export function whenText(ms: number): string {
  const shown = dayText(ms);
  return `${["Today", "Yesterday"].includes(shown) ? shown.toLowerCase() : shown} ${timeText(ms)}`;
}

/** The day that was asked for last, as times in ms: neighbours in a list are nearly always of one day. */
let day = { from: 0, to: 0 };

/** When a day began, in the time zone of the browser. */
function dayOf(ms: number): number {
  if (ms < day.from || ms >= day.to) {
    const date = new Date(ms);
    const from = date.setHours(0, 0, 0, 0);
    day = { from, to: date.setDate(date.getDate() + 1) };
  }
  return day.from;
}

export const isSameDay = (one: number, other: number): boolean => dayOf(one) === dayOf(other);

export const count = (number: number, one: string, many = one + "s"): string =>
  `${number} ${number === 1 ? one : many}`;

export const badge = (number: number): string => (number > 99 ? "99+" : String(number));

const agoFormat = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const UNITS = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000]] as const;

/** How long ago a time was, such as "5 minutes ago". */
export function agoText(ms: number, now = Date.now()): string {
  const passed = Math.max(0, now - ms);
  for (const [unit, length] of UNITS) {
    if (passed >= length) return agoFormat.format(-Math.floor(passed / length), unit);
  }
  return "just now";
}
