/** The files that the user attaches to the next message of a room, while they are being uploaded and after it. */

import { ChatError, type Room, type Uploaded, type UploadLimits } from "@chat-service/client";
import { computed, signal } from "@preact/signals";

import { isImage, sizeText, typesText } from "./attachments.js";
import type { Client } from "./demo.js";
import { explain } from "./texts.js";

export interface PendingFile {
  key: number;
  name: string;
  bytes: number;
  /** An address of the image in this page; null for other files. */
  preview: string | null;
  /** Bytes sent so far. */
  sent: number;
  state: "waiting" | "uploading" | "done" | "failed";
  /** Why it failed, and whether another attempt may help. */
  error?: string;
  canRetry?: boolean;
  uploaded?: Uploaded;
}

/** The server allows a user a few uploads at the same time. */
const PARALLEL = 2;
/** Errors after which the upload is tried again by itself, after a while. */
const BUSY = new Set(["rateLimited", "uploadTooMany"]);
const MAX_ATTEMPTS = 6;
const PAUSE_MS = 1000;

/** The limits of each connection, asked for once. */
const known = new WeakMap<Client, Promise<UploadLimits | null>>();

function limitsOf(client: Client): Promise<UploadLimits | null> {
  let asked = known.get(client);
  if (asked === undefined) {
    asked = client.uploadLimits().catch(() => {
      // Without a connection; the next room asks again.
      known.delete(client);
      return null;
    });
    known.set(client, asked);
  }
  return asked;
}

export class UploadQueue {
  readonly files = signal<readonly PendingFile[]>([]);
  /** What the server takes; null while that is unknown, or if it takes nothing. */
  readonly limits = signal<UploadLimits | null>(null);
  readonly isBusy = computed(() => this.files.value.some(({ state }) => state === "waiting" || state === "uploading"));
  readonly ready = computed(() => this.files.value.filter(({ state }) => state === "done"));
  /** Why files were not added. */
  readonly problem = signal("");
  readonly #room: Room;
  readonly #client: Client;
  readonly #sources = new Map<number, { file: File; stop: AbortController }>();
  #keys = 0;

  constructor(room: Room, client: Client) {
    this.#room = room;
    this.#client = client;
  }

  /** Ask the server what it takes. Called when the room was joined. */
  async load(): Promise<void> {
    this.limits.value ??= await limitsOf(this.#client);
  }

  /** Add files, and begin to upload them. */
  add(files: Iterable<File>): void {
    const limits = this.limits.value;
    if (limits === null) return;
    this.problem.value = "";
    for (const file of files) {
      if (this.files.value.length >= limits.maxAttachments) {
        this.problem.value = `A message has up to ${limits.maxAttachments} files.`;
        break;
      }
      const key = ++this.#keys;
      const preview = isImage(file) ? URL.createObjectURL(file) : null;
      const item: PendingFile = { key, name: file.name, bytes: file.size, preview, sent: 0, state: "waiting" };
      this.#sources.set(key, { file, stop: new AbortController() });
      const error = file.size > limits.maxBytes ? tooLarge(limits) : undefined;
      this.files.value = [...this.files.value, error === undefined ? item : { ...item, state: "failed", error }];
    }
    this.#pump();
  }

  /** Remove a file, and cancel its upload. A file that was uploaded already is deleted. */
  remove(key: number): void {
    const item = this.files.value.find((one) => one.key === key);
    this.#sources.get(key)?.stop.abort();
    this.#forget([key]);
    this.problem.value = "";
    if (item?.uploaded) void this.#client.request("uploadDelete", item.uploaded.id).catch(() => undefined);
    this.#pump();
  }

  retry(key: number): void {
    this.#change(key, { state: "waiting", sent: 0 });
    this.#pump();
  }

  /** The uploaded files, which now belong to a message. */
  take(): Uploaded[] {
    const ready = this.ready.value;
    this.#forget(ready.map(({ key }) => key));
    this.problem.value = "";
    return ready.map(({ uploaded }) => uploaded!);
  }

  /** Cancel everything. */
  clear(): void {
    for (const { key } of this.files.value) this.remove(key);
  }

  #pump(): void {
    const running = this.files.value.filter(({ state }) => state === "uploading").length;
    const waiting = this.files.value.filter(({ state }) => state === "waiting");
    for (const { key } of waiting.slice(0, Math.max(0, PARALLEL - running))) {
      this.#change(key, { state: "uploading" });
      void this.#upload(key).finally(() => this.#pump());
    }
  }

  async #upload(key: number): Promise<void> {
    const source = this.#sources.get(key);
    if (source === undefined) return;
    const { file, stop } = source;
    for (let attempt = 1; ; attempt++) {
      try {
        const onProgress = (sent: number) => this.#change(key, { sent });
        const uploaded = await this.#room.upload(file, { onProgress, signal: stop.signal });
        this.#change(key, { state: "done", sent: file.size, uploaded });
        return;
      } catch (error) {
        if (stop.signal.aborted) return;
        const isBusy = error instanceof ChatError && BUSY.has(error.code);
        if (!isBusy || attempt === MAX_ATTEMPTS) {
          this.#change(key, { state: "failed", ...failure(error, this.limits.value) });
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * attempt));
        if (stop.signal.aborted) return;
      }
    }
  }

  #change(key: number, changes: Partial<PendingFile>): void {
    this.files.value = this.files.value.map((one) => (one.key === key ? { ...one, ...changes } : one));
  }

  #forget(keys: readonly number[]): void {
    for (const { key, preview } of this.files.value) {
      if (!keys.includes(key)) continue;
      this.#sources.delete(key);
      if (preview !== null) URL.revokeObjectURL(preview);
    }
    this.files.value = this.files.value.filter(({ key }) => !keys.includes(key));
  }
}

const tooLarge = ({ maxBytes }: UploadLimits) => `This file is too large: files have up to ${sizeText(maxBytes)}.`;

/** What went wrong, with what is allowed. */
function failure(error: unknown, limits: UploadLimits | null): Pick<PendingFile, "error" | "canRetry"> {
  const code = error instanceof ChatError ? error.code : "";
  if (limits && code === "uploadTooLarge") return { error: tooLarge(limits), canRetry: false };
  if (limits && code === "uploadTypeNotAllowed") {
    const error = `Files of this type cannot be shared. Allowed are ${typesText(limits.types)}.`;
    return { error, canRetry: false };
  }
  const args = error instanceof ChatError ? error.args : [];
  const text = explain(error, {
    disconnected: "The upload was interrupted.",
    rateLimited: "There were too many uploads. Try again later.",
    uploadBroken: "The upload was interrupted.",
    uploadImageTooLarge: "This image has too many pixels.",
    uploadQuota: args[0] === "user" ? "You have no space left for files." : "There is no space left for files.",
    uploadRefused: "The server does not take this file.",
    uploadStorageFull: "There is no space left for files.",
    uploadTimeout: "The upload took too long.",
    uploadTooMany: "There were too many uploads. Try again later.",
    uploadWrongLength: "The file has changed. Choose it again.",
  });
  const isFinal = ["uploadImageTooLarge", "uploadRefused", "uploadWrongLength"].includes(code);
  return { error: text, canRetry: !isFinal };
}
