export {
  ChatClient,
  type ChatClientOptions,
  type ClientEvents,
  type CommandMethods,
  type ConnectionState,
  type Login,
} from "./client.js";
export { ChatError, errorText, LOCAL_ERROR_TEXTS, type LocalErrorCode } from "./errors.js";
export { newKey } from "./outbox.js";
export * from "./protocol.js";
export { Room, type Gap, type JoinOptions, type RoomEvents, type RoomState } from "./room.js";
