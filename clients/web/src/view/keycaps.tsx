/** Keys of a keyboard, as they are shown. */

const NAMES: Record<string, string> = { "↓": "Down", "↑": "Up", "⌘": "Command", "?": "question mark" };

/** Keys that are pressed together. */
export function Keys({ keys }: { keys: readonly string[] }) {
  return (
    <>
      {keys.map((key) => (
        <kbd key={key}>
          {key in NAMES ? (
            <>
              <span aria-hidden="true">{key}</span>
              <span class="sr-only">{NAMES[key]}</span>
            </>
          ) : (
            key
          )}{" "}
        </kbd>
      ))}
    </>
  );
}
