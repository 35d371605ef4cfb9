/** The stored messages of a room and those that come, and a message from the server. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import { path } from "../state/api.js";
import type { RoomEvents } from "../state/events.js";
import type { History, Message } from "../state/records.js";
import type { Session } from "../state/session.js";
import { dateTime, explain, messageText } from "../state/texts.js";
import { Log, useLogPlace } from "./log.js";
import { Button, Failure, Field, UserLink, useWork } from "./parts.js";

/** Messages of one request, and messages that are shown. */
const PAGE = 100;
const MAX_SHOWN = 1000;

interface Shown {
  epoch: string;
  messages: Message[];
  hasOlder: boolean;
}

export function Messages({ session, name, events }: { session: Session; name: string; events: RoomEvents }) {
  const api = session.api.value!;
  const [shown, setShown] = useState<Shown | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const log = useLogPlace();
  const heightBefore = useRef<number | null>(null);
  const place = path`/rooms/${name}/messages`;

  const load = async () => {
    try {
      const found = await api.get<History>(place, { limit: PAGE });
      const first = found.messages[0]?.id ?? 1;
      setShown({ epoch: found.epoch, messages: found.messages, hasOlder: first > 1 });
      setProblem(null);
    } catch (error) {
      setProblem(explain(error));
    }
  };

  const loadOlder = async (known: Shown) => {
    const first = known.messages[0]!.id;
    try {
      const query = { after: Math.max(0, first - 1 - PAGE), epoch: known.epoch, limit: PAGE };
      const found = await api.get<History>(place, query);
      // Not recovered: what is older is not stored any more.
      const older = found.recovered ? found.messages.filter((message) => message.id < first) : [];
      heightBefore.current = log.box.current?.scrollHeight ?? null;
      const hasOlder = older.length > 0 && older[0]!.id > 1;
      setShown((now) => now && { ...now, messages: [...older, ...now.messages], hasOlder });
    } catch (error) {
      setProblem(explain(error));
    }
  };

  useEffect(() => {
    void load();
    return events.listen((event) => {
      if (event.name === "roomMessage") {
        const message = event.data["message"] as Message;
        setShown((now) => now && append(now, message));
      } else if (event.name === "position" && event.data["recovered"] === false) {
        void load(); // the room has another life
      }
    });
  }, [events]);

  useLayoutEffect(() => {
    const element = log.box.current;
    if (!element) return;
    if (heightBefore.current !== null) element.scrollTop += element.scrollHeight - heightBefore.current;
    else if (log.isAtEnd.current) element.scrollTop = element.scrollHeight;
    heightBefore.current = null;
  }, [shown]);

  return (
    <div class="messages">
      {problem && <Failure text={problem} onRetry={() => void load()} />}
      {shown && shown.messages.length === 0 && <p class="empty">There are no messages yet.</p>}
      {shown && shown.messages.length > 0 && (
        <Log place={log} label="Messages">
          {shown.hasOlder && shown.messages.length < MAX_SHOWN && (
            <Button onClick={() => void loadOlder(shown)}>Show older messages</Button>
          )}
          <ol>
            {shown.messages.map((message) => (
              <li key={message.id}>
                <p class="about quiet">
                  <span>#{message.id}</span>
                  {message.author === undefined ? (
                    <span class="badge">server</span>
                  ) : (
                    <UserLink name={message.author} />
                  )}
                  <time dateTime={new Date(message.timestamp).toISOString()}>{dateTime(message.timestamp)}</time>
                </p>
                <p class="text" dir="auto">
                  {messageText(message)}
                </p>
              </li>
            ))}
          </ol>
        </Log>
      )}
      {session.may("write") && <Composer session={session} place={place} />}
    </div>
  );
}

function append(now: Shown, message: Message): Shown {
  const last = now.messages[now.messages.length - 1]?.id ?? 0;
  if (message.id <= last) return now;
  const messages = [...now.messages.slice(1 - MAX_SHOWN), message];
  return { ...now, messages, hasOlder: messages[0]!.id > 1 };
}

function Composer({ session, place }: { session: Session; place: string }) {
  const [text, setText] = useState("");
  /** Names the message, so that sending it again after an error cannot store it twice. */
  const key = useRef<string | null>(null);
  const { isBusy, error, run } = useWork();
  const send = async (event: SubmitEvent) => {
    event.preventDefault();
    key.current ??= newKey();
    const isDone = await run(async () => {
      await session.api.value!.send("POST", place, { message: { textMessage: text } }, key.current!);
    });
    if (!isDone) return;
    key.current = null;
    setText("");
  };
  return (
    <form class="add-name" onSubmit={(event) => void send(event)}>
      <Field
        label="Message from the server"
        value={text}
        onInput={(value) => {
          key.current = null;
          setText(value);
        }}
        error={error}
        isHidden
      />
      <Button type="submit" kind="primary" disabled={isBusy || text === ""}>
        Send
      </Button>
    </form>
  );
}

/** `crypto.randomUUID` is there over HTTPS alone. */
function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
