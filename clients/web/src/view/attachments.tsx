/** The files of a message. */

import type { Attachment } from "@chat-service/client";
import { useState } from "preact/hooks";

import { isImage, isOurs, sizeText } from "../state/attachments.js";
import { Icon } from "./icons.js";

/** The largest box of an image in CSS pixels, and that of one whose size is not known. */
const MAX_WIDTH = 320;
const MAX_HEIGHT = 280;
const UNKNOWN = { width: 240, height: 180 };

export function Attachments({ files }: { files: readonly Attachment[] }) {
  return (
    <ul class="attachments" aria-label="Files">
      {files.map((file) => (
        <li key={file.url}>
          <File file={file} />
        </li>
      ))}
    </ul>
  );
}

function File({ file }: { file: Attachment }) {
  const [isBroken, setBroken] = useState(false);
  const onError = () => setBroken(true);
  if (isBroken || !isOurs(file)) return <Card file={file} isBroken={isBroken} />;
  if (isImage(file)) return <Picture file={file} onError={onError} />;
  if (file.type.startsWith("audio/")) return <audio controls preload="none" src={file.url} aria-label={file.name} />;
  if (file.type.startsWith("video/")) {
    return <video controls preload="none" src={file.url} aria-label={file.name} onError={onError} />;
  }
  return <Card file={file} isBroken={false} />;
}

/** Its box has its final size before the image is loaded. */
function Picture({ file, onError }: { file: Attachment; onError: () => void }) {
  const { width, height } = fitted(file);
  return (
    <a class="picture" href={file.url} target="_blank" rel="noopener noreferrer" title={file.name}>
      <img
        src={file.url}
        alt={file.name}
        width={width}
        height={height}
        style={{ aspectRatio: `${width} / ${height}` }}
        loading="lazy"
        decoding="async"
        onError={onError}
      />
    </a>
  );
}

function fitted({ width, height }: Attachment): { width: number; height: number } {
  if (width === undefined || height === undefined) return UNKNOWN;
  const scale = Math.min(1, MAX_WIDTH / width, MAX_HEIGHT / height);
  return { width: Math.max(24, Math.round(width * scale)), height: Math.max(24, Math.round(height * scale)) };
}

function Card({ file, isBroken }: { file: Attachment; isBroken: boolean }) {
  const content = (
    <>
      <Icon name="file" />
      <span class="file-name">
        <bdi>{file.name}</bdi>
      </span>
      <span class="file-size">{isBroken ? "No longer available" : sizeText(file.bytes)}</span>
    </>
  );
  if (isBroken) return <span class="file-card broken">{content}</span>;
  return (
    <a class="file-card" href={file.url} download={file.name} target="_blank" rel="noopener noreferrer">
      {content}
    </a>
  );
}
