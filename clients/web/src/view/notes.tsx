/** Lines between the messages: people who joined and left, and other events. */

import { useState } from "preact/hooks";

import { isolated, timeText } from "../state/texts.js";
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

/** Such as "5 people joined, 2 people left": each person counts once, however often they came and went. */
function summary(changes: PresenceChange[], total: number): string {
  if (total > changes.length) return `${total} times people joined or left`;
  const joined = changes.filter((change) => change.isHere).map((change) => change.name);
  const left = changes.filter((change) => !change.isHere).map((change) => change.name);
  const everybody = new Set([...joined, ...left]);
  if (everybody.size === 1) {
    const parts = [joined.length > 0 && `joined ${times(joined.length)}`, left.length > 0 && `left ${times(left.length)}`];
    return `${isolated(changes[0]!.name)} ${parts.filter(Boolean).join(" and ")}`;
  }
  return [told(joined, "joined"), told(left, "left")].filter(Boolean).join(", ");
}

function told(names: string[], what: string): string | false {
  const people = [...new Set(names)];
  if (people.length === 0) return false;
  return people.length === 1 ? `${isolated(people[0]!)} ${what}` : `${people.length} people ${what}`;
}

const times = (number: number): string => (number === 1 ? "once" : number === 2 ? "twice" : `${number} times`);
