/** Small parts that are used all over the page. */

import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef } from "preact/hooks";

import { Icon, type IconName } from "./icons.js";

/** The first letters of a name on a colour that is always the same for it. */
export function Avatar({ name }: { name: string }) {
  const letters = name.split(/[\s._-]+/, 2).map((word) => [...word][0] ?? "").join("");
  return (
    <span class="avatar" aria-hidden="true" style={{ "--hue": String(hue(name)) }}>
      {letters.toUpperCase()}
    </span>
  );
}

/** The colour of a person, in degrees. Names that are alike get colours that are not. */
export function hue(name: string): number {
  let hash = 7;
  for (const char of name) hash = (hash * 31 + char.codePointAt(0)!) % 99_991;
  return Math.round(hash * 137.508) % 360;
}

interface IconButtonProps {
  icon: IconName;
  /** What it does: read out, and shown when the mouse rests on it. */
  label: string;
  onClick: () => void;
  class?: string;
  pressed?: boolean;
  disabled?: boolean;
}

export function IconButton({ icon, label, onClick, class: extra = "", pressed, disabled }: IconButtonProps) {
  return (
    <button
      type="button"
      class={`icon-button ${extra}`}
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

/** A dialog in front of the page; the browser keeps the focus in it and gives it back. */
export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren }) {
  const ref = useRef<HTMLDialogElement>(null);
  const close = useRef(props.onClose);
  close.current = props.onClose;
  const titleId = useId();
  // At once, not after the next frame: nothing that is typed may go astray.
  useLayoutEffect(() => {
    const dialog = ref.current!;
    const onClose = () => close.current();
    dialog.addEventListener("close", onClose);
    dialog.showModal();
    return () => {
      // Its event would come later, and might close another dialog.
      dialog.removeEventListener("close", onClose);
      dialog.close();
    };
  }, []);
  const closeOnBackdrop = (event: MouseEvent) => {
    if (event.target === ref.current) props.onClose();
  };
  return (
    <dialog ref={ref} aria-labelledby={titleId} onClick={closeOnBackdrop}>
      <div class="dialog">
        <header>
          <h2 id={titleId}>{props.title}</h2>
          <IconButton icon="close" label="Close" onClick={props.onClose} />
        </header>
        {props.children}
      </div>
    </dialog>
  );
}

/** A text that stays valid while it is typed: what is wrong is said below it. */
export function Field(props: {
  label: string;
  value: string;
  onInput: (value: string) => void;
  maxLength: number;
  error?: string | null;
  hint?: string;
  placeholder?: string;
  autoFocus?: boolean;
  autoComplete?: string;
  list?: readonly string[];
}) {
  const id = useId();
  const ref = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (props.autoFocus) ref.current?.focus();
  }, []);
  const below = props.error ?? props.hint;
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <input
        ref={ref}
        id={id}
        value={props.value}
        maxLength={props.maxLength}
        placeholder={props.placeholder}
        autocomplete={props.autoComplete ?? "off"}
        autocapitalize="off"
        autofocus={props.autoFocus} // where a dialog puts the focus
        spellcheck={false}
        list={props.list && `${id}-list`}
        aria-invalid={props.error ? true : undefined}
        aria-describedby={below ? `${id}-below` : undefined}
        onInput={(event) => props.onInput(event.currentTarget.value)}
      />
      {props.list && (
        <datalist id={`${id}-list`}>
          {props.list.map((value) => (
            <option key={value} value={value} />
          ))}
        </datalist>
      )}
      {below && (
        <p id={`${id}-below`} class={props.error ? "error" : "hint"} role={props.error ? "alert" : undefined}>
          {below}
        </p>
      )}
    </div>
  );
}

export function Switch(props: {
  label: string;
  hint: string;
  checked: boolean;
  disabled?: boolean;
  onChange: (checked: boolean) => void;
}) {
  const id = useId();
  return (
    <div class="switch">
      <input
        type="checkbox"
        role="switch"
        id={id}
        checked={props.checked}
        disabled={props.disabled}
        aria-describedby={`${id}-hint`}
        onChange={(event) => {
          // The server decides: what it says is shown.
          const { checked } = event.currentTarget;
          event.currentTarget.checked = props.checked;
          props.onChange(checked);
        }}
      />
      <label for={id}>{props.label}</label>
      <p id={`${id}-hint`} class="hint">
        {props.hint}
      </p>
    </div>
  );
}
