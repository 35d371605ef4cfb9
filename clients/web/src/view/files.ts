/** Dropped or pasted files: they cannot be shared, and the browser must not open them instead of the chat. */

const REFUSAL = "Pictures and other files cannot be shared here, only text.";

/** Refuse files on the whole page and report it with `tell`. Returns a function that stops this. */
export function refuseFiles(tell: (text: string) => void): () => void {
  const onDrag = (event: DragEvent) => {
    if (isTextForField(event)) return;
    event.preventDefault();
    // Allow the drop, so that the page can report that files are not accepted.
    if (event.dataTransfer) event.dataTransfer.dropEffect = hasFiles(event.dataTransfer) ? "copy" : "none";
  };
  const onDrop = (event: DragEvent) => {
    if (isTextForField(event)) return;
    event.preventDefault();
    if (hasFiles(event.dataTransfer)) tell(REFUSAL);
  };
  const onPaste = (event: ClipboardEvent) => {
    // Office programs add a picture of the copied text; use the text then.
    if (!hasFiles(event.clipboardData) || event.clipboardData?.getData("text/plain")) return;
    event.preventDefault();
    tell(REFUSAL);
  };
  document.addEventListener("dragenter", onDrag);
  document.addEventListener("dragover", onDrag);
  document.addEventListener("drop", onDrop);
  document.addEventListener("paste", onPaste);
  return () => {
    document.removeEventListener("dragenter", onDrag);
    document.removeEventListener("dragover", onDrag);
    document.removeEventListener("drop", onDrop);
    document.removeEventListener("paste", onPaste);
  };
}

function hasFiles(data: DataTransfer | null): boolean {
  return data?.types.includes("Files") ?? false;
}

function isTextForField(event: DragEvent): boolean {
  const isField = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
  return isField && !hasFiles(event.dataTransfer);
}
