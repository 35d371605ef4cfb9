/** Vue composables of chat_service, for Vue 3. Names of rooms may be values, refs or getters. */

import {
  computed,
  inject,
  onScopeDispose,
  provide,
  shallowRef,
  toValue,
  watch,
  type ComputedRef,
  type InjectionKey,
  type MaybeRefOrGetter,
  type ShallowRef,
} from "vue";

import type { ChatClient, ConnectionState, Login } from "../client.js";
import type { ChatError } from "../errors.js";
import type { MemberStatus, TextMessage } from "../protocol.js";
import type { RoomState } from "../room-types.js";
import type { Room } from "../room.js";
import { viewsOf, type RoomOptions, type ShownMessage, type Views } from "../views/index.js";
import type { View } from "../views/view.js";

export type { RoomOptions, ShownMessage };

const KEY: InjectionKey<Views<never>> = Symbol("chat_service");

/** Give a client to the components below, and keep it connected while this component exists. */
export function provideChat<M extends object>(client: ChatClient<M>): ChatOf<M> {
  const views = viewsOf(client);
  provide(KEY, views as unknown as Views<never>);
  onScopeDispose(views.open());
  return chatOf(views);
}

export interface ChatOf<M extends object> {
  client: ChatClient<M>;
  state: ComputedRef<ConnectionState>;
  /** The last confirmed login. */
  login: ComputedRef<Login | undefined>;
  /** Why the client is not online, if there is a reason. */
  error: ComputedRef<ChatError | undefined>;
}

/** The client and the state of its connection. */
export function useChat<M extends object = TextMessage>(): ChatOf<M> {
  return chatOf(useViews<M>());
}

export interface RoomOf<M extends object> {
  room: ComputedRef<Room<M>>;
  state: ComputedRef<RoomState>;
  /** In their current form, in the order of ids. */
  messages: ComputedRef<readonly ShownMessage<M>[]>;
  hasOlder: ComputedRef<boolean>;
  /** Why the room is not joined: the join was refused, or the user was removed. */
  error: ComputedRef<ChatError | undefined>;
  /** Send a message; as `Room.send`. */
  send: Room<M>["send"];
  /** Load a page of older messages. */
  loadOlder: (limit?: number) => Promise<void>;
}

/**
 * A room and its messages. It stays joined as long as any component uses it. `options` count for the first one.
 */
export function useRoom<M extends object = TextMessage>(name: MaybeRefOrGetter<string>, options?: RoomOptions): RoomOf<M> {
  const views = useViews<M>();
  const { view, snapshot } = useView(name, (room) => views.room(room, options));
  return {
    room: computed(() => view.value.room),
    state: computed(() => snapshot.value.state),
    messages: computed(() => snapshot.value.messages),
    hasOlder: computed(() => snapshot.value.hasOlder),
    error: computed(() => snapshot.value.error),
    send: (...args) => view.value.room.send(...args),
    loadOlder: (limit) => view.value.loadOlder(limit),
  };
}

/** Who is in a room that a component uses: the first `limit` members by name (100), and how many there are. */
export function usePresence(
  name: MaybeRefOrGetter<string>,
  limit?: number,
): { members: ComputedRef<readonly MemberStatus[]>; count: ComputedRef<number> } {
  const views = useViews();
  const { snapshot } = useView(name, (room) => views.presence(room, limit));
  return { members: computed(() => snapshot.value.members), count: computed(() => snapshot.value.count) };
}

/** Who else is typing in a room that a component uses. Call `tell` when the text of the user changes. */
export function useTyping(name: MaybeRefOrGetter<string>): { users: ComputedRef<readonly string[]>; tell: () => void } {
  const views = useViews();
  const { view, snapshot } = useView(name, (room) => views.typing(room));
  return { users: computed(() => snapshot.value.users), tell: () => view.value.tell() };
}

function useViews<M extends object>(): Views<M> {
  const views = inject(KEY, undefined);
  if (views === undefined) throw new Error("this composable needs provideChat in a component above");
  return views as unknown as Views<M>;
}

function chatOf<M extends object>(views: Views<M>): ChatOf<M> {
  const snapshot = followed(views.connection);
  return {
    client: views.client,
    state: computed(() => snapshot.value.state),
    login: computed(() => snapshot.value.login),
    error: computed(() => snapshot.value.error),
  };
}

/** The snapshots of a view, until the scope ends. */
function followed<S extends object>(view: View<S>): ShallowRef<S> {
  const snapshot = shallowRef(view.snapshot()) as ShallowRef<S>;
  onScopeDispose(view.subscribe(() => (snapshot.value = view.snapshot())));
  return snapshot;
}

interface Usable<S extends object> extends View<S> {
  use: () => () => void;
}

/** The view for a name that may change, in use until the scope ends. */
function useView<S extends object, V extends Usable<S>>(
  name: MaybeRefOrGetter<string>,
  make: (name: string) => V & Usable<S>,
): { view: ShallowRef<V>; snapshot: ShallowRef<ReturnType<V["snapshot"]>> } {
  const view = shallowRef(make(toValue(name))) as ShallowRef<V>;
  const snapshot = shallowRef(view.value.snapshot()) as ShallowRef<ReturnType<V["snapshot"]>>;
  let stop = () => {};
  const begin = (next: V) => {
    stop();
    view.value = next;
    const read = () => (snapshot.value = next.snapshot() as ReturnType<V["snapshot"]>);
    const stopHearing = next.subscribe(read);
    const stopUsing = next.use();
    read();
    stop = () => {
      stopHearing();
      stopUsing();
    };
  };
  begin(view.value);
  watch(
    () => toValue(name),
    (room) => begin(make(room)),
  );
  onScopeDispose(() => stop());
  return { view, snapshot };
}
