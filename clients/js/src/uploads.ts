/** Uploads: files go over HTTP with a ticket from the socket, and are attachments of messages. */

import { ChatError } from "./errors.js";

/** A file of a message. */
export interface Attachment {
  /** Relative to the server, or complete. */
  url: string;
  name: string;
  /** By its content, such as `image/png`. */
  type: string;
  bytes: number;
  /** Of images, in pixels, if they are known. */
  width?: number;
  height?: number;
}

/** A file that this client has uploaded. `id`: for the command `uploadDelete`. */
export interface Uploaded extends Attachment {
  id: string;
}

/** What the server takes. */
export interface UploadLimits {
  /** Maximum bytes of a file. */
  maxBytes: number;
  /** Types such as `image/png` or `audio/*`. */
  types: string[];
  /** Maximum number of attachments of a message. */
  maxAttachments: number;
  /** How long files are kept, in seconds; null: until they are deleted. */
  ttl: number | null;
}

export interface UploadOptions {
  /** The name of the file; by default that of a `File`. */
  name?: string;
  /** Called as the upload goes on, in browsers. */
  onProgress?(sent: number, total: number): void;
  /** Cancels the upload: it rejects with `uploadCancelled`, and nothing stays on the server. */
  signal?: AbortSignal;
  /** Milliseconds without any progress after which the upload fails (60 000). */
  idleTimeout?: number;
}

/** A message with files. */
export interface FileMessage {
  textMessage: string;
  attachments: Attachment[];
}

interface Permit {
  url: string;
  ticket: string;
}

/**
 * A message with attachments. Clients that do not know attachments see their addresses at the end of the text. `server`:
 * its address, to complete relative ones there; in a browser, an empty one means the server of the page.
 */
export function attachmentMessage(text: string, attachments: readonly Attachment[], server = ""): FileMessage {
  const lines = attachments.map(({ name, url }) => `${name}: ${absolute(url, server)}`);
  return {
    textMessage: [...(text === "" ? [] : [text]), ...lines].join("\n"),
    attachments: attachments.map(({ url, name, type, bytes, width, height }) => ({
      url,
      name,
      type,
      bytes,
      ...(width !== undefined && height !== undefined && { width, height }),
    })),
  };
}

/** The text of a message without the addresses of its attachments. */
export function captionOf(message: { textMessage: string; attachments?: readonly Attachment[] }): string {
  const lines = message.textMessage.split("\n");
  for (const { name, url } of [...(message.attachments ?? [])].reverse()) {
    const last = lines.at(-1);
    if (last === undefined || !last.startsWith(`${name}: `) || !last.endsWith(url)) break;
    lines.pop();
  }
  return lines.join("\n");
}

/** The complete address of a file. `server`: see `attachmentMessage`. */
export function absolute(url: string, server = ""): string {
  const page = typeof location === "undefined" ? undefined : location.href;
  const base = server === "" ? page : new URL(server, page).href;
  return base === undefined ? url : new URL(url, base).href;
}

/** @internal Send a file with a ticket. */
export async function sendFile(
  ask: () => Promise<unknown>,
  server: string,
  file: Blob,
  { onProgress, signal, idleTimeout = 60_000 }: UploadOptions,
): Promise<Uploaded> {
  if (signal?.aborted) throw new ChatError("uploadCancelled");
  const { url, ticket } = (await ask()) as Permit;
  if (signal?.aborted) throw new ChatError("uploadCancelled");
  const request = { url: absolute(url, server), headers: { Authorization: `Bearer ${ticket}` }, body: file };
  const [status, text] =
    typeof XMLHttpRequest === "undefined"
      ? await byFetch(request, signal)
      : await byXhr(request, signal, idleTimeout, onProgress);
  if (typeof XMLHttpRequest === "undefined") onProgress?.(file.size, file.size);
  let answer: Record<string, unknown>;
  try {
    answer = JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw new ChatError("uploadFailed", [status]);
  }
  if (status === 201) return answer as unknown as Uploaded;
  const { code, args, message } = answer;
  throw new ChatError(
    typeof code === "string" ? code : "uploadFailed",
    Array.isArray(args) ? args : [status],
    typeof message === "string" ? message : undefined,
  );
}

interface UploadRequest {
  url: string;
  headers: Record<string, string>;
  body: Blob;
}

type Answer = [status: number, text: string];

async function byFetch({ url, headers, body }: UploadRequest, signal: AbortSignal | undefined): Promise<Answer> {
  try {
    const answer = await fetch(url, { method: "POST", headers, body, credentials: "omit", ...(signal && { signal }) });
    return [answer.status, await answer.text()];
  } catch {
    throw new ChatError(signal?.aborted ? "uploadCancelled" : "disconnected");
  }
}

/** `fetch` does not tell how far an upload is. */
function byXhr(
  { url, headers, body }: UploadRequest,
  signal: AbortSignal | undefined,
  idleTimeout: number,
  onProgress: UploadOptions["onProgress"],
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    let timer: ReturnType<typeof setTimeout>;
    let isIdle = false;
    const watch = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        isIdle = true;
        xhr.abort();
      }, idleTimeout);
    };
    const cancel = () => xhr.abort();
    xhr.open("POST", url);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = ({ loaded }) => {
      watch();
      onProgress?.(Math.min(loaded, body.size), body.size);
    };
    xhr.onload = () => resolve([xhr.status, xhr.responseText]);
    xhr.onerror = () => reject(new ChatError("disconnected"));
    xhr.onabort = () => reject(isIdle ? new ChatError("noAnswer", ["the upload"]) : new ChatError("uploadCancelled"));
    xhr.onloadend = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", cancel);
    };
    signal?.addEventListener("abort", cancel);
    watch();
    xhr.send(body);
  });
}
