/**
 * A table of any length, of which only the rows in sight are elements.
 *
 * The Tab key stops at one row: arrows, Page Up and Down, Home and End move between rows, Left and Right between the
 * links and buttons of a row. Screen readers are told how many rows there are, and which one they read.
 */

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

import type { Sorting } from "../state/listing.js";
import { Icon } from "./icons.js";

/** Rows beyond the edges that are elements, too. */
const SPARE = 8;
/** Height of a row in rem, as in parts.css. */
const ROW = 2.75;

export interface Column<T> {
  key: string;
  title: string;
  /** A width as in CSS `grid-template-columns`. */
  width: string;
  isNumber?: boolean;
  isSortable?: boolean;
  /** `tabIndex`: that of links and buttons in the cell. */
  cell: (item: T, tabIndex: number) => ComponentChildren;
}

interface GridProps<T> {
  label: string;
  items: readonly T[];
  keyOf: (item: T) => string;
  columns: readonly Column<T>[];
  sorting?: Sorting;
  onSort?: (key: string) => void;
  isBusy?: boolean;
  /** Where the list was scrolled to, to come back to. */
  place?: { top: number };
}

export function Grid<T>({ label, items, keyOf, columns, sorting, onSort, isBusy, place }: GridProps<T>) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: place?.top ?? 0, height: 600, row: 44 });
  const [active, setActive] = useState(0);
  /** Where in its row the focus is to go after the next rendering; null: nowhere. */
  const wanted = useRef<number | null>(null);
  const hadFocus = useRef(false);

  useLayoutEffect(() => {
    const element = box.current!;
    const row = ROW * parseFloat(getComputedStyle(document.documentElement).fontSize);
    const measure = () => setView((before) => ({ ...before, height: element.clientHeight, row }));
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    if (place) element.scrollTop = place.top;
    return () => observer.disconnect();
  }, []);

  const current = Math.min(active, Math.max(0, items.length - 1));
  const first = Math.max(0, Math.floor(view.top / view.row) - SPARE);
  const last = Math.min(items.length, first + Math.ceil(view.height / view.row) + 2 * SPARE);
  const shown = items.slice(first, last).map((item, index) => [first + index, item] as const);
  // The row with the tab stop is always an element, so that it can be reached and keeps the focus.
  if ((current < first || current >= last) && items[current] !== undefined) shown.push([current, items[current]]);

  useLayoutEffect(() => {
    const element = box.current!;
    const isLost = hadFocus.current && document.activeElement === document.body;
    if (wanted.current === null && !isLost) return;
    const targets = element.querySelectorAll<HTMLElement>(`[aria-rowindex="${current + 2}"] :is(a, button)`);
    const target = targets[wanted.current ?? 0] ?? targets[0];
    wanted.current = null;
    target?.focus({ preventScroll: true });
  });

  const move = (to: number, part = 0) => {
    const next = Math.max(0, Math.min(items.length - 1, to));
    const element = box.current!;
    // Below the head, which covers one row.
    const above = next * view.row;
    const below = above + 2 * view.row - element.clientHeight;
    if (element.scrollTop > above) element.scrollTop = above;
    else if (element.scrollTop < below) element.scrollTop = below;
    wanted.current = part;
    setActive(next);
    setView((before) => ({ ...before, top: element.scrollTop }));
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const focused = event.target as HTMLElement;
    const row = focused.closest<HTMLElement>("[data-row]");
    if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
    const at = Number(row.dataset["row"]);
    const parts = [...row.querySelectorAll<HTMLElement>("a, button")];
    const part = parts.indexOf(focused);
    const page = Math.max(1, Math.floor(view.height / view.row) - 2);
    switch (event.key) {
      case "ArrowDown":
        move(at + 1, part);
        break;
      case "ArrowUp":
        move(at - 1, part);
        break;
      case "PageDown":
        move(at + page, part);
        break;
      case "PageUp":
        move(at - page, part);
        break;
      case "Home":
        move(0, part);
        break;
      case "End":
        move(items.length - 1, part);
        break;
      case "ArrowRight":
        parts[part + 1]?.focus();
        break;
      case "ArrowLeft":
        parts[part - 1]?.focus();
        break;
      default:
        return;
    }
    event.preventDefault();
  };

  const widths = { "--columns": columns.map((column) => column.width).join(" ") };
  return (
    <div
      ref={box}
      class="grid"
      role="grid"
      aria-label={label}
      aria-rowcount={items.length + 1}
      aria-colcount={columns.length}
      aria-busy={isBusy}
      style={widths}
      onKeyDown={onKeyDown}
      onFocusIn={(event) => {
        hadFocus.current = true;
        const row = (event.target as HTMLElement).closest<HTMLElement>("[data-row]");
        if (row) setActive(Number(row.dataset["row"]));
      }}
      onFocusOut={(event) => {
        // Nothing takes the focus over when its element is gone.
        if (event.relatedTarget !== null) hadFocus.current = false;
      }}
      onScroll={(event) => {
        const top = event.currentTarget.scrollTop;
        if (place) place.top = top;
        if (Math.abs(top - view.top) >= view.row || top === 0) setView((before) => ({ ...before, top }));
      }}
    >
      <div role="row" class="grid-head" aria-rowindex={1}>
        {columns.map((column, index) => (
          <Head key={column.key} column={column} index={index} sorting={sorting} onSort={onSort} />
        ))}
      </div>
      <div class="grid-rows" style={{ height: `${items.length * ROW}rem` }}>
        {shown.map(([index, item]) => (
          <div
            key={keyOf(item)}
            role="row"
            class="grid-row"
            data-row={index}
            aria-rowindex={index + 2}
            style={{ top: `${index * ROW}rem` }}
          >
            {columns.map((column, place) => (
              <div
                key={column.key}
                role="gridcell"
                aria-colindex={place + 1}
                class={`cell-${column.key} ${column.isNumber ? "is-number" : ""}`}
              >
                {column.cell(item, index === current ? 0 : -1)}
              </div>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}

function Head<T>({
  column,
  index,
  sorting,
  onSort,
}: {
  column: Column<T>;
  index: number;
  sorting: Sorting | undefined;
  onSort: ((key: string) => void) | undefined;
}) {
  const isSorted = sorting?.key === column.key;
  const order = isSorted ? (sorting.isDescending ? "descending" : "ascending") : "none";
  return (
    <div
      role="columnheader"
      class={`cell-${column.key} ${column.isNumber ? "is-number" : ""}`}
      aria-colindex={index + 1}
      aria-sort={column.isSortable ? order : undefined}
    >
      {column.isSortable ? (
        <button type="button" onClick={() => onSort?.(column.key)}>
          {column.title}
          {isSorted && <Icon name={sorting.isDescending ? "down" : "up"} />}
        </button>
      ) : (
        column.title
      )}
    </div>
  );
}
