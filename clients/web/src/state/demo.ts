/** The client of the demo's server, and what that server adds to the protocol. */

import type { ChatClient, TextMessage } from "@chat-service/client";

/** A room as listed by the server. */
export interface RoomEntry {
  name: string;
  owner: string | null;
  members: number;
  whitelistOnly: boolean;
}

/** Custom events of the demo server. */
export interface DemoEvents {
  roomListChanged(changed: RoomEntry[], removed: string[]): void;
  roomDevicesChanged(room: string, user: string, devices: number): void;
  roomUserRemoved(room: string, by: string): void;
}

export type Client = ChatClient<TextMessage, DemoEvents>;
