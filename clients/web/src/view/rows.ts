/** The rows of a conversation: its items, with a line before each day and one before the unread messages. */

import { isSameDay } from "../state/texts.js";
import type { Item, MessageItem, NoteItem, PresenceItem } from "../state/timeline.js";

/** Messages of one person within this number of ms are grouped. */
const GROUP_MS = 5 * 60_000;

export type Row =
  | { kind: "day"; key: string; timestamp: number }
  | { kind: "divider"; key: string }
  | { kind: "note"; key: string; item: NoteItem }
  | { kind: "presence"; key: string; item: PresenceItem }
  /** Whether it is the first and the last one of a group. */
  | { kind: "message"; key: string; item: MessageItem; isFirst: boolean; isLast: boolean };

export const DIVIDER = "divider";

/** Keeps the rows of the items it was given last, so that a new message does not cost more in a long conversation. */
export class Rows {
  #items: readonly Item[] = [];
  #divider: string | null = null;
  #rows: readonly Row[] = [];
  /** The number of rows up to and including each item. */
  #ends: number[] = [];

  /** `divider`: the key of the item after which unread messages begin. Returns another array if something changed. */
  of(items: readonly Item[], divider: string | null): readonly Row[] {
    if (items === this.#items && divider === this.#divider) return this.#rows;
    const isSameDivider = divider === this.#divider;
    let kept = 0;
    if (isSameDivider) while (kept < items.length && items[kept] === this.#items[kept]) kept++;
    // The look of an item depends on the one after it, too.
    kept = Math.max(0, kept - 1);
    const rows = this.#rows.slice(0, kept === 0 ? 0 : this.#ends[kept - 1]);
    this.#ends.length = kept;
    for (let index = kept; index < items.length; index++) {
      append(rows, items, index, divider);
      this.#ends.push(rows.length);
    }
    this.#items = items;
    this.#divider = divider;
    this.#rows = rows;
    return rows;
  }
}

function append(rows: Row[], items: readonly Item[], index: number, divider: string | null): void {
  const item = items[index]!;
  const before = items[index - 1];
  const next = items[index + 1];
  const { key, timestamp } = item;
  if (!before || !isSameDay(before.timestamp, timestamp)) rows.push({ kind: "day", key: `day-${key}`, timestamp });
  if (item.kind === "note") rows.push({ kind: "note", key, item });
  else if (item.kind === "presence") rows.push({ kind: "presence", key, item });
  else {
    const isFirst = !isGroup(before, item) || before?.key === divider;
    const isLast = !next || !isGroup(item, next) || key === divider;
    rows.push({ kind: "message", key, item, isFirst, isLast });
  }
  if (key === divider && next) rows.push({ kind: "divider", key: DIVIDER });
}

/** Whether the second message is grouped with the first. */
function isGroup(one: Item | undefined, other: Item): boolean {
  return (
    one?.kind === "message" &&
    other.kind === "message" &&
    one.author === other.author &&
    other.timestamp - one.timestamp < GROUP_MS &&
    isSameDay(one.timestamp, other.timestamp)
  );
}

/** The size of text, in pixels, on average. */
const CHARACTER = 7.3;
const LINE = 22.5;

/** The height of a row in pixels before it is displayed, in a list with some width. */
export function probableHeight(row: Row, width: number): number {
  if (row.kind === "day" || row.kind === "divider") return 46;
  if (row.kind !== "message") return 36;
  const columns = Math.max(16, Math.min(580, 0.85 * (width || 800) - 100) / CHARACTER);
  const lines = Math.ceil(row.item.text.length / columns);
  return 18.4 + lines * LINE + (row.isFirst ? 31 : 0);
}
