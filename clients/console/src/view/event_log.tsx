/** The events of a room as they come, as they were sent. */

import { useLayoutEffect, useState } from "preact/hooks";

import { MAX_EVENTS, type RoomEvent, type RoomEvents } from "../state/events.js";
import { count, timeOfDay } from "../state/texts.js";
import { Log, useLogPlace } from "./log.js";
import { Button } from "./parts.js";

/** Characters of an event's data that are shown. */
const MAX_TEXT = 2000;

export function EventLog({ events }: { events: RoomEvents }) {
  const [paused, setPaused] = useState<readonly RoomEvent[] | null>(null);
  const place = useLogPlace();
  const shown = paused ?? events.events.value;
  const newest = shown[shown.length - 1]?.number ?? 0;
  useLayoutEffect(() => {
    const element = place.box.current;
    if (element && place.isAtEnd.current) element.scrollTop = element.scrollHeight;
  }, [newest]);
  return (
    <div class="messages">
      <div class="tools">
        <p class="count quiet">
          {count(shown.length, "event")}
          {shown.length >= MAX_EVENTS && ", the newest ones"}
          {events.problem.value !== null && `. ${events.problem.value}`}
        </p>
        <Button onClick={() => setPaused(paused === null ? events.events.value : null)}>
          {paused === null ? "Pause" : "Go on"}
        </Button>
        <Button
          onClick={() => {
            events.clear();
            if (paused !== null) setPaused([]);
          }}
        >
          Clear
        </Button>
      </div>
      <Log place={place} label="Live events">
        {shown.length === 0 && <p class="empty">Events are shown here as they come.</p>}
        <ol>
          {shown.map((event) => (
            <li key={event.number}>
              <p class="about quiet">
                <time dateTime={new Date(event.time).toISOString()}>{timeOfDay(event.time)}</time>
                <strong>{event.name}</strong>
              </p>
              <code class="text">{JSON.stringify(event.data).slice(0, MAX_TEXT)}</code>
            </li>
          ))}
        </ol>
      </Log>
    </div>
  );
}
