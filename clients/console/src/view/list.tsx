/** A list of any length with its search, its count, and what is to be said when it is empty or not there. */

import type { ComponentChildren } from "preact";

import { type Listing, MAX_ITEMS } from "../state/listing.js";
import { count, number } from "../state/texts.js";
import { type Column, Grid } from "./grid.js";
import { Button, Failure, Field } from "./parts.js";

/** Items that one sees at a glance. */
const SHORT = 8;

interface ListViewProps<T> {
  listing: Listing<T>;
  label: string;
  what: string;
  columns: readonly Column<T>[];
  place?: { top: number };
  empty: string;
  /** Whether a short list has no search: it is one of several on a page. */
  isPart?: boolean;
  /** What stands beside the search. */
  tools?: ComponentChildren;
}

export function ListView<T>({ listing, label, what, columns, place, empty, isPart, tools }: ListViewProps<T>) {
  const shown = listing.shown.value;
  const isLoading = listing.isLoading.value;
  const total = listing.items.value.length;
  const error = listing.error.value;
  const isFound = shown.length !== total || listing.search.value.trim() !== "";
  return (
    <div class="list-view">
      {(!isPart || total > SHORT) && (
        <div class="tools">
          <Field
            label={`Search ${label.toLowerCase()}`}
            type="search"
            value={listing.search.value}
            onInput={(text) => listing.find(text)}
            isHidden
          />
          {tools}
          {!isPart && (
            <Button icon="refresh" onClick={() => void listing.refresh()} disabled={isLoading}>
              Refresh
            </Button>
          )}
        </div>
      )}
      <p class="count quiet" role="status">
        {isLoading && shown.length === 0 ? "Loading…" : count(shown.length, what)}
        {isFound && shown.length > 0 && " found"}
        {isLoading && shown.length > 0 && ", loading…"}
        {listing.isCut.value && listing.search.value.trim() === "" && !isLoading
          ? `: the first ${number(MAX_ITEMS)} or more; search to find others`
          : ""}
      </p>
      {error && <Failure text={error} onRetry={() => void listing.refresh()} />}
      {shown.length > 0 ? (
        <Grid
          label={label}
          items={shown}
          keyOf={listing.nameOf}
          columns={columns}
          sorting={listing.sorting.value}
          onSort={(key) => listing.sortBy(key)}
          isBusy={isLoading}
          place={place}
        />
      ) : (
        !isLoading && !error && <p class="empty">{isFound ? `No ${what} has this in its name.` : empty}</p>
      )}
    </div>
  );
}
