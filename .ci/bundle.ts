/**
 * Makes the command: packages/cli/src/main.ts and all it needs, as one file that starts quickly and installs without dependencies.
 *
 *     node .ci/bundle.ts [--metafile]        --metafile: also print what the file is made of
 */
import { build, analyzeMetafile } from "esbuild"
import { chmodSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"

const cli = join(import.meta.dirname, "../packages/cli")
const outfile = join(cli, "dist/keyfob.js")
const { version } = JSON.parse(readFileSync(join(cli, "package.json"), "utf8"))

// Some dependencies are CommonJS and call require for Node's own modules; an ES module has none unless we make it.
const banner = [
  "#!/usr/bin/env node",
  'import{createRequire as keyfobRequire}from"node:module";const require=keyfobRequire(import.meta.url);'
]

const { metafile } = await build({
  entryPoints: [join(cli, "src/main.ts")],
  outfile,
  bundle: true,
  minify: true,
  metafile: true,
  platform: "node",
  target: "node22",
  format: "esm",
  legalComments: "none",
  define: { KEYFOB_VERSION: JSON.stringify(version) },
  banner: { js: banner.join("\n") },
  logLevel: "warning"
})
chmodSync(outfile, 0o755)

if (process.argv.includes("--metafile")) console.log(await analyzeMetafile(metafile))
console.log(`bundle: packages/cli/dist/keyfob.js, ${Math.round(statSync(outfile).size / 1024)} KiB`)
