/** The files of messages, as far as they can be trusted, and texts about them. */

import type { Attachment } from "@chat-service/client";

/** The server allows fewer. */
const MAX_SHOWN = 20;
/** Types that are shown as images: browsers never run them. */
const IMAGES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]);

export const isImage = ({ type }: { type: string }): boolean => IMAGES.has(type);

/** The valid attachments of a message: any field of a message may be missing or of another type. */
export function attachmentsOf(message: object): Attachment[] {
  const { attachments } = message as { attachments?: unknown };
  return Array.isArray(attachments) ? attachments.slice(0, MAX_SHOWN).filter(isAttachment) : [];
}

function isAttachment(value: unknown): value is Attachment {
  if (typeof value !== "object" || value === null) return false;
  const { url, name, type, bytes, width, height } = value as Record<string, unknown>;
  const isText = [url, name, type].every((text) => typeof text === "string" && text !== "");
  const isSize = (size: unknown) => size === undefined || (typeof size === "number" && size > 0 && size < 1e6);
  return isText && typeof bytes === "number" && isSize(width) && isSize(height) && isHttp(url as string);
}

function isHttp(url: string): boolean {
  try {
    return /^https?:$/.test(new URL(url, location.href).protocol);
  } catch {
    return false;
  }
}

/** Whether a file lies on the server of this page, which alone may give it images. */
export const isOurs = ({ url }: Attachment): boolean => new URL(url, location.href).origin === location.origin;

/** A message in a line: its text, or the names of its files. */
export const summary = ({ text, attachments = [] }: { text: string; attachments?: readonly Attachment[] }): string =>
  text !== "" ? text : attachments.map(({ name }) => name).join(", ");

const UNITS = ["bytes", "KB", "MB", "GB"];

/** A size in bytes for people. */
export function sizeText(bytes: number): string {
  let [size, unit] = [bytes, 0];
  while (size >= 1000 && unit < UNITS.length - 1) [size, unit] = [size / 1000, unit + 1];
  return `${new Intl.NumberFormat(undefined, { maximumFractionDigits: size < 10 && unit > 0 ? 1 : 0 }).format(size)} ${UNITS[unit]}`;
}

/** Types for people: "PNG, JPEG, audio". */
export function typesText(types: readonly string[]): string {
  const names = types.map((type) => {
    if (type === "*/*") return "all files";
    const [family = "", kind = ""] = type.split("/");
    if (kind === "*") return family === "image" ? "images" : family;
    return type === "text/plain" ? "plain text" : (kind.split(/[.+-]/).at(-1) ?? kind).toUpperCase();
  });
  return [...new Set(names)].join(", ");
}
