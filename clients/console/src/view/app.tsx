/** The page as a whole: the login, or a page with the navigation beside it. */

import { useEffect, useRef, useState } from "preact/hooks";

import { makeLists } from "../state/lists.js";
import { route, titleOf } from "../state/route.js";
import type { Session } from "../state/session.js";
import { savedTheme, saveTheme, type Theme } from "../theme.js";
import { Icon, type IconName } from "./icons.js";
import { Login } from "./login.js";
import { Overview } from "./overview.js";
import { Button, Toasts } from "./parts.js";
import { RoomPage } from "./room.js";
import { Rooms } from "./rooms.js";
import { UserPage } from "./user.js";
import { Users } from "./users.js";

export function App({ session }: { session: Session }) {
  if (session.api.value) return <Desk key={session.token.value?.name} session={session} />;
  if (!session.isResuming.value) return <Login session={session} />;
  return (
    <main class="login">
      <h1>Connecting…</h1>
    </main>
  );
}

function Desk({ session }: { session: Session }) {
  const [lists] = useState(() => makeLists(session));
  const shown = route.value;
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  const key = "name" in shown ? `${shown.page} ${shown.name}` : shown.page;
  useEffect(() => {
    document.title = `${titleOf(shown)} · Console`;
    // Screen readers begin at the top of the new page, and so does the Tab key.
    if (!isFirst.current) main.current?.focus();
    isFirst.current = false;
  }, [key]);
  useEffect(() => () => [lists.rooms, lists.users].forEach((list) => list.stop()), []);
  return (
    <div class="desk">
      <Navigation session={session} />
      <main ref={main} tabIndex={-1} aria-labelledby="title">
        {shown.page === "overview" && <Overview session={session} />}
        {shown.page === "rooms" && <Rooms session={session} lists={lists} />}
        {shown.page === "users" && <Users session={session} lists={lists} />}
        {shown.page === "room" && <RoomPage key={key} session={session} name={shown.name} tab={shown.tab} />}
        {shown.page === "user" && <UserPage key={key} session={session} name={shown.name} />}
      </main>
      <Toasts session={session} />
    </div>
  );
}

const PAGES: readonly (readonly [string, string, IconName, readonly string[]])[] = [
  ["#/", "Overview", "chart", ["overview"]],
  ["#/rooms", "Rooms", "rooms", ["rooms", "room"]],
  ["#/users", "Users", "users", ["users", "user"]],
];

function Navigation({ session }: { session: Session }) {
  const [theme, setTheme] = useState(savedTheme());
  const page = route.value.page;
  const token = session.token.value;
  return (
    <header class="side">
      <p class="brand">
        <span class="logo">
          <Icon name="chart" />
        </span>
        Console
      </p>
      <nav aria-label="Pages">
        <ul>
          {PAGES.map(([href, label, icon, pages]) => (
            <li key={href}>
              <a href={href} aria-current={pages.includes(page) ? "page" : undefined}>
                <Icon name={icon} />
                {label}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="who">
        <label>
          <span class="quiet">Colours</span>
          <select
            value={theme}
            onChange={(event) => {
              const chosen = event.currentTarget.value as Theme;
              saveTheme(chosen);
              setTheme(chosen);
            }}
          >
            <option value="system">As the system</option>
            <option value="light">Light</option>
            <option value="dark">Dark</option>
          </select>
        </label>
        <p class="token">
          <Icon name="key" />
          <span>
            <span class="sr-only">Token: </span>
            <bdi>{token?.name}</bdi> <span class="quiet">{token?.scopes.join(", ")}</span>
          </span>
        </p>
        <Button icon="kick" onClick={() => session.logout()}>
          Sign out
        </Button>
      </div>
    </header>
  );
}
