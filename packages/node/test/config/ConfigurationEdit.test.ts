import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { adviceOf } from "keyfob"
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Configuration from "../../src/config/Configuration.ts"
import {
  addContext,
  apply,
  type Change,
  removeContext,
  setPlugins,
  setProvider,
  useContext
} from "../../src/config/ConfigurationEdit.ts"
import { types } from "./types.ts"
import type { Table } from "../../src/config/TomlDocument.ts"
import * as DurableFile from "../../src/store/DurableFile.ts"
import { layerFileSystem } from "../store/interceptedFileSystem.ts"

const files = Layer.merge(NodeFileSystem.layer, NodePath.layer)

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "keyfob-edit-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const fileWith = Effect.fnUntraced(function* (text: string, mode = 0o600) {
  const path = join(yield* directory, "config.toml")
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
})

const edited = Effect.fnUntraced(function* (text: string, ...changes: ReadonlyArray<Change>) {
  const path = yield* fileWith(text)
  yield* apply(path, ...changes).pipe(Effect.provide(files))
  assert.deepStrictEqual(readdirSync(join(path, "..")), ["config.toml"])
  return readFileSync(path, "utf8")
})

const refused = Effect.fnUntraced(function* (text: string, ...changes: ReadonlyArray<Change>) {
  const path = yield* fileWith(text)
  const error = yield* Effect.flip(apply(path, ...changes).pipe(Effect.provide(files)))
  assert.strictEqual(readFileSync(path, "utf8"), text)
  assert.deepStrictEqual(readdirSync(join(path, "..")), ["config.toml"])
  assert.strictEqual(adviceOf(error).exitCode, 2)
  return error
})

const settings: Table = { type: "oauth", issuer: "https://id.test", client_id: "cli" }
const api = setProvider("work", "api", settings)

/** What is read of a provider, in the order it is written: its secrets too. */
const tableOf = ({ contexts }: Configuration.Configuration, context: string, name: string) => {
  const entry = contexts.get(context)?.providers.get(name)
  return entry && JSON.stringify(Redacted.value(entry.table))
}

const mine = `# My own words.
# More of them.

current_context = 'work'   # the usual

# the office
[contexts.work.providers.api]  # main
  type      = "oauth"
issuer = "https://old.test"
client_id = "old"
scopes = [
  "openid", # always
  "[not.a.header]"
]
[contexts.work.providers.api.params]
audience = "a"

# at home
[contexts.home.providers."my api"]
type = "aqt"
note = """
[contexts.work]
"""
# the end
`

it.live("uses another context and touches one value", () =>
  Effect.gen(function* () {
    assert.strictEqual(yield* edited(mine, useContext("home")), mine.replace("'work'", '"home"'))
  })
)

it.live("states the current context below the heading, where nothing did", () =>
  Effect.gen(function* () {
    const silent = mine.replace("current_context = 'work'   # the usual\n\n", "")
    assert.strictEqual(
      yield* edited(silent, useContext("home")),
      silent.replace("them.\n\n", 'them.\n\ncurrent_context = "home"\n\n')
    )
    assert.strictEqual(yield* edited("[contexts.a]\n", useContext("a")), 'current_context = "a"\n\n[contexts.a]\n')
  })
)

it.live("a context that is not there cannot be used or removed", () =>
  Effect.gen(function* () {
    for (const change of [useContext("hom"), removeContext("hom")]) {
      const error = yield* refused(mine, change)
      assert.strictEqual(error.message, "no such name: context hom; did you mean home?")
    }
  })
)

it.live("appends a provider", () =>
  Effect.gen(function* () {
    const text = yield* edited(
      mine,
      setProvider("new one", "api.2", {
        ...settings,
        client_auth: "client_secret_post",
        client_secret: 'a"b\\c\u007f\n',
        scopes: ["openid", "é"],
        redirect_port: 8080,
        params: { "login hint": "x", tenant: "t" }
      })
    )
    assert.strictEqual(
      text,
      `${mine}
[contexts."new one".providers."api.2"]
type = "oauth"
issuer = "https://id.test"
client_id = "cli"
client_auth = "client_secret_post"
client_secret = "a\\"b\\\\c\\u007f\\n"
scopes = ["openid", "é"]
redirect_port = 8080
[contexts."new one".providers."api.2".params]
"login hint" = "x"
tenant = "t"
`
    )
  })
)

it.live("what was set is what is read", () =>
  Effect.gen(function* () {
    const path = yield* fileWith("")
    const aqt = { type: "aqt", client_secret: "s", deep: { list: [1, { a: true }] } }
    const all: Table = {
      ...settings,
      flow: "device",
      resource: ["r"],
      endpoints: { token_endpoint: "https://id.test/token" }
    }
    yield* apply(
      path,
      setProvider('a "quoted" name', "é", all),
      setProvider("__proto__", "lab", aqt),
      useContext("__proto__")
    ).pipe(Effect.provide(files))
    const configuration = yield* Configuration.read(path, types)
    assert.strictEqual(configuration.currentContext, "__proto__")
    assert.strictEqual(tableOf(configuration, 'a "quoted" name', "é"), JSON.stringify(all))
    assert.strictEqual(tableOf(configuration, "__proto__", "lab"), JSON.stringify(aqt))
  })
)

it.live("changes of a provider what is another now, where it stands", () =>
  Effect.gen(function* () {
    const office = mine.replace('issuer = "https://old.test"', 'clientid = 3\nissuer = "https://old.test"\t# old')
    const same: Table = {
      ...settings,
      clientid: 3,
      issuer: "https://old.test",
      client_id: "old",
      scopes: ["openid", "[not.a.header]"],
      params: { audience: "a" }
    }
    const changed = Effect.fnUntraced(function* (change: Table, text = office) {
      return yield* edited(text, setProvider("work", "api", { ...same, ...change }))
    })
    assert.strictEqual(yield* changed({}), office)
    assert.strictEqual(
      yield* changed({ issuer: "https://id.test#1" }),
      office.replace("https://old.test", "https://id.test#1")
    )
    assert.strictEqual(
      yield* changed({ flow: "device", redirect_port: 1, endpoints: { e: "https://e.test" } }),
      office
        .replace('"[not.a.header]"\n]\n', '"[not.a.header]"\n]\nflow = "device"\nredirect_port = 1\n')
        .replace('audience = "a"\n', 'audience = "a"\n[contexts.work.providers.api.endpoints]\ne = "https://e.test"\n')
    )
    assert.strictEqual(
      yield* changed({ params: { audience: "b", c: "d" } }),
      office.replace('audience = "a"\n', 'audience = "b"\nc = "d"\n')
    )
    assert.strictEqual(yield* changed({ params: {} }), office.replace('audience = "a"\n', ""))
    assert.strictEqual(
      yield* changed({ scopes: ["openid", "[not.a.header]", "x"] }),
      office.replace('"[not.a.header]"\n', '"[not.a.header]",\n  "x",\n')
    )
    assert.strictEqual(yield* changed({ scopes: ["openid"] }), office.replace('  "[not.a.header]"\n', ""))
    const windows = `\uFEFF${office.replaceAll("\n", "\r\n")}`
    assert.strictEqual(yield* changed({ client_id: "new" }, windows), windows.replace('"old"', '"new"'))
    assert.strictEqual(
      yield* changed({ scopes: ["openid", "[not.a.header]", "x"] }, windows),
      windows.replace('"[not.a.header]"\r\n', '"[not.a.header]",\r\n  "x",\r\n')
    )
  })
)

it.live("settings that are gone take their lines with them, and no others", () =>
  Effect.gen(function* () {
    assert.strictEqual(
      yield* edited(mine, api),
      mine
        .replace("https://old.test", "https://id.test")
        .replace('"old"', '"cli"')
        .replace('scopes = [\n  "openid", # always\n  "[not.a.header]"\n]\n', "")
        .replace('[contexts.work.providers.api.params]\naudience = "a"\n', "")
    )
  })
)

it.live("refuses to lose a comment", () =>
  Effect.gen(function* () {
    yield* refused(mine, setProvider("work", "api", { ...settings, scopes: ["first", "openid"] }))
  })
)

it.live("changes tables in braces and dotted keys as they are written", () =>
  Effect.gen(function* () {
    assert.strictEqual(
      yield* edited(
        '[contexts.work.providers]\napi = { type = "aqt", x = 1 } # mine\n',
        setProvider("work", "api", { x: 1, ...settings })
      ),
      '[contexts.work.providers]\napi = { x = 1, type = "oauth", issuer = "https://id.test", client_id = "cli" } # mine\n'
    )
    assert.strictEqual(
      yield* edited(
        '[contexts.work]\n  providers.api.type = "aqt" # mine\n  providers.api.x.y = 1\n# end',
        setProvider("work", "api", { ...settings, x: { y: 1 } })
      ),
      `[contexts.work]
  providers.api.type = "oauth" # mine
  providers.api.x.y = 1
  providers.api.issuer = "https://id.test"
  providers.api.client_id = "cli"
# end`
    )
    assert.strictEqual(
      yield* edited(
        '[contexts.work.providers.api.params]\na = "b"\n# end\n',
        setProvider("work", "api", { ...settings, params: { a: "b" } })
      ),
      `[contexts.work.providers.api.params]
a = "b"
[contexts.work.providers.api]
type = "oauth"
issuer = "https://id.test"
client_id = "cli"
# end
`
    )
  })
)

it.live("the same settings leave the file alone", () =>
  Effect.gen(function* () {
    const text =
      '[contexts.work.providers]\napi = { type = "oauth", client_id=\'cli\', issuer="https://id.test" } # tight\n'
    assert.strictEqual(yield* edited(text, api, addContext("work")), text)
  })
)

it.live("adds and removes contexts", () =>
  Effect.gen(function* () {
    assert.strictEqual(yield* edited(mine, addContext("lab")), `${mine}\n[contexts.lab]\n`)
    assert.strictEqual(yield* edited(`${mine}\n[contexts.lab]\n`, removeContext("lab")), `${mine}\n`)
    const start = mine.indexOf("[contexts.work.providers.api]")
    const end = mine.indexOf("# at home")
    assert.strictEqual(
      yield* edited(mine, removeContext("work")),
      (mine.slice(0, start) + mine.slice(end)).replace("current_context = 'work'   # the usual\n", "")
    )
    assert.strictEqual(yield* edited("[contexts.a]\n[contexts.a.providers]\n", removeContext("a")), "")
  })
)

it.live("sets the providers of plugins, and leaves other plugins' where they are", () =>
  Effect.gen(function* () {
    const added = '[contexts.lab]\n\n[contexts.lab.plugins]\ntasks = "api"\n'
    assert.strictEqual(yield* edited("[contexts.lab]\n", setPlugins("lab", { tasks: "api" })), added)
    const commented = '[contexts.lab.plugins]\nmine = "b" # for now\ntasks = "api"\n'
    assert.strictEqual(yield* edited(commented, setPlugins("lab", { tasks: "c" })), commented.replace('"api"', '"c"'))
    assert.strictEqual(yield* edited(`${added}\n`, removeContext("lab")), "")
  })
)

it.live("keeps line ends of Windows, a byte order mark and a missing last line end", () =>
  Effect.gen(function* () {
    const windows = `\uFEFF${mine.replaceAll("\n", "\r\n")}`
    assert.strictEqual(yield* edited(windows, useContext("home")), windows.replace("'work'", '"home"'))
    assert.strictEqual(yield* edited(windows, addContext("lab")), `${windows}\r\n[contexts.lab]\r\n`)
    assert.strictEqual(yield* edited("[contexts.a]", addContext("b")), "[contexts.a]\n\n[contexts.b]\n")
  })
)

it.live.each<readonly [string, Change]>([
  ["[contexts]\nwork = { providers = { } }\n", removeContext("work")],
  ["contexts = { work = { } }\n", addContext("lab")],
  ['current_context = """work"""\n[contexts.lab]\n', useContext("lab")]
])("refuses what would disturb other lines: %j", ([text, change]) =>
  Effect.gen(function* () {
    const error = yield* refused(text, change)
    assert.match(error.message, /cannot be changed without touching other lines; change it by hand$/)
  })
)

it.live("refuses a provider in a table that it cannot reach, and one step undoes all", () =>
  Effect.gen(function* () {
    yield* refused('[contexts]\nwork = { providers.api.type = "aqt" }\n', addContext("lab"), api)
    yield* refused('contexts = { work = { providers = { api = { type = "aqt" } } } }\n', api)
    yield* refused(
      "[[contexts.work.providers.api.list]]\na = 1\n",
      setProvider("work", "api", { type: "aqt", list: [{ a: 2 }] })
    )
  })
)

it.live("refuses a malformed file", () =>
  Effect.gen(function* () {
    assert.match(
      (yield* refused("current_context = work", addContext("a"))).message,
      /Invalid value at line 1, column 23$/
    )
  })
)

it.live("makes a new file and its directories for the owner alone", () =>
  Effect.gen(function* () {
    const root = yield* directory
    const path = join(root, "a", "b", "config.toml")
    yield* apply(path, api).pipe(Effect.provide(files))
    assert.strictEqual(statSync(path).mode & 0o777, 0o600)
    assert.strictEqual(statSync(join(root, "a", "b")).mode & 0o777, 0o700)
    assert.strictEqual(statSync(join(root, "a")).mode & 0o777, 0o700)
    assert.strictEqual(tableOf(yield* Configuration.read(path, types), "work", "api"), JSON.stringify(settings))
  })
)

it.live("keeps the mode, and puts no secret where others read", () =>
  Effect.gen(function* () {
    const path = yield* fileWith("", 0o644)
    yield* apply(path, api).pipe(Effect.provide(files))
    assert.strictEqual(statSync(path).mode & 0o777, 0o644)
    const secret = setProvider("work", "api", { ...settings, client_secret: "s3cret" })
    const error = yield* Effect.flip(apply(path, secret).pipe(Effect.provide(files)))
    assert.include(error.message, `chmod 600 ${path}`)
    assert.notInclude(readFileSync(path, "utf8"), "s3cret")
  })
)

it.live("writes through a link, be its target there or not", () =>
  Effect.gen(function* () {
    const root = yield* directory
    mkdirSync(join(root, "dotfiles"))
    const path = join(root, "config.toml")
    symlinkSync("dotfiles/keyfob.toml", path)
    for (const name of ["a", "b"]) {
      yield* apply(path, addContext(name)).pipe(Effect.provide(files))
      assert.isTrue(lstatSync(path).isSymbolicLink())
    }
    assert.strictEqual(readFileSync(join(root, "dotfiles", "keyfob.toml"), "utf8"), "[contexts.a]\n\n[contexts.b]\n")
    assert.deepStrictEqual(readdirSync(join(root, "dotfiles")), ["keyfob.toml"])
  })
)

it.live("changes at the same time all last", () =>
  Effect.gen(function* () {
    const path = yield* fileWith("# mine\n")
    const names = Array.from({ length: 8 }, (_, index) => `c${index}`)
    yield* Effect.forEach(names, (name) => apply(path, addContext(name)), { concurrency: "unbounded" }).pipe(
      Effect.provide(files)
    )
    assert.deepStrictEqual([...(yield* Configuration.read(path, types)).contexts.keys()].sort(), names)
    assert.deepStrictEqual(readdirSync(join(path, "..")), ["config.toml"])
  })
)

it.live("who has lost the lease while writing changes nothing", () =>
  Effect.gen(function* () {
    const path = yield* fileWith("# mine\n")
    const loseLease = (method: string) =>
      Effect.sync(() => (method === "sync" ? rmSync(`${path}.lock`, { recursive: true, force: true }) : undefined))
    const error = yield* Effect.flip(
      apply(path, addContext("a")).pipe(Effect.provide([layerFileSystem(loseLease), NodePath.layer]))
    )
    assert.match(error.message, /the lease was taken over/)
    assert.strictEqual(readFileSync(path, "utf8"), "# mine\n")
    assert.deepStrictEqual(readdirSync(join(path, "..")), ["config.toml"])
  })
)

it.live("what an editor saves while a change is being written lasts, beside the change", () =>
  Effect.gen(function* () {
    const path = yield* fileWith("# mine\n")
    let saves = 0
    const save = (method: string) =>
      Effect.sync(() => (method === "sync" && saves < 2 ? writeFileSync(path, `# mine ${++saves}\n`) : undefined))
    yield* apply(path, addContext("a")).pipe(Effect.provide([layerFileSystem(save), NodePath.layer]))
    assert.strictEqual(readFileSync(path, "utf8"), "# mine 2\n\n[contexts.a]\n")
    assert.deepStrictEqual(readdirSync(join(path, "..")), ["config.toml"])
  })
)

it.live("the next change removes what a crash left beside the file, and no other program's temporary file", () =>
  Effect.gen(function* () {
    const path = yield* fileWith("# mine\n")
    writeFileSync(DurableFile.temporaryOf(path), "client_secret")
    writeFileSync(`${path}.tmp`, "an editor's")
    yield* apply(path, addContext("a")).pipe(Effect.provide(files))
    assert.deepStrictEqual(readdirSync(join(path, "..")).toSorted(), ["config.toml", "config.toml.tmp"])
  })
)

it.live("a place that cannot be written is named", () =>
  Effect.gen(function* () {
    const path = join(yield* fileWith("x"), "config.toml")
    const error = yield* Effect.flip(apply(path, addContext("a")).pipe(Effect.provide(files)))
    assert.match(error.message, /config\.toml cannot be (read|written) \(ENOTDIR\)$/)
    assert.match(adviceOf(error).remedy, /owner and mode/)
    assert.isFalse(existsSync(path))
  })
)
