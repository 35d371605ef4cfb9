/** What the HTTP API answers. Its OpenAPI document describes each field. */

export interface Room {
  name: string;
  owner: string | null;
  membersCount: number;
  lastMessageId: number;
  historySize: number;
  historyMaxSize: number;
  whitelistOnly: boolean;
  epoch: string;
}

export interface RoomStatus extends Room {
  enableUserlistUpdates: boolean;
  enableAccessListsUpdates: boolean;
}

export interface Member {
  userName: string;
  /** Unix time in ms when the first of the sockets has joined; null if it is unknown. */
  joinedAt: number | null;
  sockets: number;
  /** Set by the user's client or the application: any value; missing if nothing was set. */
  details?: unknown;
}

export interface Message {
  id: number;
  timestamp: number;
  author?: string;
  textMessage?: string;
  [field: string]: unknown;
}

export interface History {
  epoch: string;
  lastMessageId: number;
  recovered: boolean;
  messages: Message[];
  more: boolean;
}

export interface User {
  name: string;
  sockets: number;
}

export interface UserStatus extends User {
  whitelistOnly: boolean;
}

export interface Ban {
  banned: boolean;
  until: number | null;
  reason: string | null;
}

export interface Socket {
  id: string;
  instanceId: string;
  roomsCount: number;
  rooms: string[];
}

export interface Instance {
  id: string;
  state: "alive" | "lapsed" | "recovering";
  age: number;
  expiresIn: number;
  sockets: number;
  isThisOne: boolean;
}

export interface Statistics {
  instanceId: string;
  time: number;
  sockets: number;
  users: number;
  rooms: number;
  commands: number;
  failures: number;
  messages: number;
  /** Null for a transport that does not count. */
  deliveries: number | null;
  sendBufferBytes: number | null;
  logins: number;
  disconnects: number;
}

export interface TokenInfo {
  name: string;
  scopes: string[];
  version: string;
}
