// A room with React. Bundle it with `esbuild main.tsx --bundle --jsx=automatic --outfile=main.js`.
import { ChatClient } from "@chat-service/client";
import { ChatProvider, useChat, useMessages, usePresence, useTyping, type ShownMessage } from "@chat-service/client/react";
import { StrictMode, useState, type FormEvent } from "react";
import { createRoot } from "react-dom/client";

interface Text {
  textMessage: string;
}

const THUMBS_UP = "\u{1F44D}";

function Message({ message }: { message: ShownMessage<Text> }) {
  const { author, content, reactions, actions, isDeleted, isEdited } = message;
  if (isDeleted) return <li>{author} deleted a message</li>;
  return (
    <li>
      <b>{author}</b>: {content.textMessage} {isEdited && <i>(edited)</i>}{" "}
      {reactions.map(({ reaction, count }) => (
        <span key={reaction}>
          {reaction} {count}{" "}
        </span>
      ))}
      <button onClick={() => void actions.react(THUMBS_UP)}>{THUMBS_UP}</button>
      <button onClick={() => void actions.delete()}>Delete</button>
    </li>
  );
}

function RoomPage({ name }: { name: string }) {
  const { messages, hasOlder, loadOlder, send, state, error } = useMessages<Text>(name, { recent: 20 });
  const { members } = usePresence(name);
  const { users, tell } = useTyping(name);
  const [text, setText] = useState("");

  const submit = (event: FormEvent) => {
    event.preventDefault();
    void send({ textMessage: text });
    setText("");
  };

  return (
    <main>
      <h2>
        {name}: {error ? error.message : state}
      </h2>
      <p id="members">Here: {members.map((member) => member.userName).join(", ")}</p>
      {hasOlder && <button onClick={() => void loadOlder()}>Older messages</button>}
      <ul>
        {messages.map((message) => (
          <Message key={message.id} message={message} />
        ))}
      </ul>
      <p id="typing">{users.length > 0 && `${users.join(", ")} typing`}</p>
      <form onSubmit={submit}>
        <input
          aria-label="Message"
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            tell();
          }}
        />
        <button>Send</button>
      </form>
    </main>
  );
}

function App() {
  const { state, login, error } = useChat();
  const [room, setRoom] = useState("lobby");
  return (
    <>
      <p id="state">
        {login?.userName} {state} {error?.message}
      </p>
      <select aria-label="Room" value={room} onChange={(event) => setRoom(event.target.value)}>
        <option>lobby</option>
        <option>kitchen</option>
      </select>
      <RoomPage name={room} />
    </>
  );
}

// A real page has a login; see "Logins that expire" in the documentation.
const userName = new URLSearchParams(location.search).get("user") ?? "alice";
const client = new ChatClient<Text>("", { query: { userName } });

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <ChatProvider client={client}>
      <App />
    </ChatProvider>
  </StrictMode>,
);
