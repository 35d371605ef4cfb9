/** Whether the tools of a message are shown: while a mouse is on it, while it has the focus, or after a long press. */

import { useEffect, useRef, useState } from "preact/hooks";

import { usePressOutside } from "./use-press-outside.js";

const LONG_PRESS_MS = 450;
/** A finger that moves farther than this scrolls. In pixels. */
const STILL = 10;

interface Press {
  timer: ReturnType<typeof setTimeout>;
  x: number;
  y: number;
}

export function useActive() {
  const [isHovered, setHovered] = useState(false);
  const [isFocused, setFocused] = useState(false);
  const [isHeld, setHeld] = useState(false);
  const press = useRef<Press | null>(null);
  const element = useRef<HTMLLIElement>(null);
  const release = () => {
    if (press.current) clearTimeout(press.current.timer);
    press.current = null;
  };
  useEffect(() => release, []);
  usePressOutside(element, isHeld, () => setHeld(false));
  const handlers = {
    onPointerEnter: (event: PointerEvent) => event.pointerType === "mouse" && setHovered(true),
    onPointerLeave: () => setHovered(false),
    // A click with the mouse also moves the focus, but the mouse is there already.
    onFocusIn: (event: FocusEvent) => setFocused((event.target as Element).matches(":focus-visible")),
    onFocusOut: (event: FocusEvent) => {
      if (!element.current?.contains(event.relatedTarget as Node | null)) setFocused(false);
    },
    onPointerDown: (event: PointerEvent) => {
      release();
      // A long press on a link is the browser's, and so is one on a button.
      if (event.pointerType === "mouse" || (event.target as Element).closest("a, button, dialog")) return;
      const timer = setTimeout(() => setHeld(true), LONG_PRESS_MS);
      press.current = { timer, x: event.clientX, y: event.clientY };
    },
    onPointerMove: (event: PointerEvent) => {
      const { x, y } = press.current ?? { x: event.clientX, y: event.clientY };
      if (Math.hypot(event.clientX - x, event.clientY - y) > STILL) release();
    },
    onPointerUp: release,
    onPointerCancel: release,
    onContextMenu: (event: MouseEvent) => {
      // The browser's menu for the text would cover the tools.
      if (press.current !== null || isHeld) event.preventDefault();
    },
  };
  const dismiss = () => {
    setHeld(false);
    setHovered(false);
  };
  return { element, handlers, isActive: isHovered || isFocused || isHeld, dismiss };
}
