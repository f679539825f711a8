// After `vite build`: checks the size of the first load, then writes .br and .gz beside each file so that the server
// never compresses. Sizes are gzip -9 in KB of 1,000 bytes; decisions on them are in the design notes of the page.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const dist = new URL("../dist/", import.meta.url).pathname;
const FAIL_KB = 300;
const WARN_KB = 260;
const LAZY_FAIL_KB = 120;

const gzip = (path) => gzipSync(readFileSync(path), { level: 9 });
const kb = (bytes) => bytes / 1000;

const html = readFileSync(join(dist, "index.html"), "utf8");
const first = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+\.(?:js|css))"/g)].map((match) => match[1]);
if (first.length === 0) throw new Error("index.html names no script: the budget cannot be checked");
const firstKb = first.reduce((sum, name) => sum + kb(gzip(join(dist, name)).length), 0);
console.log(`first load ${firstKb.toFixed(1)} KB gzip of ${FAIL_KB} (${first.length} files)`);

const assets = readdirSync(join(dist, "assets"));
const lazy = assets.filter((name) => /\.(js|css)$/.test(name) && !first.includes(`assets/${name}`));
let failed = firstKb >= FAIL_KB;
if (failed) console.error(`first load is over ${FAIL_KB} KB`);
else if (firstKb >= WARN_KB) console.warn(`first load is over ${WARN_KB} KB: look for what can be loaded later`);
for (const name of lazy) {
  const size = kb(gzip(join(dist, "assets", name)).length);
  console.log(`  later: ${name} ${size.toFixed(1)} KB`);
  if (size > LAZY_FAIL_KB) {
    console.error(`${name} is over ${LAZY_FAIL_KB} KB`);
    failed = true;
  }
}
if (failed) process.exit(1);

for (const name of ["index.html", ...assets.map((asset) => join("assets", asset))]) {
  if (!/\.(html|js|css|svg|json)$/.test(name)) continue;
  const bytes = readFileSync(join(dist, name));
  writeFileSync(join(dist, `${name}.gz`), gzipSync(bytes, { level: 9 }));
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  writeFileSync(join(dist, `${name}.br`), brotliCompressSync(bytes, { params }));
}
