/** One message. */

import { useComputed } from "@preact/signals";
import { useState } from "preact/hooks";

import { addressOf } from "../state/address.js";
import type { Conversation } from "../state/conversation.js";
import { RoomConversation } from "../state/room.js";
import type { Chat } from "../state/session.js";
import { direction, explain, fullTimeText, timeText } from "../state/texts.js";
import type { MessageItem } from "../state/timeline.js";
import { Attachments } from "./attachments.js";
import { copy } from "./copy.js";
import { DeleteDialog } from "./delete-dialog.js";
import { EmojiPicker } from "./emoji-picker.js";
import { Failure, Quote, Reactions } from "./message-parts.js";
import { NameButton } from "./name.js";
import { Avatar, hue } from "./parts.js";
import { MessageText } from "./text.js";
import { Toolbar, type Tools } from "./toolbar.js";
import { useActive } from "./use-active.js";

interface MessageProps {
  chat: Chat;
  conversation: Conversation;
  item: MessageItem;
  isFirst: boolean;
  isLast: boolean;
}

export function Message({ chat, conversation, item, isFirst, isLast }: MessageProps) {
  const { element, handlers, isActive, dismiss } = useActive();
  const [open, setOpen] = useState<"emoji" | "deletion" | null>(null);
  const isTabStop = useComputed(() => conversation.tabStop.value === item.key).value;
  const isEditing = useComputed(() => conversation.editing.value?.item.key === item.key).value;
  const isOwn = item.author === chat.userName.value;
  const { reactions = [] } = item;
  const tools = conversation.interactions && !item.sending && !item.isDeleted ? toolsOf() : null;
  const classes = ["message", isOwn ? "own" : "other", isFirst && "first", isLast && "last", item.sending];
  classes.push(item.isDeleted && "deleted", isEditing && "editing");
  const finish = () => {
    setOpen(null);
    dismiss();
  };

  function toolsOf(): Tools {
    const room = conversation instanceof RoomConversation ? conversation : undefined;
    return {
      react: (reaction) => {
        dismiss();
        void react(chat, conversation, item, reaction);
      },
      choose: () => setOpen("emoji"),
      reply: () => {
        dismiss();
        conversation.reply(item);
      },
      edit: isOwn
        ? () => {
            dismiss();
            conversation.edit(item, item.refused?.text);
          }
        : undefined,
      delete: isOwn || room?.isAdmin.value ? () => setOpen("deletion") : undefined,
      copyLink: () => {
        dismiss();
        void copyLink(chat, addressOf(room?.roomName ?? conversation.name, item.id));
      },
    };
  }

  return (
    <li
      class={classes.filter(Boolean).join(" ")}
      data-key={item.key}
      style={{ "--hue": String(hue(item.author)) }}
      ref={element}
      tabIndex={isTabStop ? 0 : -1}
      onFocus={() => (conversation.focused.value = item.key)}
      onKeyDown={(event) => onKeyDown(event, element.current!)}
      {...handlers}
      onFocusOut={(event) => {
        handlers.onFocusOut(event);
        // Whoever comes back to the list later begins with the newest message again.
        if (!(event.relatedTarget as Element | null)?.closest(".messages")) conversation.focused.value = null;
      }}
    >
      {!isOwn && isLast && <Avatar name={item.author} />}
      {/* The bubble has the direction of the text, which decides where lines begin and where the time is shown. */}
      <div class="bubble" dir={direction(item.text)}>
        {isFirst &&
          (isOwn ? (
            <span class="sr-only">You</span>
          ) : (
            <NameButton chat={chat} name={item.author} class="author" />
          ))}
        {item.replyTo !== undefined && !item.isDeleted && (
          <Quote chat={chat} conversation={conversation} id={item.replyTo} />
        )}
        {item.isDeleted ? (
          <p class="gone">Message deleted</p>
        ) : (
          item.text !== "" && (
            <MessageText text={item.text} mentions={{ names: item.mentions ?? [], self: chat.userName.value }} />
          )
        )}
        {item.attachments && !item.isDeleted && <Attachments files={item.attachments} />}
        {isLast && !item.sending && (
          <time dateTime={new Date(item.timestamp).toISOString()} title={fullTimeText(item.timestamp)} dir="ltr">
            {timeText(item.timestamp)}
          </time>
        )}
        {item.isChanging && <span class="sending" dir="ltr">Saving…</span>}
        {item.isEdited && !item.isChanging && !item.isDeleted && <span class="edited" dir="ltr">edited</span>}
        {item.sending === "waiting" && <span class="sending" dir="ltr">Sending…</span>}
      </div>
      {reactions.length > 0 && (
        <Reactions
          reactions={reactions}
          onToggle={(reaction) => void react(chat, conversation, item, reaction)}
        />
      )}
      <Failure conversation={conversation} item={item} />
      {tools && isActive && open === null && (
        <Toolbar tools={tools} own={new Set(reactions.filter(({ own }) => own).map(({ reaction }) => reaction))} />
      )}
      {tools && open === "emoji" && (
        <EmojiPicker
          anchor={element.current!.querySelector(".bubble")}
          onPick={tools.react}
          onClose={finish}
          focusAfter={() => element.current}
        />
      )}
      {tools && open === "deletion" && (
        <DeleteDialog
          chat={chat}
          item={item}
          onClose={() => {
            finish();
            element.current?.focus({ preventScroll: true });
          }}
          onDelete={() => void remove(chat, conversation, item)}
        />
      )}
    </li>
  );
}

/** Give a reaction, or take it back if the user has given it. */
async function react(chat: Chat, { interactions }: Conversation, item: MessageItem, reaction: string): Promise<void> {
  const isGiven = item.reactions?.some((one) => one.reaction === reaction && one.own) ?? false;
  try {
    await interactions?.react(item.id, reaction, !isGiven);
  } catch (error) {
    chat.toast(`Your reaction was not ${isGiven ? "taken back" : "added"}. ${explain(error)}`, true);
  }
}

async function remove(chat: Chat, { interactions }: Conversation, item: MessageItem): Promise<void> {
  try {
    await interactions?.delete(item.id);
  } catch (error) {
    chat.toast(`The message was not deleted. ${explain(error)}`, true);
  }
}

async function copyLink(chat: Chat, address: string): Promise<void> {
  const isCopied = await copy(address);
  chat.toast(isCopied ? "The link to the message was copied." : `The link could not be copied: ${address}`, !isCopied);
}

/** On the message itself: arrow keys go to other messages, Enter to its tools, Escape to the text field. */
function onKeyDown(event: KeyboardEvent, message: HTMLElement): void {
  if (event.key === "Escape") {
    if (message !== event.target) message.focus();
    else message.closest("main")?.querySelector<HTMLElement>(".composer textarea")?.focus();
    return;
  }
  if (message !== event.target || event.altKey || event.ctrlKey || event.metaKey) return;
  const all = [...(message.closest(".messages")?.querySelectorAll<HTMLElement>(".message") ?? [])];
  const at = all.indexOf(message);
  let next: HTMLElement | null | undefined;
  if (event.key === "ArrowUp") next = all[at - 1];
  else if (event.key === "ArrowDown") next = all[at + 1];
  else if (event.key === "Enter") next = message.querySelector<HTMLElement>(".toolbar button");
  else return;
  event.preventDefault();
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}
