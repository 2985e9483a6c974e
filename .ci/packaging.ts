/**
 * What is published is what a stranger gets: each public package is packed, read by publint and are-the-types-wrong, and installed as
 * a tarball into an empty project of its own, where the example of its README (the first ```ts block that names itself with
 * `// file: NAME.ts`) must compile and run, and its commands must print their version.
 *
 *     node .ci/packaging.ts        after a build from nothing: old files in dist would be packed too
 */
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { examplesOf, main, must, withProvider } from "./examples.ts"

interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly bin?: Readonly<Record<string, string>>
  readonly exports?: Readonly<Record<string, unknown>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

const root = join(import.meta.dirname, "..")
const manifestOf = (folder: string): Manifest => JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"))

main(async () => {
  const pinned = manifestOf(".").devDependencies ?? {}
  const published = globSync("packages/*", { cwd: root })
    .sort()
    .map((folder) => ({ folder, manifest: manifestOf(folder) }))
    .filter(({ manifest }) => manifest.private !== true)
  const work = mkdtempSync(join(tmpdir(), "keyfob-packaging-"))

  try {
    const tarballs = new Map<string, string>()
    for (const { folder, manifest } of published) {
      const [packed] = JSON.parse(
        await must(join(root, folder), "npm", ["pack", "--json", "--silent", "--pack-destination", work])
      )
      tarballs.set(manifest.name, join(work, packed.filename))
    }

    /** What a caller has to name on the command line: the package, and those of ours it stands on, which no registry has yet. */
    const ours = (name: string): ReadonlyArray<string> => {
      const manifest = published.find((one) => one.manifest.name === name)?.manifest
      const below = Object.keys({ ...manifest?.dependencies, ...manifest?.peerDependencies })
      return manifest === undefined ? [] : [name, ...below.flatMap(ours)]
    }

    await withProvider(async (provider) => {
      for (const { folder, manifest } of published) {
        const { name, peerDependencies = {}, version } = manifest
        const tarball = tarballs.get(name) ?? ""
        await must(root, "publint", ["run", "--strict", tarball])
        const modules = Object.keys(manifest.exports ?? {}).filter((subpath) => subpath !== "./package.json")
        if (modules.length > 0) {
          await must(root, "attw", ["--profile", "esm-only", "--no-definitely-typed", tarball])
        }

        const project = join(work, folder.replaceAll("/", "-"))
        mkdirSync(project)
        writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }))
        const install = (...packages: ReadonlyArray<string>) =>
          must(project, "npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", ...packages])
        // A command stands alone, whatever else the package has.
        const bins = Object.keys(manifest.bin ?? {})
        if (bins.length > 0) await install(tarball)
        for (const bin of bins) {
          const said = await must(project, join(project, "node_modules/.bin", bin), ["--version"])
          if (!said.includes(version))
            throw new Error(`${name}: ${bin} --version says "${said.trim()}", not ${version}`)
        }

        // The peers in the versions we test with; @types/node only so that the example can be type-checked.
        const others = Object.keys({ ...peerDependencies, "@types/node": "" }).flatMap((peer) =>
          pinned[peer] === undefined ? [] : [`${peer}@${pinned[peer]}`]
        )
        await install(...new Set(ours(name).map((one) => tarballs.get(one) ?? one)), ...others)

        const example = examplesOf(join(root, folder, "README.md")).find((one) => one.name !== undefined)
        if (example?.name !== undefined) {
          writeFileSync(join(project, example.name), provider.adapt(example.code))
          const options = [
            "--noEmit",
            "--strict",
            "--skipLibCheck",
            "--target",
            "es2023",
            "--types",
            "node",
            "--allowImportingTsExtensions"
          ]
          await must(project, "tsc", ["--module", "nodenext", ...options, example.name])
          // A package for tests shows a test.
          const isTest = example.name.endsWith(".test.ts")
          const [runner, ...args] = isTest ? [join(project, "node_modules/.bin/vitest"), "run"] : [process.execPath]
          await must(project, runner, [...args, example.name], provider)
        } else if (modules.length > 0) {
          throw new Error(`${folder}/README.md shows no example: no \`\`\`ts block begins with "// file: NAME.ts"`)
        }
        console.log(`packaging: ${name} ${version} ok`)
      }
    })
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
})
