/** Messages in their current form: edits, deletions and reactions are folded in as they arrive. */

import type { Interactions, Relation, RoomMessageOptions, Stored } from "./protocol.js";

/** The options of a message that refers to an earlier one. */
export type RelationOptions = Pick<
  RoomMessageOptions,
  "replyTo" | "edits" | "deletes" | "reactsTo" | "unreactsTo" | "reaction" | "targetEpoch"
>;

/** The methods of a room with which messages refer to earlier ones. */
export interface Speaker<M> {
  reply(id: number, message: M, key?: string): Promise<number>;
  edit(id: number, message: M, key?: string): Promise<number>;
  delete(id: number, message?: M): Promise<number>;
  react(id: number, reaction: string, message?: M): Promise<number>;
  unreact(id: number, reaction: string, message?: M): Promise<number>;
}

/** A message as received, without what others say about it; of a deleted one only the envelope is left. */
export type Content<M> = Partial<M> & Pick<Stored<M>, "id" | "timestamp" | "author"> & { relatesTo?: Relation };

/** How many edits, deletions and reactions are remembered whose message is not known yet. */
const UNHEARD = 200;

const ENVELOPE = ["id", "timestamp", "author", "relatesTo"] as const;

export class FoldedMessage<M extends object> {
  readonly #room: Speaker<M>;
  /** The last message of the room that is taken into account. */
  #upTo: number;
  #message: Content<M>;
  #isEdited: boolean;
  #isDeleted: boolean;
  readonly #reactions = new Map<string, number>();
  readonly #own = new Set<string>();

  /** @internal */
  constructor(room: Speaker<M>, message: Stored<M>, known: Interactions | undefined) {
    this.#room = room;
    const { interactions: _, ...rest } = message;
    this.#message = rest as unknown as Content<M>;
    this.#upTo = known?.upTo ?? message.id;
    this.#isEdited = known?.edited ?? false;
    this.#isDeleted = known?.deleted ?? false;
    for (const { reaction, count, own } of known?.reactions ?? []) {
      this.#reactions.set(reaction, count);
      if (own) this.#own.add(reaction);
    }
  }

  get id(): number {
    return this.#message.id;
  }

  /** The message with its current content; without content if it is deleted. */
  get message(): Content<M> {
    return this.#message;
  }

  get isEdited(): boolean {
    return this.#isEdited;
  }

  get isDeleted(): boolean {
    return this.#isDeleted;
  }

  /** How many users have given each reaction. */
  get reactions(): ReadonlyMap<string, number> {
    return this.#reactions;
  }

  /** The reactions of this client's user. */
  get ownReactions(): ReadonlySet<string> {
    return this.#own;
  }

  /** The id of the message that this one replies to. */
  get replyTo(): number | undefined {
    const relation = this.#message.relatesTo;
    return relation?.type === "reply" ? relation.id : undefined;
  }

  /** Send a reply. All of these methods resolve and reject as `room.send` does. */
  reply(message: M, key?: string): Promise<number> {
    return this.#room.reply(this.id, message, key);
  }

  /** Replace the content; for the author and admins. */
  edit(message: M, key?: string): Promise<number> {
    return this.#room.edit(this.id, message, key);
  }

  /** Delete the message; for the author and admins. */
  delete(message?: M): Promise<number> {
    return this.#room.delete(this.id, message);
  }

  react(reaction: string, message?: M): Promise<number> {
    return this.#room.react(this.id, reaction, message);
  }

  unreact(reaction: string, message?: M): Promise<number> {
    return this.#room.unreact(this.id, reaction, message);
  }

  /** Fold in what a later message says about this one. Returns whether that is news. @internal */
  hear(said: Stored<M>, relation: Relation, userName: string | undefined): boolean {
    if (said.id <= this.#upTo) return false;
    this.#upTo = said.id;
    if (this.#isDeleted) return false;
    if (relation.type === "edit") {
      const content = Object.entries(said).filter(([name]) => !(ENVELOPE as readonly string[]).includes(name));
      this.#message = { ...this.#envelope(), ...Object.fromEntries(content) } as Content<M>;
      this.#isEdited = true;
    } else if (relation.type === "deletion") {
      this.#message = this.#envelope();
      this.#isDeleted = true;
      this.#reactions.clear();
      this.#own.clear();
    } else {
      this.#count(relation.reaction ?? "", relation.type === "reaction" ? 1 : -1, said.author === userName);
    }
    return true;
  }

  #envelope(): Content<M> {
    const kept = ENVELOPE.filter((name) => name in this.#message).map((name) => [name, this.#message[name]]);
    return Object.fromEntries(kept) as Content<M>;
  }

  #count(reaction: string, change: number, isOwn: boolean): void {
    const count = (this.#reactions.get(reaction) ?? 0) + change;
    if (count > 0) this.#reactions.set(reaction, count);
    else this.#reactions.delete(reaction);
    if (!isOwn) return;
    if (change > 0) this.#own.add(reaction);
    else this.#own.delete(reaction);
  }
}

/** The newest messages of a room in their current form. Feed it the room's events and histories. */
export class FoldedMessages<M extends object> {
  readonly #room: Speaker<M>;
  readonly #userName: () => string | undefined;
  readonly #limit: number;
  readonly #messages = new Map<number, FoldedMessage<M>>();
  /** What was said about messages that are not here: their page may be on its way. */
  #unheard: { said: Stored<M>; relation: Relation }[] = [];

  /** @internal */
  constructor(room: Speaker<M>, userName: () => string | undefined, limit: number) {
    this.#room = room;
    this.#userName = userName;
    this.#limit = limit;
  }

  get size(): number {
    return this.#messages.size;
  }

  get(id: number): FoldedMessage<M> | undefined {
    return this.#messages.get(id);
  }

  /** In the order of ids. */
  list(): FoldedMessage<M>[] {
    return [...this.#messages.values()].sort((one, other) => one.id - other.id);
  }

  /** Forget everything, because the room has started over. */
  clear(): void {
    this.#messages.clear();
    this.#unheard = [];
  }

  /**
   * Take a message of the event `message`, in the order of ids, or of a history. `isFolded`: it is from a history that
   * was read with `fold`. Returns the message that is new or has changed, if there is any to show.
   */
  take(message: Stored<M>, isFolded = false): FoldedMessage<M> | undefined {
    const relation = message.relatesTo;
    if (relation !== undefined && relation.type !== "reply") {
      const target = this.#messages.get(relation.id);
      if (target === undefined) {
        this.#unheard.push({ said: message, relation });
        if (this.#unheard.length > UNHEARD) this.#unheard.shift();
        return undefined;
      }
      return target.hear(message, relation, this.#userName()) ? target : undefined;
    }
    if (this.#messages.has(message.id)) return undefined;
    const made = new FoldedMessage<M>(this.#room, message, isFolded ? message.interactions : undefined);
    this.#messages.set(message.id, made);
    for (const { said, relation } of this.#unheard) {
      if (relation.id === message.id) made.hear(said, relation, this.#userName());
    }
    if (this.#messages.size > this.#limit + Math.floor(this.#limit / 8)) this.#trim();
    return made;
  }

  /** Drop the oldest ones, many at once, so that a message costs the same however many are kept. */
  #trim(): void {
    const ids = [...this.#messages.keys()].sort((one, other) => one - other);
    for (const id of ids.slice(0, -this.#limit)) this.#messages.delete(id);
  }
}
