/** What can be done with a message. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";

import { recentEmoji } from "../state/storage.js";
import { IconButton } from "./parts.js";

const QUICK = 3;

export interface Tools {
  /** Give a reaction, or take the user's own back. */
  react: (reaction: string) => void;
  choose: () => void;
  reply: () => void;
  /** Undefined: not allowed. */
  edit: (() => void) | undefined;
  delete: (() => void) | undefined;
  copyLink: () => void;
}

export function Toolbar({ tools, own }: { tools: Tools; own: ReadonlySet<string> }) {
  const ref = useRef<HTMLDivElement>(null);
  const [isBelow, setBelow] = useState(false);
  // At the top of the list there is no room above the message.
  useLayoutEffect(() => {
    const list = ref.current!.closest(".messages");
    if (list && ref.current!.getBoundingClientRect().top < list.getBoundingClientRect().top) setBelow(true);
  }, []);
  return (
    <div
      ref={ref}
      class={isBelow ? "toolbar below" : "toolbar"}
      role="group"
      aria-label="Message actions"
      onKeyDown={(event) => step(event, ref.current!)}
    >
      {recentEmoji.get().slice(0, QUICK).map((emoji) => (
        <button
          key={emoji}
          type="button"
          class="icon-button quick"
          aria-label={`React with ${emoji}`}
          title={`React with ${emoji}`}
          aria-pressed={own.has(emoji)}
          onClick={() => tools.react(emoji)}
        >
          {emoji}
        </button>
      ))}
      <IconButton icon="smile" label="React" onClick={tools.choose} />
      <IconButton icon="reply" label="Reply" onClick={tools.reply} />
      {tools.edit && <IconButton icon="pencil" label="Edit" onClick={tools.edit} />}
      {tools.delete && <IconButton icon="trash" label="Delete" onClick={tools.delete} />}
      <IconButton icon="link" label="Copy link" onClick={tools.copyLink} />
    </div>
  );
}

function step(event: KeyboardEvent, bar: HTMLElement): void {
  if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
  const buttons = [...bar.querySelectorAll("button")];
  const by = (event.key === "ArrowRight") === (getComputedStyle(bar).direction === "ltr") ? 1 : -1;
  const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
  buttons[(at + by + buttons.length) % buttons.length]?.focus();
  event.preventDefault();
}
