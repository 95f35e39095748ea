// Builds the browser half of tanhui into registry/web/static, which is not in git:
//   map.js                    our bundle with MapLibre inside
//   maplibre-gl-worker.mjs    MapLibre's worker; it must lie beside map.js
//   style.css                 our styles
//   maplibre-gl.css           MapLibre's styles
//   docs.js                   starts Swagger UI on /docs
//   import.js                 progress on the page that imports parcels
//   swagger-ui-bundle.js, swagger-ui.css   Swagger UI, from here and not from a CDN: /docs works offline
//   NOTICES.txt               licences of what is inside
import { build } from "esbuild";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = join(here, "..", "registry", "web", "static");
const modules = join(here, "node_modules");
const maplibre = join(modules, "maplibre-gl");
const swagger = join(modules, "swagger-ui-dist");

/** The texts of the licences of the packages whose files ended up in the bundle, in alphabetical order. */
async function notices(inputs) {
  const names = new Set(["maplibre-gl", "swagger-ui-dist"]);
  for (const input of inputs) {
    const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (found) names.add(found[1]);
  }
  // MapLibre ships as one file: what it was made of is named by its own dependencies.
  const manifest = JSON.parse(await readFile(join(maplibre, "package.json"), "utf8"));
  for (const name of Object.keys(manifest.dependencies ?? {})) if (!name.startsWith("@types/")) names.add(name);
  const parts = [];
  for (const name of [...names].sort()) {
    const folder = join(modules, name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? await readFile(join(folder, file), "utf8") : `Licence: ${license}\n`;
    parts.push(`${name} ${version} (${license ?? "see below"})\n\n${text.trim()}\n`);
  }
  return `tanhui's pages contain the following works.\n\n${parts.join(`\n${"-".repeat(80)}\n\n`)}`;
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const result = await build({
  entryPoints: [join(here, "src", "map.ts"), join(here, "src", "docs.ts"), join(here, "src", "import.ts")],
  outdir: out,
  bundle: true,
  format: "esm",
  target: ["es2022"],
  minify: true,
  legalComments: "eof",
  metafile: true,
  logLevel: "warning",
});
await copyFile(join(maplibre, "dist", "maplibre-gl-worker.mjs"), join(out, "maplibre-gl-worker.mjs"));
await copyFile(join(maplibre, "dist", "maplibre-gl.css"), join(out, "maplibre-gl.css"));
await copyFile(join(swagger, "swagger-ui-bundle.js"), join(out, "swagger-ui-bundle.js"));
await copyFile(join(swagger, "swagger-ui.css"), join(out, "swagger-ui.css"));
await copyFile(join(here, "src", "style.css"), join(out, "style.css"));
await writeFile(join(out, "NOTICES.txt"), await notices(Object.keys(result.metafile.inputs)));
