// Bundle the client for pages without a build: node clients/library.mjs TARGET. The service serves the result.
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { build } from "esbuild";

import { licenses } from "./licenses.mjs";

const [target] = process.argv.slice(2);
if (!target) throw new Error("usage: node library.mjs TARGET");
const dist = "clients/js/dist";

await mkdir(target, { recursive: true });
for (const name of await readdir(target)) await rm(join(target, name), { recursive: true });

const result = await build({
  entryPoints: ["clients/js/src/index.ts"],
  outfile: join(target, "client.js"),
  bundle: true,
  format: "esm",
  target: ["es2022", "chrome100", "firefox100", "safari15.4"],
  minify: true,
  sourcemap: true,
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});
await writeFile(join(target, "client.d.ts"), await declarations());
await writeFile(join(target, "licenses.txt"), await licenses(result.metafile, process.cwd()));

/** The declarations of all modules in one file: imports of packages once, and none between the modules. */
async function declarations() {
  const imports = new Set();
  const parts = [];
  for (const name of (await readdir(dist)).sort()) {
    if (!name.endsWith(".d.ts") || name === "index.d.ts") continue;
    const kept = [];
    for (const line of (await readFile(join(dist, name), "utf8")).split("\n")) {
      const from = /^(?:import|export) .*from "([^"]+)";$/.exec(line);
      if (from && !from[1].startsWith(".")) imports.add(line);
      else if (!from && line !== "export {};") kept.push(line);
    }
    parts.push(kept.join("\n").trim());
  }
  return `${[...imports].join("\n")}\n\n${parts.join("\n\n")}\n`;
}
