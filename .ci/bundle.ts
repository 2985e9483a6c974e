/**
 * Makes the command from packages/cli/src: one file, packages/cli/dist/keyfob.js, that starts quickly and installs without
 * dependencies. Beside it testing.js, the same for tests.
 *
 * In it stand, as code, main.ts, which prints a token that is fresh, and, as texts that Node compiles when they are
 * imported, the pieces of cli.ts, which does all else. A bundler's own way to put modules that are imported late into
 * one file is to wrap them in functions and to keep whole whatever they can reach, Effect included: every start paid for
 * all of it (`keyfob token` took 5.3 times as long as `node -e 0`).
 *
 *     node .ci/bundle.ts [--metafile]        --metafile: also print what the file is made of
 */
import { analyzeMetafile, build, type BuildOptions } from "esbuild"
import { chmodSync, readFileSync, statSync } from "node:fs"
import { basename, join } from "node:path"
import { deflateRawSync } from "node:zlib"

const cli = join(import.meta.dirname, "../packages/cli")
const outfile = join(cli, "dist/keyfob.js")
const { engines, version } = JSON.parse(readFileSync(join(cli, "package.json"), "utf8"))

const shared = {
  bundle: true,
  minify: true,
  metafile: true,
  platform: "node",
  target: "node22",
  format: "esm",
  legalComments: "none",
  // redis is its client and modules for what servers may have besides: this command needs the client alone.
  alias: { redis: "@redis/client" },
  define: { KEYFOB_VERSION: JSON.stringify(version) },
  logLevel: "warning"
} satisfies BuildOptions

const whole = await build({
  ...shared,
  entryPoints: [join(cli, "src/cli.ts")],
  outdir: join(cli, "dist/pieces"),
  write: false,
  splitting: true,
  // Some dependencies are CommonJS and call require for Node's own modules; an ES module has none unless we make it.
  banner: { js: 'const require=process.getBuiltinModule("module").createRequire(process.execPath);' }
})
// Deflated, since Node reads through the whole file at every start.
const pieces = Object.fromEntries(
  whole.outputFiles.map(({ contents, path }) => [
    basename(path),
    deflateRawSync(contents, { level: 9 }).toString("base64")
  ])
)

/**
 * Takes the place of cli.ts in main.ts. The pieces import each other as files of a folder; there is none, its place is
 * below the one file, and Node is told so.
 */
const loader = `
const pieces = () => (${JSON.stringify(pieces)})
const textOf = (name) => process.getBuiltinModule("zlib").inflateRawSync(Buffer.from(pieces()[name], "base64"))
const folder = import.meta.url + "/"
process.getBuiltinModule("module").registerHooks({
  resolve: (specifier, context, next) => {
    const url = specifier.startsWith("./") ? URL.parse(specifier, context.parentURL)?.href : specifier
    return url?.startsWith(folder) ? { url, shortCircuit: true } : next(specifier, context)
  },
  load: (url, context, next) =>
    url.startsWith(folder)
      ? { format: "module", source: textOf(url.slice(folder.length)), shortCircuit: true }
      : next(url, context)
})
await import(folder + "cli.js")
`

/** An older Node would print the line that fails it: all of the file. */
const oldNode = `if (process.getBuiltinModule?.("module").registerHooks === undefined) {
  console.error("keyfob: Node.js " + process.version + " is too old\\n        Install ${engines.node.replace(">=", "")} or later")
  process.exit(2)
}`

const main = await build({
  ...shared,
  entryPoints: [join(cli, "src/main.ts")],
  outfile,
  banner: { js: `#!/usr/bin/env node\n${oldNode}` },
  plugins: [
    {
      name: "pieces",
      setup: ({ onLoad }) =>
        onLoad({ filter: /[\\/]cli[\\/]src[\\/]cli\.ts$/ }, () => ({ contents: loader, loader: "js" }))
    }
  ]
})
chmodSync(outfile, 0o755)

// The command for tests of programs around it: one file as well, but what the test shares with it stays outside.
await build({
  ...shared,
  entryPoints: [join(cli, "src/testing.ts")],
  outfile: join(cli, "dist/testing.js"),
  external: ["effect", "@effect/platform-node", "keyfob", "@keyfob/testing"]
})

if (process.argv.includes("--metafile")) {
  for (const { metafile } of [main, whole]) console.log(await analyzeMetafile(metafile))
}
const kib = (bytes: number) => Math.round(bytes / 1024)
const late = kib(Object.values(pieces).reduce((sum, text) => sum + text.length, 0))
console.log(
  `bundle: packages/cli/dist/keyfob.js, ${kib(statSync(outfile).size)} KiB, of which ${late} KiB load when needed`
)
