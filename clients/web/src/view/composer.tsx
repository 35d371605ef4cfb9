/** The text field for new messages. */

import { useId, useLayoutEffect, useRef } from "preact/hooks";

import type { Conversation } from "../state/conversation.js";
import { isolated, tooLong } from "../state/texts.js";
import { IconButton } from "./parts.js";

/** Maximum number of characters in a message; the server refuses longer ones. */
const MAX_TEXT = 4000;
/** Only with a mouse or a trackpad: on a touch screen the focus would open the keyboard. */
const hasPointer = () => matchMedia("(pointer: fine)").matches;

export function Composer({ conversation, isOffline }: { conversation: Conversation; isOffline: boolean }) {
  const ref = useRef<HTMLTextAreaElement>(null);
  const noticeId = useId();
  const text = conversation.draft.value;
  const excess = tooLong(text, MAX_TEXT, "a message");
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
    if (wanted === "" || excess) return;
    conversation.send(wanted);
    conversation.draft.value = "";
    ref.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  const to = `${conversation.kind === "room" ? "Message" : "Direct message"} to ${isolated(conversation.name)}`;
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
      <textarea
        ref={ref}
        rows={1}
        value={text}
        dir="auto"
        placeholder={isOffline ? "Offline: messages are sent when you are back online" : to}
        aria-label={to}
        aria-invalid={excess ? true : undefined}
        aria-describedby={excess ? noticeId : undefined}
        enterkeyhint="send"
        onInput={(event) => {
          conversation.draft.value = event.currentTarget.value;
          conversation.onInput(event.currentTarget.value);
        }}
        onKeyDown={onKeyDown}
      />
      <IconButton icon="send" label="Send" class="send" onClick={send} disabled={text.trim() === "" || excess !== null} />
    </form>
  );
}
