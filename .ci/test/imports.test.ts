import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, expect, test } from "vitest"
import { check } from "../imports.ts"

let root = ""
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** Checks a repository that consists of these files. */
const checking = (files: Readonly<Record<string, string>>) => {
  root = mkdtempSync(join(tmpdir(), "keyfob-imports-"))
  const packages = Object.keys(files).map((file) => file.split("/").slice(0, 2).join("/"))
  const manifests = packages.map((folder) => [`${folder}/package.json`, "{}"] as const)
  for (const [file, text] of [...manifests, ...Object.entries(files)]) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), text)
  }
  return check(root)
}

test("what points down passes", () => {
  const found = checking({
    "packages/core/src/index.ts": 'export * from "./session/TokenSource.ts"',
    "packages/core/src/Token.ts": 'import { Schema } from "effect"; export const Token = Schema.String',
    "packages/core/src/flow/Device.ts":
      'import { Token } from "../Token.ts"; import { jwtVerify } from "jose/jwt/verify"; export { Token, jwtVerify }',
    "packages/core/src/session/TokenSource.ts":
      'import type { Token } from "../flow/Device.ts"; export type Source = typeof Token',
    "packages/node/src/index.ts":
      'import { readFileSync } from "node:fs"; import "keyfob"; setTimeout(() => readFileSync(process.argv[0]!), Date.now())'
  })
  expect(found).toEqual([])
})

test("comments, strings, members of others and dates from numbers are not breaches", () => {
  const found = checking({
    "packages/core/src/Token.ts": `
      // Date.now() and import "node:fs"
      /* setTimeout(() => {}, 1) */
      export const words = "Math.random() process.env fetch('x')" + \`node:fs \${1}\`
      export const date = new Date(0)
      export const get = (client: { fetch: (url: string) => string; now: () => number }) => client.fetch("x") + client.now()
      export const later = (setTimeout: () => void) => setTimeout()
      export const own = ({ fetch }: { fetch: () => void }) => fetch()
      export const pattern = /fetch\\(Date.now()/
    `
  })
  expect(found).toEqual([])
})

const upward = (statement: string) => ({
  "packages/core/src/store/Store.ts": "export interface Store {}\nexport const store = 1",
  "packages/core/src/flow/Flow.ts": `\n${statement}`
})

test.each([
  ["a static import", 'import { store } from "../store/Store.ts"; export { store }'],
  ["an import of types", 'import type { Store } from "../store/Store.ts"; export type S = Store'],
  ["a re-export", 'export * from "../store/Store.ts"'],
  ["a named re-export", 'export { store } from "../store/Store.ts"'],
  ["a dynamic import", 'export const later = () => import("../store/Store.ts")'],
  ["an import type", 'export type S = import("../store/Store.ts").Store']
])("%s upward is reported", (_, statement) => {
  expect(checking(upward(statement))).toEqual([
    'packages/core/src/flow/Flow.ts:2  imports upward: "../store/Store.ts" is on floor store, above flow'
  ])
})

test.each([
  ["protocol/A.ts", "flow/B.ts"],
  ["store/A.ts", "session/B.ts"],
  ["session/A.ts", "provider/B.ts"],
  ["Token.ts", "protocol/B.ts"],
  ["provider/A.ts", "index.ts"]
])("%s may not import %s", (from, to) => {
  const specifier = `${from.includes("/") ? "../" : "./"}${to}`
  const found = checking({
    [`packages/core/src/${from}`]: `import "${specifier}"`,
    [`packages/core/src/${to}`]: "export {}"
  })
  expect(found).toEqual([expect.stringContaining(`packages/core/src/${from}:1  imports upward`)])
})

test.each([
  ["core", "node:fs"],
  ["core", "fs"],
  ["core", "effects"],
  ["core", "@keyfob/node"],
  ["core", "@effect/platform-node"],
  ["node", "@keyfob/testing"],
  ["node", "@keyfob/cli"],
  ["testing", "node:http"],
  ["testing", "@keyfob/node"],
  ["cli", "oidc-provider"]
])("%s may not import %s", (name, specifier) => {
  const file = `packages/${name}/src/index.ts`
  expect(checking({ [file]: `import "${specifier}"` })).toEqual([
    expect.stringContaining(`${file}:1  ${name} may not import "${specifier}"`)
  ])
})

test.each([
  ["Date.now", "Date.now()"],
  ["Date()", "new Date()"],
  ["Math.random", "Math.random()"],
  ["setTimeout()", "setTimeout(() => {}, 1)"],
  ["setInterval()", "setInterval(() => {}, 1)"],
  ["globalThis.setTimeout", "globalThis.setTimeout(() => {}, 1)"],
  ["fetch()", "fetch('https://example.com')"],
  ["globalThis.fetch", "globalThis['fetch']"],
  ["process.env", "process.env"],
  ["Date.now", "`${Date.now()}`"]
])("core and testing may not use %s, as in %s", (name, expression) => {
  for (const folder of ["core", "testing"]) {
    const file = `packages/${folder}/src/Words.ts`
    expect(checking({ [file]: `export const a = 1\nexport const b = () => ${expression}` })).toEqual([
      expect.stringContaining(`${file}:2  ${folder} may not use ${name}:`)
    ])
  }
})

test("cycles, strangers and holes are reported", () => {
  const found = checking({
    "packages/core/src/flow/A.ts": 'import "./B.ts"',
    "packages/core/src/flow/B.ts": 'import "./C.ts"',
    "packages/core/src/flow/C.ts": 'import "./A.ts"',
    "packages/core/src/helpers/Helper.ts": "export {}",
    "packages/node/src/index.ts": 'import "../../core/src/flow/A.ts"; import "./Missing.ts"',
    "packages/new/src/index.ts": "export {}"
  })
  expect(found).toEqual([
    expect.stringMatching(/^packages\/core\/src\/helpers\/Helper.ts:1 {2}core has no such floor/),
    "packages/core/src/flow/C.ts:1  import cycle: flow/C.ts -> flow/A.ts -> flow/B.ts -> flow/C.ts",
    "packages/new/package.json:1  a published package needs its row in .ci/imports.ts",
    'packages/node/src/index.ts:1  "../../core/src/flow/A.ts" leaves the package\'s src',
    'packages/node/src/index.ts:1  "./Missing.ts" is no file (write the extension .ts)'
  ])
})
