// Node.js takes the files of dist/cjs for CommonJS: this package is one of ES modules otherwise.
import { writeFile } from "node:fs/promises";

await writeFile(new URL("dist/cjs/package.json", import.meta.url), '{ "type": "commonjs" }\n');
