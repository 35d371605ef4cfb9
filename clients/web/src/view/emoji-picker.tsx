/** A picker of emoji, with those used last, groups, and search. */

import { useRef, useState } from "preact/hooks";

import { Lazy } from "../lazy.js";
import { recentEmoji } from "../state/storage.js";
import { Popup } from "./popup.js";

const data = new Lazy(() => import("./emoji-data.js"));

export function EmojiPicker(props: {
  anchor: Element | null;
  onPick: (emoji: string) => void;
  onClose: () => void;
  /** What gets the focus in the end. */
  focusAfter?: (() => HTMLElement | null) | undefined;
}) {
  const [query, setQuery] = useState("");
  const [group, setGroup] = useState(0);
  const grid = useRef<HTMLDivElement>(null);
  const loaded = data.value;
  const isSearch = query.trim() !== "";
  const shown = loaded && (isSearch ? loaded.search(query) : (loaded.groups[group]?.emoji ?? []));
  const pick = (emoji: string) => {
    recentEmoji.add(emoji);
    props.onClose();
    props.onPick(emoji);
  };
  const label = (emoji: string) => loaded?.labelOf(emoji) ?? emoji;
  return (
    <Popup
      label="Choose an emoji"
      anchor={props.anchor}
      class="emoji-picker"
      onClose={props.onClose}
      focusAfter={props.focusAfter}
    >
      <input
        type="search"
        aria-label="Search emoji"
        placeholder="Search"
        autocomplete="off"
        autofocus
        maxLength={60}
        value={query}
        onInput={(event) => setQuery(event.currentTarget.value)}
        onKeyDown={(event) => {
          const buttons = grid.current?.querySelectorAll("button");
          if (event.key === "ArrowDown") {
            event.preventDefault();
            buttons?.[0]?.focus();
          }
          const [first] = shown ?? [];
          if (event.key === "Enter" && isSearch && first) {
            event.preventDefault();
            pick(first.unicode);
          }
        }}
      />
      {loaded && !isSearch && (
        <div class="emoji-groups" role="group" aria-label="Groups of emoji">
          {loaded.groups.map(({ name, emoji }, index) => (
            <button
              key={name}
              type="button"
              aria-label={name}
              title={name}
              aria-pressed={index === group}
              onClick={() => setGroup(index)}
            >
              {emoji[0]?.unicode}
            </button>
          ))}
        </div>
      )}
      <div class="emoji-grid" ref={grid} onKeyDown={(event) => move(event, grid.current!)}>
        {!isSearch && <Grid title="Used last" emoji={recentEmoji.get()} label={label} onPick={pick} isFirst />}
        {shown && shown.length > 0 && (
          <Grid
            title={isSearch ? "Found" : loaded.groups[group]!.name}
            emoji={shown.map(({ unicode }) => unicode)}
            label={label}
            onPick={pick}
            isFirst={isSearch}
          />
        )}
        {!loaded && <p class="hint">Loading…</p>}
      </div>
      <p class={shown?.length === 0 ? "hint" : "sr-only"} role="status">
        {isSearch && shown && (shown.length === 0 ? "No emoji found." : `${shown.length} emoji found.`)}
      </p>
    </Popup>
  );
}

/** Only one emoji is reached with Tab, the others with the arrow keys. */
function Grid(props: {
  title: string;
  emoji: readonly string[];
  label: (emoji: string) => string;
  onPick: (emoji: string) => void;
  isFirst: boolean;
}) {
  return (
    <div role="group" aria-label={props.title}>
      <p aria-hidden="true">{props.title}</p>
      {props.emoji.map((emoji, index) => (
        <button
          key={emoji}
          type="button"
          tabIndex={props.isFirst && index === 0 ? 0 : -1}
          aria-label={props.label(emoji)}
          title={props.label(emoji)}
          onClick={() => props.onPick(emoji)}
        >
          {emoji}
        </button>
      ))}
    </div>
  );
}

/** Move the focus with the arrow keys, over all groups that are shown. */
function move(event: KeyboardEvent, grid: HTMLElement): void {
  const buttons = [...grid.querySelectorAll("button")];
  const from = buttons.indexOf(document.activeElement as HTMLButtonElement);
  const here = buttons[from];
  if (here === undefined) return;
  const isRtl = getComputedStyle(grid).direction === "rtl";
  let to: HTMLButtonElement | undefined;
  if (event.key === "ArrowRight") to = buttons[from + (isRtl ? -1 : 1)];
  else if (event.key === "ArrowLeft") to = buttons[from + (isRtl ? 1 : -1)];
  else if (event.key === "Home") to = buttons[0];
  else if (event.key === "End") to = buttons.at(-1);
  else if (event.key === "ArrowDown") to = nearest(buttons.slice(from + 1), here);
  else if (event.key === "ArrowUp") to = nearest(buttons.slice(0, from).reverse(), here);
  else return;
  event.preventDefault();
  if (to) to.focus();
  else if (event.key === "ArrowUp") grid.parentElement?.querySelector("input")?.focus();
}

/** The first one on another line that is in the same column, or else on the next line. */
function nearest(candidates: HTMLButtonElement[], here: HTMLButtonElement): HTMLButtonElement | undefined {
  const others = candidates.filter((one) => one.offsetTop !== here.offsetTop);
  const line = others.filter((one) => one.offsetTop === others[0]!.offsetTop);
  const distance = (one: HTMLElement) => Math.abs(one.offsetLeft - here.offsetLeft);
  return line.sort((one, other) => distance(one) - distance(other))[0];
}
