/** What is typed while a dialog opens belongs to its text field. */

/**
 * Keep what is typed until a text field of a dialog has the focus, and put it there. Without this, the first letters
 * after a shortcut go into the field that had the focus before. Returns a function that stops it.
 */
export function keepTypedAhead(): () => void {
  // A dialog whose code is loaded already has the focus by now.
  if (isField(document.activeElement)) return () => undefined;
  let typed = "";
  const onKey = (event: KeyboardEvent) => {
    if (event.key.length !== 1 || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    event.preventDefault();
    event.stopPropagation();
    typed += event.key;
  };
  const onFocus = ({ target }: FocusEvent) => {
    if (!isField(target)) return;
    stop();
    if (typed === "") return;
    target.value += typed;
    target.dispatchEvent(new InputEvent("input", { bubbles: true }));
  };
  const stop = () => {
    document.removeEventListener("keydown", onKey, true);
    document.removeEventListener("focusin", onFocus);
  };
  document.addEventListener("keydown", onKey, true);
  document.addEventListener("focusin", onFocus);
  return stop;
}

function isField(target: EventTarget | null): target is HTMLInputElement {
  return target instanceof HTMLInputElement && target.closest("dialog") !== null;
}
