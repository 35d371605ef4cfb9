/** The icons of this page. */

import {
  BACK,
  BLOCK,
  CLOSE,
  HASH,
  LEAVE,
  LOCK,
  PEOPLE,
  PLUS,
  TRASH,
  LineIcon,
} from "../../../shared/line-icons.js";

const PATHS = {
  ban: BLOCK,
  back: BACK,
  chart: "M4 20V4M4 20h16M9 16v-5M13.500 16V8M18 16v-3",
  close: CLOSE,
  down: "M7 10l5 5 5-5",
  key: "M15 4a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM11 12l-8 8M6 17l2.500 2.500",
  kick: LEAVE,
  lock: LOCK,
  moon: "M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500z",
  plus: PLUS,
  refresh: "M20 11a8 8 0 0 0-14-4.500L4 9M4 4v5h5M4 13a8 8 0 0 0 14 4.500l2-2.500M20 20v-5h-5",
  rooms: HASH,
  search: "M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zM15.500 15.500L21 21",
  trash: TRASH,
  up: "M7 14l5-5 5 5",
  users: PEOPLE,
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return <LineIcon path={PATHS[name]} />;
}
