// Bundle a page: node clients/bundle.mjs SOURCE TARGET. Names of what never changes hold a hash of the content.
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";

import { build } from "esbuild";

import { licenses } from "./licenses.mjs";

const [source, target] = process.argv.slice(2);
if (!target) throw new Error("usage: node bundle.mjs SOURCE TARGET");
const here = resolve(source);

await mkdir(target, { recursive: true });
for (const name of await readdir(target)) await rm(join(target, name), { recursive: true });

const result = await build({
  absWorkingDir: here,
  entryPoints: ["src/main.tsx"],
  outdir: join(process.cwd(), target),
  bundle: true,
  format: "esm",
  target: ["es2022", "chrome100", "firefox100", "safari15.4"],
  minify: true,
  legalComments: "none",
  entryNames: "app-[hash]",
  assetNames: "[name]-[hash]",
  loader: { ".woff2": "file" },
  metafile: true,
  logLevel: "warning",
});

const outputs = Object.keys(result.metafile.outputs).map((path) => basename(path));
const named = (suffix) => outputs.find((name) => name.startsWith("app-") && name.endsWith(suffix));
const html = await readFile(join(here, "src/index.html"), "utf8");
await writeFile(join(target, "index.html"), html.replace("%CSS%", named(".css")).replace("%JS%", named(".js")));
for (const name of await readdir(join(here, "src"))) {
  if (/\.(svg|webmanifest)$/.test(name)) await copyFile(join(here, "src", name), join(target, name));
}
await writeFile(join(target, "licenses.txt"), await licenses(result.metafile, here));
