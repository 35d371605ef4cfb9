/** Which page is shown: it stands behind the # of the address, so that the browser's history works. */

import { signal } from "@preact/signals";

export const TABS = ["members", "messages", "events", "lists", "settings"] as const;
export type Tab = (typeof TABS)[number];

export type Route =
  | { page: "overview" | "rooms" | "users" }
  | { page: "room"; name: string; tab: Tab }
  | { page: "user"; name: string };

export function parse(hash: string): Route {
  const [page = "", given = "", tab = ""] = hash.replace(/^#\/?/, "").split("/");
  let name: string;
  try {
    name = decodeURIComponent(given);
  } catch {
    return { page: "overview" };
  }
  if (page === "rooms" && name === "") return { page: "rooms" };
  if (page === "users" && name === "") return { page: "users" };
  if (page === "rooms") return { page: "room", name, tab: TABS.find((each) => each === tab) ?? "members" };
  if (page === "users") return { page: "user", name };
  return { page: "overview" };
}

export const roomLink = (name: string, tab: Tab = "members"): string =>
  `#/rooms/${encodeURIComponent(name)}${tab === "members" ? "" : `/${tab}`}`;

export const userLink = (name: string): string => `#/users/${encodeURIComponent(name)}`;

export const route = signal<Route>(parse(location.hash));

window.addEventListener("hashchange", () => {
  route.value = parse(location.hash);
});

export function go(hash: string): void {
  location.hash = hash;
}

/** The title of a page. */
export function titleOf(shown: Route): string {
  switch (shown.page) {
    case "overview":
      return "Overview";
    case "rooms":
      return "Rooms";
    case "users":
      return "Users";
    default:
      return shown.name;
  }
}
