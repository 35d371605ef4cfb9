export {
  ChatClient,
  type AnyCommands,
  type ArgumentsOf,
  type ChatClientOptions,
  type ClientEvents,
  type CommandMethods,
  type ConnectionState,
  type Login,
  type ResultOf,
} from "./client.js";
export { FoldedMessage, FoldedMessages, type Content, type RelationOptions } from "./interactions.js";
export { ChatError, errorText, LOCAL_ERROR_TEXTS, type LocalErrorCode } from "./errors.js";
export type { OutboxStorage } from "./outbox-storage.js";
export { newKey, type Unsent } from "./outbox.js";
export * from "./protocol.js";
export {
  absolute,
  attachmentMessage,
  captionOf,
  type Attachment,
  type FileMessage,
  type Uploaded,
  type UploadLimits,
  type UploadOptions,
} from "./uploads.js";
export type { Gap, JoinOptions, RoomEvents, RoomState } from "./room-types.js";
export { Room } from "./room.js";
