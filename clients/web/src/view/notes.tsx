/** Lines between the messages: people who joined and left, and other events. */

import { useState } from "preact/hooks";

import { timeText } from "../state/texts.js";
import type { NoteItem, PresenceChange, PresenceItem } from "../state/timeline.js";

/** This number of changes are shown individually; more are folded into one line. */
const SHOWN = 2;

export function Note({ item }: { item: NoteItem }) {
  return (
    <li data-key={item.key} class="note">
      {item.text} <time>{timeText(item.timestamp)}</time>
    </li>
  );
}

export function Presence({ item }: { item: PresenceItem }) {
  const [isOpen, setOpen] = useState(false);
  const { changes, total } = item;
  const lines = changes.map((change, index) => <Change key={total - changes.length + index} change={change} />);
  if (total <= SHOWN) {
    return (
      <li data-key={item.key} class="note">
        {lines}
      </li>
    );
  }
  return (
    <li data-key={item.key} class="note fold">
      <button type="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        {summary(changes, total)} <time>{timeText(changes.at(-1)!.timestamp)}</time>
      </button>
      {isOpen && (
        <div class="folded" tabIndex={0} role="group" aria-label="Who joined and left">
          {total > changes.length && <p>The last {changes.length}:</p>}
          {lines}
        </div>
      )}
    </li>
  );
}

function Change({ change }: { change: PresenceChange }) {
  return (
    <p>
      <bdi>{change.name}</bdi> {change.isHere ? "joined" : "left"} <time>{timeText(change.timestamp)}</time>
    </p>
  );
}

function summary(changes: PresenceChange[], total: number): string {
  const joined = changes.filter((change) => change.isHere).length;
  const left = changes.length - joined;
  if (total > changes.length) return `${total} times people joined or left`;
  return [joined > 0 && `${joined} joined`, left > 0 && `${left} left`].filter(Boolean).join(", ");
}
