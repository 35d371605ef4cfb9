/** Light or dark: as the system has it, unless the person has chosen. */

import { savedTheme } from "./state/storage.js";

export function applyTheme(): void {
  const theme = savedTheme.get();
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}
