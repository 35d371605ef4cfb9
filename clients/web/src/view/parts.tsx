/** Small components that are used throughout the page. */

import { useEffect, useId, useRef } from "preact/hooks";

import { tooLong } from "../state/texts.js";
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

/** The colour of a person, in degrees. Similar names get different colours. */
export function hue(name: string): number {
  let hash = 7;
  for (const char of name) hash = (hash * 31 + char.codePointAt(0)!) % 99_991;
  return Math.round(hash * 137.508) % 360;
}

interface IconButtonProps {
  icon: IconName;
  /** The button's action: read by screen readers, and shown as a tooltip. */
  label: string;
  onClick: () => void;
  class?: string;
  pressed?: boolean;
  /** Whether its menu is open; undefined if it has none. */
  expanded?: boolean;
  disabled?: boolean;
}

export function IconButton({ icon, label, onClick, class: extra = "", pressed, expanded, disabled }: IconButtonProps) {
  return (
    <button
      type="button"
      class={`icon-button ${extra}`}
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      aria-haspopup={expanded === undefined ? undefined : "menu"}
      aria-expanded={expanded}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

/** A field for a name. Errors are shown below it, and the name is not truncated. */
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
  type?: "text" | "password";
  list?: readonly string[];
}) {
  const id = useId();
  const ref = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (props.autoFocus) ref.current?.focus();
  }, []);
  const error = props.error ?? tooLong(props.value, props.maxLength);
  const below = error ?? props.hint;
  const kind: object = props.type === "password" ? { type: "password" } : { list: props.list && `${id}-list` };
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <input
        ref={ref}
        id={id}
        {...kind}
        value={props.value}
        dir="auto"
        placeholder={props.placeholder}
        autocomplete={props.autoComplete ?? "off"}
        autocapitalize="off"
        autofocus={props.autoFocus} // a dialog moves the focus here
        spellcheck={false}
        aria-invalid={error ? true : undefined}
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
        <p id={`${id}-below`} class={error ? "error" : "hint"} role={error ? "alert" : undefined}>
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
          // The server decides; its answer is shown.
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
