/** Comparing messages. */

/** What the server sets. */
const SERVER_FIELDS = new Set(["id", "timestamp", "author"]);

/** Whether a stored message has the content of one that was sent, binary values included. */
export function isSameMessage(sent: object, stored: object): boolean {
  return isEqual(withoutServerFields(sent), withoutServerFields(stored));
}

function withoutServerFields(message: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(message).filter(([key]) => !SERVER_FIELDS.has(key)));
}

function isEqual(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  const [bytes, otherBytes] = [asBytes(one), asBytes(other)];
  if (bytes || otherBytes) {
    return bytes?.length === otherBytes?.length && !!bytes?.every((byte, index) => byte === otherBytes![index]);
  }
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [entries, otherEntries] = [defined(one), defined(other)];
  return (
    entries.size === otherEntries.size &&
    [...entries].every(([key, value]) => otherEntries.has(key) && isEqual(value, otherEntries.get(key)))
  );
}

/** JSON leaves out what is undefined. */
function defined(value: object): Map<string, unknown> {
  return new Map(Object.entries(value).filter(([, item]) => item !== undefined));
}

function asBytes(value: object): Uint8Array | undefined {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return undefined;
}
