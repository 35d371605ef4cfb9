/** What a press outside an element ends. */

import { useEffect } from "preact/hooks";

/** While `isOn`, call `onPress` when something is pressed outside the element. */
export function usePressOutside(element: { current: HTMLElement | null }, isOn: boolean, onPress: () => void) {
  useEffect(() => {
    if (!isOn) return;
    const onPointer = (event: Event) => {
      if (!element.current?.contains(event.target as Node)) onPress();
    };
    document.addEventListener("pointerdown", onPointer);
    return () => document.removeEventListener("pointerdown", onPointer);
  }, [isOn]);
}
