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
  // Modules behind `import()` become files of their own, which the page loads when it needs them.
  splitting: true,
  target: ["es2022", "chrome100", "firefox100", "safari15.4"],
  minify: true,
  legalComments: "none",
  entryNames: "app-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  loader: { ".woff2": "file" },
  metafile: true,
  logLevel: "warning",
});

const { outputs } = result.metafile;
const [app] = Object.keys(outputs).filter((path) => outputs[path].entryPoint === "src/main.tsx" && path.endsWith(".js"));
const html = await readFile(join(here, "src/index.html"), "utf8");
const page = html
  .replace("%CSS%", basename(outputs[app].cssBundle))
  .replace("%JS%", basename(app))
  // What the page needs at first is asked for at once, not after the script that imports it.
  .replace("</head>", [...preloads(app), "</head>"].join("\n    "));
await writeFile(join(target, "index.html"), page);
for (const name of await readdir(join(here, "src"))) {
  if (/\.(svg|webmanifest)$/.test(name)) await copyFile(join(here, "src", name), join(target, name));
}
await writeFile(join(target, "licenses.txt"), await licenses(result.metafile, here));

/** Elements that load the scripts which a script imports, directly or not. */
function preloads(path) {
  const found = new Set();
  const walk = (from) => {
    for (const { path: to, kind } of outputs[from].imports) {
      if (kind !== "import-statement" || found.has(to)) continue;
      found.add(to);
      walk(to);
    }
  };
  walk(path);
  return [...found].map((to) => `<link rel="modulepreload" href="${basename(to)}">`);
}
