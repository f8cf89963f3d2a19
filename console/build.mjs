// SPDX-License-Identifier: Apache-2.0
// Bundle src/ into dist/: index.html, app.js, app.css, each also gzipped; print sizes and stop when the budget is passed.
import { build } from "esbuild";
import { gzipSync } from "node:zlib";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.env.CONSOLE_DIST ?? join(here, "dist");
const budget = 100 * 1024;

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
await build({
    absWorkingDir: here,
    entryPoints: { app: "src/app.tsx" },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    banner: { js: "/*! Ledge console, Apache-2.0. Holds preact (MIT, Jason Miller) and uPlot (MIT, Leon Sorokin). */" },
    outdir: out,
    logLevel: "warning",
});
for (const name of ["index.html", "icon.svg"]) {
    writeFileSync(join(out, name), readFileSync(join(here, "src", name)));
}

let total = 0;
for (const name of ["index.html", "app.js", "app.css", "icon.svg"]) {
    const packed = gzipSync(readFileSync(join(out, name)), { level: 9 });
    writeFileSync(join(out, `${name}.gz`), packed);
    total += packed.length;
    console.log(`${name.padEnd(12)} ${String(packed.length).padStart(7)} bytes gzip`);
}
console.log(`${"all".padEnd(12)} ${String(total).padStart(7)} bytes gzip, budget ${budget}`);
if (total > budget) {
    console.error("the console is larger than its budget");
    process.exit(1);
}
