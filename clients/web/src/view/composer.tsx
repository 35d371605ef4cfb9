/** Where one writes. */

import { useLayoutEffect, useRef } from "preact/hooks";

import type { Conversation } from "../state/conversation.js";
import { IconButton } from "./parts.js";

const MAX_TEXT = 4000;
/** With a mouse or a trackpad; on a touch screen the focus would open the keyboard. */
const hasPointer = () => matchMedia("(pointer: fine)").matches;

export function Composer({ conversation, isOffline }: { conversation: Conversation; isOffline: boolean }) {
  const ref = useRef<HTMLTextAreaElement>(null);
  const text = conversation.draft.value;
  useLayoutEffect(() => {
    if (hasPointer()) ref.current?.focus();
  }, [conversation]);
  useLayoutEffect(() => {
    const area = ref.current!;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
  }, [text, conversation]);

  const send = () => {
    const wanted = text.trim();
    if (wanted === "") return;
    conversation.send(wanted);
    conversation.draft.value = "";
    ref.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  const to = conversation.kind === "room" ? `Message to ${conversation.name}` : `Direct message to ${conversation.name}`;
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={ref}
        rows={1}
        value={text}
        maxLength={MAX_TEXT}
        placeholder={isOffline ? "Offline: what you write is sent when you are back" : to}
        aria-label={to}
        enterkeyhint="send"
        onInput={(event) => (conversation.draft.value = event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      <IconButton icon="send" label="Send" class="send" onClick={send} disabled={text.trim() === ""} />
    </form>
  );
}
