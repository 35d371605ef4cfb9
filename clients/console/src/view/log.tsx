/** A box of lines of which the last ones stay in sight when others come, unless somebody has scrolled away. */

import type { ComponentChildren, RefObject } from "preact";
import { useRef } from "preact/hooks";

/** Distance in px from the end that still counts as the end. */
const NEAR = 24;

export interface LogPlace {
  box: RefObject<HTMLDivElement | null>;
  /** Whether the last line is in sight. */
  isAtEnd: { current: boolean };
}

export function useLogPlace(): LogPlace {
  return { box: useRef<HTMLDivElement>(null), isAtEnd: useRef(true) };
}

export function Log({ place, label, children }: { place: LogPlace; label: string; children: ComponentChildren }) {
  return (
    <div
      ref={place.box}
      class="log"
      role="log"
      aria-label={label}
      // A busy room would never let a screen reader speak.
      aria-live="off"
      tabIndex={0}
      onScroll={({ currentTarget: it }) => {
        place.isAtEnd.current = it.scrollTop + it.clientHeight > it.scrollHeight - NEAR;
      }}
    >
      {children}
    </div>
  );
}
