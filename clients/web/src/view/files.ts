/** Dropped or pasted files: they are attached where that is possible. The browser never opens them instead of the chat. */

import { signal } from "@preact/signals";

import type { UploadQueue } from "../state/uploads.js";

const REFUSAL = "Pictures and other files cannot be shared here, only text.";

/** Whether files that can be attached are held over the page. */
export const isDropping = signal(false);

/**
 * Attach files to the next message of the queue, if there is one now, or else report with `tell` that this is not
 * possible. Returns a function that stops this.
 */
export function takeFiles(queue: () => UploadQueue | null, tell: (text: string) => void): () => void {
  const stop = new AbortController();
  const end = () => {
    isDropping.value = false;
  };
  const take = (files: FileList | undefined) => {
    const found = queue();
    if (found) found.add(files ?? []);
    else tell(REFUSAL);
  };
  const onDrag = (event: DragEvent) => {
    if (isTextForField(event)) return;
    event.preventDefault();
    // Allow the drop, so that the page can report files that are not accepted.
    if (event.dataTransfer) event.dataTransfer.dropEffect = hasFiles(event.dataTransfer) ? "copy" : "none";
  };
  const onEnter = (event: DragEvent) => {
    onDrag(event);
    isDropping.value = hasFiles(event.dataTransfer) && queue() !== null;
  };
  const onLeave = (event: DragEvent) => {
    // Otherwise another element of the page was entered.
    if (event.relatedTarget === null) end();
  };
  const onDrop = (event: DragEvent) => {
    end();
    if (isTextForField(event)) return;
    event.preventDefault();
    if (hasFiles(event.dataTransfer)) take(event.dataTransfer?.files);
  };
  const onPaste = (event: ClipboardEvent) => {
    // Office programs add a picture of the copied text; use the text then.
    if (!hasFiles(event.clipboardData) || event.clipboardData?.getData("text/plain")) return;
    event.preventDefault();
    take(event.clipboardData?.files);
  };
  const { signal: whileUsed } = stop;
  document.addEventListener("dragenter", onEnter, { signal: whileUsed });
  document.addEventListener("dragover", onDrag, { signal: whileUsed });
  document.addEventListener("dragleave", onLeave, { signal: whileUsed });
  document.addEventListener("drop", onDrop, { signal: whileUsed });
  document.addEventListener("paste", onPaste, { signal: whileUsed });
  return () => stop.abort();
}

function hasFiles(data: DataTransfer | null): boolean {
  return data?.types.includes("Files") ?? false;
}

function isTextForField(event: DragEvent): boolean {
  const isField = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
  return isField && !hasFiles(event.dataTransfer);
}
