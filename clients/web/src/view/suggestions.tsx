/** The names that can complete a mention in the text field. The focus stays in the field. */

import { useLayoutEffect, useRef } from "preact/hooks";

import { Avatar } from "./parts.js";

export const optionId = (list: string, index: number): string => `${list}-${index}`;

export function Suggestions(props: {
  id: string;
  names: readonly string[];
  chosen: number;
  onChoose: (name: string) => void;
}) {
  const ref = useRef<HTMLUListElement>(null);
  useLayoutEffect(() => {
    ref.current?.querySelector("[aria-selected='true']")?.scrollIntoView({ block: "nearest" });
  }, [props.chosen]);
  return (
    <ul class="suggestions" role="listbox" id={props.id} aria-label="People to mention" ref={ref}>
      {props.names.map((name, index) => (
        <li
          key={name}
          id={optionId(props.id, index)}
          role="option"
          aria-selected={index === props.chosen}
          // Before the field would lose the focus.
          onPointerDown={(event) => {
            event.preventDefault();
            props.onChoose(name);
          }}
        >
          <Avatar name={name} />
          <bdi>{name}</bdi>
        </li>
      ))}
    </ul>
  );
}
