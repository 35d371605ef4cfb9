/** A small modal dialog next to what opened it; at the bottom of a small screen. */

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

/** Distance from the edges of the window and from the anchor, in pixels. */
const MARGIN = 8;

export function Popup(props: {
  label: string;
  /** What it belongs to. */
  anchor: Element | null;
  class: string;
  onClose: () => void;
  /** What gets the focus in the end; by default what had it before. */
  focusAfter?: (() => HTMLElement | null) | undefined;
  children: ComponentChildren;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const close = useRef(props.onClose);
  close.current = props.onClose;
  useLayoutEffect(() => {
    const dialog = ref.current!;
    const onClose = () => close.current();
    dialog.addEventListener("close", onClose);
    dialog.showModal();
    if (props.anchor) place(dialog, props.anchor.getBoundingClientRect());
    return () => {
      dialog.removeEventListener("close", onClose);
      dialog.close();
      props.focusAfter?.()?.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog
      ref={ref}
      class={`popup ${props.class}`}
      aria-label={props.label}
      onClick={(event) => event.target === ref.current && props.onClose()}
    >
      {props.children}
    </dialog>
  );
}

/** Above the anchor if there is room, else below it; always in the window. Style sheets decide on small screens. */
function place(dialog: HTMLElement, anchor: DOMRect): void {
  const { offsetWidth: width, offsetHeight: height } = dialog;
  const above = anchor.top - height - MARGIN;
  const top = above >= MARGIN ? above : Math.min(anchor.bottom + MARGIN, innerHeight - height - MARGIN);
  const left = Math.min(Math.max(anchor.left + anchor.width / 2 - width / 2, MARGIN), innerWidth - width - MARGIN);
  dialog.style.setProperty("--top", `${Math.max(MARGIN, top)}px`);
  dialog.style.setProperty("--left", `${left}px`);
}
