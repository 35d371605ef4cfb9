/** A text in which the words that were looked for are marked. */

import type { Part } from "../state/matching.js";

export function Marked({ parts }: { parts: readonly Part[] }) {
  return <>{parts.map(({ text, isMatch }, index) => (isMatch ? <mark key={index}>{text}</mark> : text))}</>;
}
