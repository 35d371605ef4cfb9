/** Light or dark mode: the system's, unless the user has chosen one. */

import { savedTheme } from "./state/storage.js";

export function applyTheme(): void {
  const theme = savedTheme.get();
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}
