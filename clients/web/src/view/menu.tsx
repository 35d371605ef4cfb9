/** A button that opens a menu. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";

import { Icon, type IconName } from "./icons.js";
import { IconButton } from "./parts.js";
import { usePressOutside } from "./use-press-outside.js";

export interface MenuItem {
  icon: IconName;
  label: string;
  onChoose: () => void;
  /** For what can be on or off; undefined for an action. */
  checked?: boolean;
}

export function Menu({ icon, label, items }: { icon: IconName; label: string; items: readonly MenuItem[] }) {
  const [isOpen, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const close = (restoresFocus: boolean) => {
    setOpen(false);
    if (restoresFocus) box.current?.querySelector<HTMLElement>("[aria-haspopup]")?.focus();
  };
  useLayoutEffect(() => {
    if (isOpen) choices(box.current!)[0]?.focus();
  }, [isOpen]);
  usePressOutside(box, isOpen, () => close(false));
  const onKeyDown = (event: KeyboardEvent) => {
    const all = choices(box.current!);
    const position = all.indexOf(document.activeElement as HTMLElement);
    if (event.key === "Escape") close(true);
    else if (event.key === "Tab") return close(false);
    else if (event.key === "ArrowDown") all[(position + 1) % all.length]?.focus();
    else if (event.key === "ArrowUp") all[(position - 1 + all.length) % all.length]?.focus();
    else if (event.key === "Home") all[0]?.focus();
    else if (event.key === "End") all.at(-1)?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="menu" ref={box}>
      <IconButton icon={icon} label={label} expanded={isOpen} onClick={() => setOpen(!isOpen)} />
      {isOpen && (
        <div class="choices-menu" role="menu" aria-label={label} onKeyDown={onKeyDown}>
          {items.map((item) => (
            <button
              key={item.label}
              type="button"
              role={item.checked === undefined ? "menuitem" : "menuitemcheckbox"}
              aria-checked={item.checked}
              tabIndex={-1}
              onClick={() => {
                close(true);
                item.onChoose();
              }}
            >
              <Icon name={item.icon} />
              <span>{item.label}</span>
              {item.checked && <Icon name="check" />}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

const choices = (box: HTMLElement): HTMLElement[] => [...box.querySelectorAll<HTMLElement>("[role^=menuitem]")];
