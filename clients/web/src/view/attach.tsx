/** Attaching files to the next message: the button, where files are dropped, and what is being uploaded. */

import type { RefObject } from "preact";
import { useId, useRef } from "preact/hooks";

import { sizeText, typesText } from "../state/attachments.js";
import type { PendingFile, UploadQueue } from "../state/uploads.js";
import { isDropping } from "./files.js";
import { Icon } from "./icons.js";
import { IconButton } from "./parts.js";

/** The button and the files. `field`: the text field, which has the focus afterwards. */
export function Attach({ queue, field }: { queue: UploadQueue; field: RefObject<HTMLTextAreaElement | null> }) {
  const input = useRef<HTMLInputElement>(null);
  const limits = queue.limits.value;
  if (limits === null) return null;
  const label = `Attach files, up to ${sizeText(limits.maxBytes)}: ${typesText(limits.types)}`;
  return (
    <>
      <Files queue={queue} />
      <IconButton icon="attach" label={label} class="attach" onClick={() => input.current?.click()} />
      <input
        ref={input}
        type="file"
        multiple
        hidden
        accept={limits.types.includes("*/*") ? undefined : limits.types.join(",")}
        onChange={(event) => {
          queue.add(event.currentTarget.files ?? []);
          // The same file can be chosen again.
          event.currentTarget.value = "";
          field.current?.focus();
        }}
      />
      {isDropping.value && (
        <div class="drop-zone" aria-hidden="true">
          <p>Drop files here to share them</p>
        </div>
      )}
    </>
  );
}

function Files({ queue }: { queue: UploadQueue }) {
  const files = queue.files.value;
  return (
    <div class="pending-files">
      {files.length > 0 && (
        <ul aria-label="Files of the next message">
          {files.map((file) => (
            <Pending key={file.key} file={file} queue={queue} />
          ))}
        </ul>
      )}
      <p role="status" class="excess">
        {queue.problem.value}
      </p>
    </div>
  );
}

function Pending({ file, queue }: { file: PendingFile; queue: UploadQueue }) {
  const { key, name, bytes, preview, sent, state, error, canRetry } = file;
  const id = useId();
  const isRunning = state === "waiting" || state === "uploading";
  const share = bytes === 0 ? 1 : sent / bytes;
  return (
    <li class={`pending-file ${state}`}>
      {preview === null ? <Icon name="file" /> : <img src={preview} alt="" width={40} height={40} />}
      <div>
        <p class="file-name" id={id}>
          <bdi>{name}</bdi>
        </p>
        {isRunning && <progress aria-labelledby={id} max={1} value={state === "uploading" ? share : 0} />}
        {state === "done" && <p class="file-size">{sizeText(bytes)}</p>}
        {state === "failed" && (
          <p class="file-error" role="alert">
            {error}{" "}
            {canRetry && (
              <button type="button" onClick={() => queue.retry(key)}>
                Try again
              </button>
            )}
          </p>
        )}
      </div>
      <IconButton
        icon="close"
        label={isRunning ? `Cancel the upload of ${name}` : `Remove ${name}`}
        onClick={() => queue.remove(key)}
      />
    </li>
  );
}
