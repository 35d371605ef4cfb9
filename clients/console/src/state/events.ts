/** The events of a room, read from a stream that is opened again where it broke off. */

import { signal } from "@preact/signals";

import { type Api, ApiError, path } from "./api.js";
import { explain } from "./texts.js";

export interface RoomEvent {
  /** Counts the events that this page has seen. */
  number: number;
  time: number;
  name: string;
  data: Record<string, unknown>;
}

export type StreamState = "connecting" | "live" | "waiting" | "ended";

/** Events that are kept. */
export const MAX_EVENTS = 500;
/** Time in ms before another attempt, doubled up to the second. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
/** Time in ms without a byte after which the connection is taken for dead; the server sends comments more often. */
const SILENCE = 60_000;
/** Characters of one event. More is nothing that the server sends. */
const MAX_LINE = 8_000_000;

export class RoomEvents {
  readonly state = signal<StreamState>("connecting");
  /** Why it is not live. */
  readonly problem = signal<string | null>(null);
  readonly events = signal<readonly RoomEvent[]>([]);
  private readonly ending = new AbortController();
  private readonly listeners = new Set<(event: RoomEvent) => void>();
  private lastId: string | null = null;
  private count = 0;

  constructor(
    private readonly api: Api,
    private readonly room: string,
  ) {}

  /** Call a function with each event. Returns how to stop that. */
  listen(listener: (event: RoomEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  clear(): void {
    this.events.value = [];
  }

  close(): void {
    this.ending.abort();
  }

  /** Read until the room has gone, or `close` is called. */
  async run(): Promise<void> {
    const { signal } = this.ending;
    let wait = FIRST_WAIT;
    while (!signal.aborted) {
      try {
        const place = path`/rooms/${this.room}/events`;
        const body = await this.api.stream(place, this.lastId, signal);
        this.state.value = "live";
        this.problem.value = null;
        wait = FIRST_WAIT;
        await this.read(body);
      } catch (error) {
        if (signal.aborted) return;
        this.problem.value = explain(error);
        if (error instanceof ApiError && [401, 403, 404].includes(error.status)) this.state.value = "ended";
      }
      if (this.state.value === "ended" || signal.aborted) return;
      this.state.value = "waiting";
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(wait * 2, LONGEST_WAIT);
    }
  }

  private async read(body: ReadableStream<Uint8Array>): Promise<void> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const timer = setTimeout(() => void reader.cancel(), SILENCE);
      const { value, done } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      const blocks = rest.split("\n\n");
      rest = blocks.pop() ?? "";
      if (rest.length > MAX_LINE) throw new ApiError(0, "tooLong", "An event is too long.");
      for (const block of blocks) this.take(block);
    }
  }

  private take(block: string): void {
    const fields = new Map(
      block.split("\n").map((line) => {
        const at = line.indexOf(": ");
        return [line.slice(0, at), line.slice(at + 2)] as const;
      }),
    );
    const data = fields.get("data");
    if (data === undefined) return; // a comment that keeps the stream open
    const event = {
      number: (this.count += 1),
      time: Date.now(),
      name: fields.get("event") ?? "message",
      data: JSON.parse(data) as Record<string, unknown>,
    };
    this.lastId = fields.get("id") ?? this.lastId;
    if (event.name === "end") this.end(event.data);
    this.events.value = [...this.events.value.slice(1 - MAX_EVENTS), event];
    for (const listener of this.listeners) listener(event);
  }

  private end({ code, message }: Record<string, unknown>): void {
    if (code === "noRoom") this.state.value = "ended";
    this.problem.value = explain(new Error(String(message)));
  }
}
