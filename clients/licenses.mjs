import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

/** The licences of the packages whose code is in a bundle. The inputs are relative to a directory. */
export async function licenses(metafile, here) {
  const require = createRequire(import.meta.url);
  const roots = new Set();
  for (const input of Object.keys(metafile.inputs)) {
    const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (match) roots.add(join(here, match[1]));
  }
  const parts = [];
  for (const root of [...roots].sort()) {
    const { name, version, license } = require(join(root, "package.json"));
    const file = (await readdir(root)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? await readFile(join(root, file), "utf8") : "";
    parts.push(`${name} ${version}, ${license}\n\n${text.trim()}\n`);
  }
  return parts.join("\n----------------------------------------\n\n");
}
