/** Requests to the HTTP API, each with the operator's token. */

/** Time in ms after which a request without an answer has failed. */
const TIMEOUT = 30_000;

export type Query = Record<string, string | number | boolean | null | undefined>;

/** An error that the API answered with, or that kept its answer away. */
export class ApiError extends Error {
  constructor(
    /** 0: there was no answer. */
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

/** A path with names in it: path`/rooms/${name}/members`. */
export function path(parts: TemplateStringsArray, ...names: string[]): string {
  return parts.reduce((made, part, index) => made + segment(names[index - 1]!) + part);
}

function segment(name: string): string {
  // A browser takes them for steps in the path, percent-encoded or not.
  if (/^\.\.?$/.test(name)) throw new ApiError(0, "badName", `Browsers cannot ask for the name “${name}”.`);
  return encodeURIComponent(name);
}

export class Api {
  constructor(
    private readonly base: URL,
    private readonly token: string,
    /** Told when the token is refused. */
    private readonly onRefused: (error: ApiError) => void,
  ) {}

  get<T>(place: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
    return this.ask<T>("GET", place, { query, signal });
  }

  send<T = void>(method: "POST" | "PUT" | "PATCH" | "DELETE", place: string, body?: unknown, key?: string): Promise<T> {
    return this.ask<T>(method, place, { body, key });
  }

  /** The body of an endless answer. Only its beginning has a time limit. */
  async stream(place: string, lastEventId: string | null, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const headers: Record<string, string> = lastEventId === null ? {} : { "Last-Event-ID": lastEventId };
    const response = await this.fetch(place, { headers, signal });
    if (!response.ok) throw await this.failure(response);
    if (!response.body) throw new ApiError(0, "noStream", "The server's answer has no body.");
    return response.body;
  }

  private async ask<T>(
    method: string,
    place: string,
    { query = {}, body, key, signal }: { query?: Query; body?: unknown; key?: string; signal?: AbortSignal },
  ): Promise<T> {
    const headers: Record<string, string> = {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (key !== undefined) headers["Idempotency-Key"] = key;
    const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
    const asked = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
    const response = await this.fetch(asked ? `${place}?${asked}` : place, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
    if (!response.ok) throw await this.failure(response);
    const text = await response.text();
    try {
      return (text === "" ? undefined : JSON.parse(text)) as T;
    } catch {
      throw new ApiError(response.status, "noJson", "The answer is not one of the HTTP API.");
    }
  }

  private async fetch(place: string, init: RequestInit): Promise<Response> {
    const ending = new AbortController();
    const stop = () => ending.abort(init.signal?.reason);
    if (init.signal?.aborted) stop();
    init.signal?.addEventListener("abort", stop, { once: true });
    const timer = setTimeout(() => ending.abort("timeout"), TIMEOUT);
    try {
      return await fetch(new URL(place.slice(1), this.base), {
        ...init,
        headers: { ...init.headers, Authorization: `Bearer ${this.token}` },
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
        signal: ending.signal,
      });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      const text = ending.signal.aborted ? "The server did not answer in time." : "The server cannot be reached.";
      throw new ApiError(0, "unreachable", text);
    } finally {
      clearTimeout(timer);
    }
  }

  private async failure(response: Response): Promise<ApiError> {
    let code = "unknown";
    let message = `The server answered with status ${response.status}.`;
    try {
      ({ code, message } = (await response.json()) as { code: string; message: string });
    } catch {
      // A proxy in between.
    }
    const error = new ApiError(response.status, code, message);
    if (response.status === 401) this.onRefused(error);
    return error;
  }
}
