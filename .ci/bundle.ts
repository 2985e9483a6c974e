/**
 * Makes the command from packages/cli/src, so that it starts quickly and installs without dependencies:
 *
 *     dist/keyfob.js      main.ts: prints a token that is fresh, on its own
 *     dist/keyfob/*.js    cli.ts: all else; what one command does not need (the HTTP stack, the flows) is in files of its own
 *
 * Not one file: there, whatever a dynamic import can reach is wrapped in functions and kept whole, Effect included, and
 * every start pays for all of it (`keyfob token` took 5.3 times as long as `node -e 0`, where it now takes 2.7 times).
 *
 *     node .ci/bundle.ts [--metafile]        --metafile: also print what the files are made of
 */
import { analyzeMetafile, build, type BuildOptions } from "esbuild"
import { chmodSync, globSync, readFileSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"

const cli = join(import.meta.dirname, "../packages/cli")
const dist = join(cli, "dist")
const { version } = JSON.parse(readFileSync(join(cli, "package.json"), "utf8"))

// Some dependencies are CommonJS and call require for Node's own modules; an ES module has none unless we make it.
const require = 'import{createRequire as keyfobRequire}from"node:module";const require=keyfobRequire(import.meta.url);'

const shared = {
  bundle: true,
  minify: true,
  metafile: true,
  platform: "node",
  target: "node22",
  format: "esm",
  legalComments: "none",
  define: { KEYFOB_VERSION: JSON.stringify(version) },
  logLevel: "warning"
} satisfies BuildOptions

const main = await build({
  ...shared,
  entryPoints: [join(cli, "src/main.ts")],
  outfile: join(dist, "keyfob.js"),
  banner: { js: "#!/usr/bin/env node" },
  plugins: [
    {
      name: "the whole command is a bundle of its own",
      setup: ({ onResolve }) =>
        onResolve({ filter: /^\.\/cli\.ts$/ }, () => ({ path: "./keyfob/cli.js", external: true }))
    }
  ]
})

// Names of old pieces end in other hashes.
rmSync(join(dist, "keyfob"), { recursive: true, force: true })
const whole = await build({
  ...shared,
  entryPoints: [join(cli, "src/cli.ts")],
  outdir: join(dist, "keyfob"),
  splitting: true,
  banner: { js: require }
})
chmodSync(join(dist, "keyfob.js"), 0o755)

if (process.argv.includes("--metafile")) {
  for (const { metafile } of [main, whole]) console.log(await analyzeMetafile(metafile))
}
const sizeOf = (files: ReadonlyArray<string>) =>
  Math.round(files.reduce((sum, file) => sum + statSync(join(dist, file)).size, 0) / 1024)
console.log(
  `bundle: packages/cli/dist/keyfob.js, ${sizeOf(["keyfob.js"])} KiB; keyfob/*.js, ${sizeOf(globSync("keyfob/*.js", { cwd: dist }))} KiB`
)
