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
  attach: "M20 11l-8.500 8.500a5 5 0 0 1-7-7L13 4a3.300 3.300 0 0 1 4.700 4.700L9.500 17a1.700 1.700 0 0 1-2.400-2.400L14.500 7",
  back: BACK,
  bell: "M6 16V11a6 6 0 0 1 12 0v5l1.500 2h-15zM10 20.500a2 2 0 0 0 4 0",
  block: BLOCK,
  chat: "M5 5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-7l-5 4v-4H5a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2z",
  check: "M5 13l4 4L19 7",
  close: CLOSE,
  crown: "M4 17l-1-10 5 4 4-6 4 6 5-4-1 10z",
  devices: "M4 5h11a1 1 0 0 1 1 1v3M4 5a1 1 0 0 0-1 1v9h9M2 19h10M16 11h4a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1h-4a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1z",
  down: "M12 5v14M6 13l6 6 6-6",
  file: "M13 3H7a1 1 0 0 0-1 1v16a1 1 0 0 0 1 1h10a1 1 0 0 0 1-1V8zM13 3v5h5",
  hash: HASH,
  leave: LEAVE,
  link: "M10 14a4 4 0 0 0 5.700 0l3-3a4 4 0 0 0-5.700-5.700l-1 1M14 10a4 4 0 0 0-5.700 0l-3 3a4 4 0 0 0 5.700 5.700l1-1",
  lock: LOCK,
  more: "M4.500 12a.500.500 0 1 0 1 0 .500.500 0 1 0-1 0zM11.500 12a.500.500 0 1 0 1 0 .500.500 0 1 0-1 0zM18.500 12a.500.500 0 1 0 1 0 .500.500 0 1 0-1 0z",
  muted: "M6 16V11a6 6 0 0 1 9-5.200M18 11v5l1.500 2H8M10 20.500a2 2 0 0 0 4 0M4 4l16 16",
  pencil: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  people: PEOPLE,
  person: "M12 11.500a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.500 20.500c.600-4 3.600-6.500 7.500-6.500s6.900 2.500 7.500 6.500",
  plus: PLUS,
  remove: "M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM2.500 20c0-3.500 2.900-6 6.500-6s6.500 2.500 6.500 6M16 9l5 5M21 9l-5 5",
  reply: "M9 6l-5 5 5 5M4 11h9a6 6 0 0 1 6 6v1",
  search: "M10.500 4a6.500 6.500 0 1 1 0 13 6.500 6.500 0 0 1 0-13zM15.500 15.500L20 20",
  send: "M4 12l16-8-6 16-3-7z",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M16 4.500a2.500 2.500 0 1 1 0 5 2.500 2.500 0 0 1 0-5zM8 14.500a2.500 2.500 0 1 1 0 5 2.500 2.500 0 0 1 0-5z",
  shield: "M12 3l7 3v5c0 4.500-3 8-7 10-4-2-7-5.500-7-10V6z",
  smile: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM8.500 14a4 4 0 0 0 7 0M9 9.500h.01M15 9.500h.01",
  star: "M12 4l2.500 5.200 5.700.8-4.100 4 1 5.700-5.100-2.700-5.100 2.700 1-5.700-4.100-4 5.700-.8z",
  trash: TRASH,
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return <LineIcon path={PATHS[name]} />;
}
