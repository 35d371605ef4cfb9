/** The text field for new messages, replies and edits. */

import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";

import type { Conversation } from "../state/conversation.js";
import { mentionAt, suggestions } from "../state/mentions.js";
import type { Chat } from "../state/session.js";
import { isolated, tooLong } from "../state/texts.js";
import type { MessageItem } from "../state/timeline.js";
import { Attach } from "./attach.js";
import { EmojiPicker } from "./emoji-picker.js";
import { Icon } from "./icons.js";
import { Excerpt } from "./message-parts.js";
import { IconButton } from "./parts.js";
import { optionId, Suggestions } from "./suggestions.js";

/** Maximum number of characters in a message; the server refuses longer ones. */
const MAX_TEXT = 4000;
const MAX_SUGGESTIONS = 8;
/** Only with a mouse or a trackpad: on a touch screen the focus would open the keyboard. */
const hasPointer = () => matchMedia("(pointer: fine)").matches;

interface ComposerProps {
  chat: Chat;
  conversation: Conversation;
  isOffline: boolean;
}

export function Composer({ chat, conversation, isOffline }: ComposerProps) {
  const ref = useRef<HTMLTextAreaElement>(null);
  const emojiButton = useRef<HTMLSpanElement>(null);
  const noticeId = useId();
  const listId = useId();
  /** Where the caret is; null while it does not matter. */
  const [caret, setCaret] = useState<number | null>(null);
  const [chosen, setChosen] = useState(0);
  const [isPicking, setPicking] = useState(false);
  /** Where the caret has to be put once the text is displayed. */
  const wantedCaret = useRef<number | null>(null);
  const editing = conversation.editing.value;
  const replyTo = conversation.replyTo.value;
  const text = editing?.text ?? conversation.draft.value;
  const excess = tooLong(text, MAX_TEXT, "a message");
  const { uploads } = conversation;
  const hasFiles = !editing && (uploads?.ready.value.length ?? 0) > 0;
  const isUploading = !editing && (uploads?.isBusy.value ?? false);
  const isEmpty = text.trim() === "" && !hasFiles;
  const mention = caret === null ? null : mentionAt(text, caret);
  const names = mention ? suggestions(conversation.memberNames(), mention.query, MAX_SUGGESTIONS) : [];
  const isListed = names.length > 0;

  useLayoutEffect(() => {
    if (hasPointer()) ref.current?.focus();
  }, [conversation]);
  useLayoutEffect(() => {
    if (editing === null && replyTo === null) return;
    ref.current!.focus();
    ref.current!.setSelectionRange(text.length, text.length);
  }, [editing?.item.key, replyTo?.key]);
  useLayoutEffect(() => {
    const area = ref.current!;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
    if (wantedCaret.current === null) return;
    area.setSelectionRange(wantedCaret.current, wantedCaret.current);
    wantedCaret.current = null;
  }, [text, conversation]);

  const write = (value: string) => {
    if (editing) {
      conversation.editing.value = { ...editing, text: value };
      return;
    }
    conversation.draft.value = value;
    conversation.onInput(value);
  };
  const replace = (from: number, to: number, by: string) => {
    wantedCaret.current = from + by.length;
    setCaret(null);
    write(text.slice(0, from) + by + text.slice(to));
  };
  const complete = (name: string) => {
    if (mention) replace(mention.start, mention.start + 1 + mention.query.length, `@${name} `);
  };
  const send = () => {
    if (isEmpty || excess || isUploading) return;
    setCaret(null);
    if (editing) conversation.saveEdit();
    else {
      conversation.send(text.trim(), undefined, uploads?.take());
      conversation.draft.value = "";
    }
    ref.current?.focus();
  };
  const cancel = () => {
    conversation.editing.value = null;
    conversation.replyTo.value = null;
    ref.current?.focus();
  };
  /** Keys for the list of names. Returns whether it was one. */
  const onListKey = (key: string): boolean => {
    if (!isListed) return false;
    if (key === "ArrowDown") setChosen((chosen + 1) % names.length);
    else if (key === "ArrowUp") setChosen((chosen + names.length - 1) % names.length);
    else if (key === "Enter" || key === "Tab") complete(names[chosen] ?? names[0]!);
    else if (key === "Escape") setCaret(null);
    else return false;
    return true;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing || event.altKey) return;
    const { key, shiftKey } = event;
    if (!shiftKey && onListKey(key)) event.preventDefault();
    else if (key === "Enter" && !shiftKey) {
      event.preventDefault();
      send();
    } else if (key === "Escape" && (editing || replyTo)) {
      event.preventDefault();
      cancel();
    } else if (key === "ArrowUp" && !shiftKey && text === "" && !editing) {
      if (conversation.editLast(chat.userName.value)) event.preventDefault();
    }
  };
  const to = `${conversation.kind === "room" ? "Message" : "Direct message"} to ${isolated(conversation.name)}`;
  const label = editing ? "Edit your message" : to;
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <p class="excess" id={noticeId} role="status">
        {excess && `${excess} Shorten it, or send it in parts.`}
      </p>
      {editing && <Purpose icon="pencil" title="Editing" item={editing.item} onCancel={cancel} />}
      {replyTo && <Purpose icon="reply" title="Reply to" item={replyTo} onCancel={cancel} />}
      {isListed && <Suggestions id={listId} names={names} chosen={chosen} onChoose={complete} />}
      {uploads && !editing && <Attach queue={uploads} field={ref} />}
      <span ref={emojiButton}>
        <IconButton icon="smile" label="Insert an emoji" class="emoji-button" onClick={() => setPicking(true)} />
      </span>
      <textarea
        ref={ref}
        rows={1}
        value={text}
        dir="auto"
        placeholder={isOffline ? "Offline: messages are sent when you are back online" : label}
        aria-label={label}
        aria-invalid={excess ? true : undefined}
        aria-describedby={excess ? noticeId : undefined}
        aria-autocomplete="list"
        aria-controls={isListed ? listId : undefined}
        aria-activedescendant={isListed ? optionId(listId, chosen) : undefined}
        enterkeyhint="send"
        onInput={(event) => {
          const { value, selectionStart } = event.currentTarget;
          setCaret(selectionStart);
          setChosen(0);
          write(value);
        }}
        onKeyDown={onKeyDown}
        onBlur={() => setCaret(null)}
      />
      <IconButton
        icon="send"
        label={editing ? "Save the change" : "Send"}
        class="send"
        onClick={send}
        disabled={isEmpty || excess !== null || isUploading}
      />
      {isPicking && (
        <EmojiPicker
          anchor={emojiButton.current}
          onPick={(emoji) => replace(ref.current!.selectionStart, ref.current!.selectionEnd, emoji)}
          onClose={() => setPicking(false)}
          focusAfter={() => ref.current}
        />
      )}
    </form>
  );
}

/** What the next message is: an edit, or a reply. */
function Purpose(props: { icon: "pencil" | "reply"; title: string; item: MessageItem; onCancel: () => void }) {
  const { icon, title, item } = props;
  return (
    <div class="purpose">
      <Icon name={icon} />
      <p>
        <strong>
          {title} {icon === "reply" && <bdi>{item.author}</bdi>}
        </strong>
        <Excerpt item={item} />
      </p>
      <IconButton icon="close" label={icon === "reply" ? "Do not reply" : "Do not edit"} onClick={props.onCancel} />
    </div>
  );
}
