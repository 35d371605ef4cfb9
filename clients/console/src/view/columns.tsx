/** Columns that several lists have. */

import { number } from "../state/texts.js";
import type { Column } from "./grid.js";
import { UserLink } from "./parts.js";

/** The names of users, by which the list is sorted at first. */
export function userColumn<T>(title: string, width: string, nameOf: (item: T) => string): Column<T> {
  return {
    key: "name",
    title,
    width,
    isSortable: true,
    cell: (item, tabIndex) => <UserLink name={nameOf(item)} tabIndex={tabIndex} />,
  };
}

/** A number by which the list can be sorted. */
export function numberColumn<T>(key: string, title: string, width: string, value: (item: T) => number): Column<T> {
  return { key, title, width, isNumber: true, isSortable: true, cell: (item) => number(value(item)) };
}
