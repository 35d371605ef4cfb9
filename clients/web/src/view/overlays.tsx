/** The dialogs that belong to no part of the page. Their code is loaded after the page. */

import { useEffect, useLayoutEffect } from "preact/hooks";

import { Lazy } from "../lazy.js";
import type { Chat } from "../state/session.js";
import { keepTypedAhead } from "./typed-ahead.js";

const views = new Lazy(() => import("./overlay-views.js"));
/** Milliseconds after which the code is loaded, so that a shortcut opens a dialog at once. */
const LOAD_AFTER = 1000;

export function Overlays({ chat }: { chat: Chat }) {
  const overlay = chat.overlay.value;
  useEffect(() => {
    const timer = setTimeout(() => void views.load().catch(() => undefined), LOAD_AFTER);
    return () => clearTimeout(timer);
  }, []);
  useEffect(() => {
    if (overlay === null) return;
    views.load().catch(() => {
      chat.overlay.value = null;
      chat.toast("This part of the page could not be loaded. Try again, or reload the page.", true);
    });
  }, [overlay]);
  useLayoutEffect(() => {
    if (overlay?.kind === "palette" || overlay?.kind === "search") return keepTypedAhead();
  }, [overlay]);
  const module = overlay && views.value;
  return module ? <module.OverlayView chat={chat} overlay={overlay} /> : null;
}
