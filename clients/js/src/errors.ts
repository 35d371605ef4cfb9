/** Errors of the service and of the connection, as one class with a code. */

import { ERROR_TEXTS, type ErrorCode } from "./protocol.js";

/** Codes of errors that the client itself detects. */
export const LOCAL_ERROR_TEXTS = {
  connectFailed: "Cannot connect: %s",
  disconnected: "Not connected",
  noAnswer: "No answer to %s in time",
  outboxFull: "More than %s messages wait for their answers",
  outboxUnusable: "The outbox cannot be used: %s",
  uploadCancelled: "The upload was cancelled",
  uploadFailed: "The upload failed with status %s",
  unconfirmed: "It is not known whether the message was stored: %s",
} as const;

export type LocalErrorCode = keyof typeof LOCAL_ERROR_TEXTS;

const PREFIX = "ChatServiceError: ";
const WIRE_NAME = "ChatServiceError";

/** An error of the service, or one of `LocalErrorCode`. Applications may define their own codes. */
export class ChatError extends Error {
  readonly code: ErrorCode | LocalErrorCode | (string & {});
  readonly args: readonly unknown[];

  constructor(code: ErrorCode | LocalErrorCode | (string & {}), args: readonly unknown[] = [], text?: string) {
    super(text ?? errorText(code, args));
    this.name = "ChatError";
    this.code = code;
    this.args = args;
  }

  /** An error as sent by the server: a string, or an object (option `use_raw_error_objects`). */
  static fromWire(value: unknown): ChatError {
    if (isRawError(value)) return new ChatError(value.code, value.args);
    if (typeof value === "string") {
      const text = value.startsWith(PREFIX) ? value.slice(PREFIX.length) : value;
      const [code, args] = parseText(text);
      return new ChatError(code, args, text);
    }
    return new ChatError("internalError", [value]);
  }
}

/** The text of a code; a code without a text stands for itself. */
export function errorText(code: string, args: readonly unknown[]): string {
  const template = TEXTS[code];
  if (template === undefined) return code;
  let position = 0;
  return template.replace(/%[sdj]/g, (place) => {
    if (position >= args.length) return place;
    const value = args[position++];
    return place === "%j" || typeof value !== "string" ? String(JSON.stringify(value)) : value;
  });
}

const TEXTS: Record<string, string | undefined> = { ...ERROR_TEXTS, ...LOCAL_ERROR_TEXTS };

// Longer texts first, because one text may be the beginning of another.
const PATTERNS = Object.entries(ERROR_TEXTS)
  .filter(([code]) => code !== "internalError")
  .sort(([, one], [, other]) => other.length - one.length)
  .map(([code, template]) => ({
    code,
    pattern: new RegExp(
      "^" + template.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/%d/g, "(-?\\d+)").replace(/%[sj]/g, "(.*)") + "$",
      "s",
    ),
    kinds: template.match(/%[sdj]/g) ?? [],
  }));

/** Find the code and the arguments of a text. An unknown text that is not a code belongs to an internal error. */
function parseText(text: string): [string, unknown[]] {
  for (const { code, pattern, kinds } of PATTERNS) {
    const match = pattern.exec(text);
    if (match) return [code, match.slice(1).map((value, index) => fromText(value, kinds[index]))];
  }
  return /^[A-Za-z][A-Za-z0-9_]*$/.test(text) ? [text, []] : ["internalError", [text]];
}

function fromText(text: string, kind: string | undefined): unknown {
  if (kind === "%d") return Number(text);
  if (kind !== "%j") return text;
  try {
    return JSON.parse(text);
  } catch {
    return text; // it was truncated
  }
}

function isRawError(value: unknown): value is { code: string; args: unknown[] } {
  if (typeof value !== "object" || value === null) return false;
  const error = value as Record<string, unknown>;
  return error["name"] === WIRE_NAME && typeof error["code"] === "string" && Array.isArray(error["args"]);
}
