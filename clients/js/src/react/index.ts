/** React hooks of chat_service, for React 18 and later. */

import { createContext, createElement, useContext, useEffect, useMemo, useSyncExternalStore, type ReactNode } from "react";

import type { ChatClient } from "../client.js";
import type { TextMessage } from "../protocol.js";
import type { Room } from "../room.js";
import {
  viewsOf,
  type ConnectionSnapshot,
  type PresenceSnapshot,
  type RoomOptions,
  type RoomSnapshot,
  type ShownMessage,
  type Views,
} from "../views/index.js";
import type { View } from "../views/view.js";

export type { ConnectionSnapshot, PresenceSnapshot, RoomOptions, RoomSnapshot, ShownMessage };

const ChatContext = createContext<Views<never> | undefined>(undefined);

export interface ChatProviderProps {
  /** Of any type of messages, which the hooks take as their type argument. */
  client: ChatClient<any, any, any>;
  children?: ReactNode;
}

/** Gives the hooks below it a client, and keeps the client connected while it is mounted. */
export function ChatProvider({ client, children }: ChatProviderProps): ReactNode {
  const views = viewsOf(client as unknown as ChatClient<never>);
  useEffect(() => views.open(), [views]);
  return createElement(ChatContext.Provider, { value: views }, children);
}

function useViews<M extends object>(): Views<M> {
  const views = useContext(ChatContext);
  if (views === undefined) throw new Error("this hook needs a ChatProvider above it");
  return views as unknown as Views<M>;
}

function useView<S extends object>(view: View<S>): S {
  return useSyncExternalStore(view.subscribe, view.snapshot, view.snapshot);
}

/** The client and the state of its connection. */
export function useChat<M extends object = TextMessage>(): ConnectionSnapshot & { client: ChatClient<M> } {
  const views = useViews<M>();
  const snapshot = useView(views.connection);
  return useMemo(() => ({ ...snapshot, client: views.client }), [snapshot, views]);
}

/**
 * A room, which stays joined as long as any component uses it. `options` count for the first one. Everything else here
 * that takes a room's name needs a component that joins it with this hook or `useMessages`.
 */
export function useRoom<M extends object = TextMessage>(
  name: string,
  options?: RoomOptions,
): Omit<RoomSnapshot<M>, "messages"> & { room: Room<M>; send: Room<M>["send"] } {
  const view = useViews<M>().room(name, options);
  useEffect(view.use, [view]);
  const { state, hasOlder, error } = useView(view);
  return useMemo(
    () => ({ state, hasOlder, error, room: view.room, send: view.room.send.bind(view.room) }),
    [view, state, hasOlder, error],
  );
}

/** The messages of a room in their current form; joins it as `useRoom` does. */
export function useMessages<M extends object = TextMessage>(
  name: string,
  options?: RoomOptions,
): RoomSnapshot<M> & { send: Room<M>["send"]; loadOlder: (limit?: number) => Promise<void> } {
  const view = useViews<M>().room(name, options);
  useEffect(view.use, [view]);
  const snapshot = useView(view);
  return useMemo(
    () => ({ ...snapshot, send: view.room.send.bind(view.room), loadOlder: view.loadOlder }),
    [view, snapshot],
  );
}

/** Who is in a room: the first `limit` members by name (100), and how many there are. */
export function usePresence(name: string, limit?: number): PresenceSnapshot {
  const views = useViews();
  const view = useMemo(() => views.presence(name, limit), [views, name, limit]);
  useEffect(view.use, [view]);
  return useView(view);
}

/** Who else is typing in a room. Call `tell` when the text of the user changes. */
export function useTyping(name: string): { users: readonly string[]; tell: () => void } {
  const views = useViews();
  const view = useMemo(() => views.typing(name), [views, name]);
  useEffect(view.use, [view]);
  const { users } = useView(view);
  return useMemo(() => ({ users, tell: view.tell }), [view, users]);
}
