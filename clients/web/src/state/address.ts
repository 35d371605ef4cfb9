/** Links into the chat: `#/room/NAME` is a room, `#/room/NAME/ID` a message in it. */

export interface Place {
  room: string;
  /** The id of a message; null for the room itself. */
  id: number | null;
}

const ROOM = /^#\/room\/([^/]+)(?:\/(\d{1,15}))?$/;

/** The place that the address of the page names, or null. */
export function placeIn(hash: string): Place | null {
  const match = ROOM.exec(hash);
  if (match === null) return null;
  try {
    return { room: decodeURIComponent(match[1]!), id: match[2] === undefined ? null : Number(match[2]) };
  } catch {
    return null; // not an encoded name
  }
}

/** The address of a room, or of a message in it, for others. */
export function addressOf(room: string, id?: number): string {
  const { origin, pathname } = location;
  return `${origin}${pathname}#/room/${encodeURIComponent(room)}${id === undefined ? "" : `/${id}`}`;
}

/** Remove the place from the address of the page, so that a reload does not go there again. */
export function clearPlace(): void {
  history.replaceState(null, "", location.pathname + location.search);
}
