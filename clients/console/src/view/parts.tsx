/** Small parts that are used all over the page. */

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";

import { userLink } from "../state/route.js";
import type { Session } from "../state/session.js";
import { explain } from "../state/texts.js";
import { Icon, type IconName } from "./icons.js";

/** Something that takes a while: whether it runs, and why the last run has failed. */
export function useWork(): {
  isBusy: boolean;
  error: string | null;
  run: (work: () => Promise<void>) => Promise<boolean>;
} {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const run = async (work: () => Promise<void>): Promise<boolean> => {
    setBusy(true);
    setError(null);
    try {
      await work();
      return true;
    } catch (problem) {
      setError(explain(problem));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { isBusy, error, run };
}

/** Run something now and every so many ms, while somebody looks at the page. */
export function useRepeated(work: () => void, ms: number, inputs: readonly unknown[] = []): void {
  useEffect(() => {
    work();
    const timer = setInterval(() => {
      if (!document.hidden) work();
    }, ms);
    return () => clearInterval(timer);
  }, inputs);
}

interface ButtonProps {
  icon?: IconName;
  children: ComponentChildren;
  onClick?: () => void;
  kind?: "primary" | "danger" | "";
  type?: "button" | "submit";
  disabled?: boolean;
  label?: string;
}

export function Button({ icon, children, onClick, kind = "", type = "button", disabled, label }: ButtonProps) {
  return (
    <button type={type} class={kind} onClick={onClick} disabled={disabled} aria-label={label}>
      {icon && <Icon name={icon} />}
      <span>{children}</span>
    </button>
  );
}

interface IconButtonProps {
  icon: IconName;
  label: string;
  onClick: () => void;
  tabIndex?: number;
  disabled?: boolean;
}

/** `label`: what it does, read out, and shown when the mouse rests on it. */
export function IconButton({ icon, label, onClick, tabIndex, disabled }: IconButtonProps) {
  return (
    <button
      type="button"
      class="icon-button"
      aria-label={label}
      title={label}
      tabIndex={tabIndex}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

interface FieldProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  type?: "text" | "password" | "number" | "search";
  error?: string | null;
  hint?: string;
  autoFocus?: boolean;
  isHidden?: boolean;
  required?: boolean;
  maxLength?: number;
}

/** `isHidden`: the label is only read out. */
export function Field(props: FieldProps) {
  const id = useId();
  const ref = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (props.autoFocus) ref.current?.focus();
  }, []);
  const below = props.error ?? props.hint;
  return (
    <div class="field">
      <label for={id} class={props.isHidden ? "sr-only" : ""}>
        {props.label}
      </label>
      <input
        ref={ref}
        id={id}
        type={(props.type ?? "text") as "text"} // the types tell roles of each kind apart, and none is given
        value={props.value}
        dir="auto"
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        required={props.required}
        maxLength={props.maxLength}
        placeholder={props.isHidden ? props.label : undefined}
        autofocus={props.autoFocus}
        aria-invalid={props.error ? true : undefined}
        aria-describedby={below ? `${id}-below` : undefined}
        onInput={(event) => props.onInput(event.currentTarget.value)}
      />
      {below && (
        <p id={`${id}-below`} class={props.error ? "error" : "hint"} role={props.error ? "alert" : undefined}>
          {below}
        </p>
      )}
    </div>
  );
}

export function Checkbox(props: {
  label: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
  disabled?: boolean;
}) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={props.checked}
        disabled={props.disabled}
        onChange={(event) => props.onChange(event.currentTarget.checked)}
      />
      {props.label}
    </label>
  );
}

/** What has failed, and how to try again. */
export function Failure({ text, onRetry }: { text: string; onRetry?: () => void }) {
  return (
    <div class="failure" role="alert">
      <p>{text}</p>
      {onRetry && <Button onClick={onRetry}>Try again</Button>}
    </div>
  );
}

/** A name in a sentence; its own direction does not change that of the sentence. */
export const Name = ({ children }: { children: string }) => <bdi class="name-text">{children}</bdi>;

/** A user's name that leads to the user's page. */
export function UserLink({ name, tabIndex }: { name: string; tabIndex?: number }) {
  return (
    <a href={userLink(name)} tabIndex={tabIndex}>
      <bdi>{name}</bdi>
    </a>
  );
}

interface DetailPageProps {
  /** The list that the page belongs to: its title and link. */
  list: string;
  link: string;
  name: string;
  /** What can be done about it; stands beside the name. */
  actions: ComponentChildren;
  problem: string | null;
  onRetry: () => void;
  isLoading: boolean;
  /** Whether the page scrolls as a whole. */
  doesScroll?: boolean;
  children: ComponentChildren;
}

/** The page of one room or user: the way back, its name, and why it cannot be shown if it cannot. */
export function DetailPage(props: DetailPageProps) {
  return (
    <div class={props.doesScroll ? "page scrolls" : "page"}>
      <p class="crumbs">
        <a href={props.link}>{props.list}</a> /
      </p>
      <div class="page-head">
        <h1 id="title">
          <bdi>{props.name}</bdi>
        </h1>
        {props.actions}
      </div>
      {props.problem && <Failure text={props.problem} onRetry={props.onRetry} />}
      {props.isLoading && <p class="quiet">Loading…</p>}
      {props.children}
    </div>
  );
}

/** What is told in passing. `inDialog`: whether this is the place in a dialog, which takes precedence. */
export function Toasts({ session, inDialog = false }: { session: Session; inDialog?: boolean }) {
  if (session.dialogs.value > 0 !== inDialog) return null;
  return (
    <div class="toasts">
      {session.toasts.value.map((toast) => (
        <div key={toast.id} class={toast.isError ? "toast error" : "toast"} role={toast.isError ? "alert" : "status"}>
          <p>{toast.text}</p>
          <IconButton icon="close" label="Dismiss" onClick={() => session.dismiss(toast.id)} />
        </div>
      ))}
    </div>
  );
}
