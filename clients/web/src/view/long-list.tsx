/** Lists of names that may be long, with a search and an order. */

import type { JSX } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

import { byNumber, matching } from "../state/sorted.js";
import { Space, useWindow } from "./window.js";

/** Lists with more names than this have a search. */
const SEARCHED = 20;

interface LongListProps {
  /** What scrolls: the list, or something around it. */
  box: { current: HTMLElement | null };
  names: readonly string[];
  /** The height of most rows in pixels. */
  height: number;
  labelledBy?: string;
  row: (name: string) => JSX.Element;
}

/** Only the rows in view and some around them are in the document. */
export function LongList({ box, names, height, labelledBy, row }: LongListProps) {
  const list = useRef<HTMLUListElement>(null);
  const keyOf = useMemo(() => (index: number) => names[index]!, [names]);
  const options = { count: names.length, keyOf, estimate: () => height };
  const view = useWindow(box, list, options);
  view.update(options);
  useLayoutEffect(() => void view.commit());
  return (
    <ul ref={list} aria-labelledby={labelledBy}>
      {view.parts().map((part) =>
        "space" in part ? <Space key={part.key} height={part.space} /> : row(names[part.index]!),
      )}
    </ul>
  );
}

export interface Order {
  /** What is ordered, for screen readers. */
  of?: string;
  /** As shown to users. */
  label: string;
  /** Names with larger numbers come first. */
  numberOf: (name: string) => number;
}

/** A search and an order for names, which are in natural order. `what`: what the search finds. */
export function useChoice(names: readonly string[], what: string, order: Order) {
  const [text, setText] = useState("");
  const [isByNumber, setByNumber] = useState(false);
  const found = useMemo(() => matching(names, text), [names, text]);
  const chosen = isByNumber ? byNumber(found, order.numberOf) : found;
  const controls = names.length > SEARCHED && (
    <div class="choice">
      <input
        type="search"
        value={text}
        dir="auto"
        placeholder={what}
        aria-label={what}
        spellcheck={false}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <select
        aria-label={order.of === undefined ? "Order" : `Order of ${order.of}`}
        value={isByNumber ? "number" : "name"}
        onChange={(event) => setByNumber(event.currentTarget.value === "number")}
      >
        <option value="name">By name</option>
        <option value="number">{order.label}</option>
      </select>
      {chosen.length === 0 && <p role="status">Nothing found.</p>}
    </div>
  );
  // A search that is not shown any more must not hide anything.
  return { chosen: controls ? chosen : names, controls };
}
