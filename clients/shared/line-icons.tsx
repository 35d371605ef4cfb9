/** What the pages of the web chat and of the console share of their icons, each drawn with lines on a 24x24 grid. */

export const BACK = "M15 5l-7 7 7 7";
export const BLOCK = "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM5.600 5.600l12.800 12.800";
export const CLOSE = "M6 6l12 12M18 6L6 18";
export const HASH = "M10 4L8 20M16 4l-2 16M5 9h15M4 15h15";
export const LEAVE = "M14 4H6a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1h8M10 12h10M17 8l4 4-4 4";
export const LOCK =
  "M7 11V8a5 5 0 0 1 10 0v3M6 11h12a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1v-8a1 1 0 0 1 1-1z";
export const PEOPLE =
  "M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM2.500 20c0-3.500 2.900-6 6.500-6s6.500 2.500 6.500 6M16 4.500a3.500 3.500 0 0 1 0 6M18 14.500c2.100.8 3.500 2.800 3.500 5.500";
export const PLUS = "M12 5v14M5 12h14";
export const TRASH = "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5";

/** An icon. It is hidden from screen readers, which read the label next to it. */
export function LineIcon({ path }: { path: string }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={path} />
    </svg>
  );
}
