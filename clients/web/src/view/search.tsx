/** Search in the messages of a conversation. */

import { useEffect, useMemo, useRef } from "preact/hooks";

import type { Conversation } from "../state/conversation.js";
import { excerpt } from "../state/matching.js";
import { Search } from "../state/search.js";
import type { Chat } from "../state/session.js";
import { count, dayText, timeText, whenText } from "../state/texts.js";
import { Dialog } from "./dialog.js";
import { Marked } from "./marked.js";

interface SearchProps {
  chat: Chat;
  conversation: Conversation;
  query: string;
  onClose: () => void;
}

export function SearchDialog({ chat, conversation, query, onClose }: SearchProps) {
  const search = useMemo(() => {
    const made = new Search(conversation);
    made.query.value = query;
    return made;
  }, [conversation]);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => () => search.stop(), [search]);
  const words = search.words.value;
  const found = search.found.value;
  const show = (key: string) => {
    onClose();
    setTimeout(() => (conversation.target.value = key));
  };
  return (
    <Dialog
      chat={chat}
      title={
        <>
          Search in <bdi>{conversation.name}</bdi>
        </>
      }
      onClose={onClose}
    >
      <form
        class="finder"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          void search.searchOlder();
        }}
      >
        <input
          ref={field}
          type="text" // Escape would only empty a field of the type "search"
          role="searchbox"
          enterkeyhint="search"
          autofocus
          autocomplete="off"
          spellcheck={false}
          dir="auto"
          aria-label="Words in a message"
          placeholder="Words in a message"
          value={search.query.value}
          onInput={(event) => (search.query.value = event.currentTarget.value)}
        />
        {words.length > 0 && (
          <ul class="hits" aria-label="Messages found" tabIndex={found.length > 0 ? -1 : undefined}>
            {found.map((item) => (
              <li key={item.key}>
                <button type="button" class="hit" onClick={() => show(item.key)}>
                  <span class="name said">
                    <bdi class="quiet">{item.author}</bdi>
                    <span dir="auto">
                      <Marked parts={excerpt(item.text, words)} />
                    </span>
                  </span>
                  <time class="quiet" dateTime={new Date(item.timestamp).toISOString()}>
                    {dayText(item.timestamp)} {timeText(item.timestamp)}
                  </time>
                </button>
              </li>
            ))}
          </ul>
        )}
        <Progress search={search} />
      </form>
    </Dialog>
  );
}

function Progress({ search }: { search: Search }) {
  const { conversation } = search;
  const total = search.total.value;
  const since = search.since.value;
  const isRunning = search.isRunning.value;
  const hasWords = search.words.value.length > 0;
  const mayGoOn = conversation.hasOlder.value;
  return (
    <div class="progress">
      <p class="hint" role="status">
        {hasWords && `${total === 0 ? "Nothing found" : `${total} found`} in `}
        {hasWords ? count(search.searched.value, "message") : "Finds messages that contain all the words, in any order"}
        {hasWords && since !== null && `, back to ${whenText(since)}`}.
        {hasWords && total > search.found.value.length && ` The newest ${search.found.value.length} are shown.`}
        {hasWords && !mayGoOn && " This is everything that is stored."}
        {search.hasFailed.value && " Older messages cannot be loaded right now."}
      </p>
      {isRunning && <progress aria-label="Loading older messages" />}
      {isRunning ? (
        <button type="button" onClick={() => search.stop()}>
          Stop
        </button>
      ) : (
        mayGoOn && (
          <button type="submit" disabled={!hasWords}>
            Search older messages
          </button>
        )
      )}
    </div>
  );
}
