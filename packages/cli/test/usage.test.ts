import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Keyfob from "./Keyfob.ts"

const config = `
current_context = "work"
[contexts.work.providers.api]
type = "oauth"
issuer = "https://login.example.com"
client_id = "cli"
[contexts.work.providers.other]
type = "oauth"
issuer = "https://login.example.com"
client_id = "cli"
[contexts.lab.providers.arnica]
type = "kerberos"
`

/** For `through`: a shell that has, as 5, a pipe that nobody reads any more. */
const unread = (script: string) => ["sh", "-c", `mkfifo ~/pipe && exec 4<>~/pipe 5>~/pipe 4<&- && ${script}`, "sh"]

/** A home with the configuration above. */
const configured = Effect.gen(function* () {
  const keyfob = yield* Keyfob.make
  yield* keyfob.done(["context", "add", "work"])
  yield* keyfob.write("config.toml", config)
  return keyfob
})

describe.concurrent("R14: the command line", () => {
  it.live(
    "a warning that nobody can read any more ends nothing",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* configured
        yield* keyfob.write("config.toml", `nobody = "knows this"\n${config}`)
        const read = yield* keyfob.run(["context", "list"])
        assert.match(read.stderr, /^keyfob: warning: .* is not a known key\n$/)
        const through = unread('{ "$@" 2>&5; echo "code $?"; }')
        assert.strictEqual((yield* keyfob.run(["context", "list"], { through })).stdout, `${read.stdout}code 0\n`)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "help on stdout, also for the bare command and a bare group",
    () =>
      Effect.gen(function* () {
        const { done } = yield* Keyfob.make
        for (const args of [[], ["--help"], ["token", "--help"], ["context"]]) {
          const { stderr, stdout } = yield* done(args)
          assert.include(stdout, "USAGE")
          assert.strictEqual(stderr, "")
        }
        const { stdout } = yield* done([])
        for (const name of ["login", "logout", "status", "token", "refresh", "doctor"]) assert.include(stdout, name)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "a Node.js that is too old is told so in a sentence",
    () =>
      Effect.gen(function* () {
        const { run } = yield* Keyfob.make
        const older = "data:text/javascript,delete process.getBuiltinModule('module').registerHooks"
        const { code, stderr } = yield* run(["status"], { env: { NODE_OPTIONS: `--import "${older}"` } })
        assert.strictEqual(code, 2)
        assert.match(stderr, /^keyfob: Node\.js v\S+ is too old\n +Install \d+\.\d+\.\d+ or later\n$/)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "version and completions",
    () =>
      Effect.gen(function* () {
        const { done } = yield* Keyfob.make
        assert.match((yield* done(["--version"])).stdout, /\d+\.\d+\.\d+/)
        for (const shell of ["bash", "zsh", "fish", "powershell", "pwsh"]) {
          assert.include((yield* done(["--completions", shell])).stdout, "keyfob")
        }
      }).pipe(Effect.scoped),
    120_000
  )

  const wrong: ReadonlyArray<readonly [args: ReadonlyArray<string>, message: RegExp]> = [
    [["nope"], /unknown command nope/],
    [["tokne"], /unknown command tokne; did you mean token\?/],
    [["token", "--nope=canary"], /unknown flag --nope/],
    [["login", "--client-secret", "canary"], /unknown flag --client-secret/],
    [["token", "a", "canary"], /more arguments/],
    [["--completions", "sh"], /--completions needs another value/],
    [["status", "-o", "xml"], /--output needs another value/],
    [["token", "--min-validity", "soon"], /--min-validity needs another value.*90s, 5m or 2h/],
    [["token", "--min-validity", "5"], /--min-validity needs another value; a duration like 90s, 5m or 2h/],
    [["token", "--min-validity", ""], /--min-validity needs another value; a duration like 90s/],
    [["status", ""], /PROVIDER needs another value; a name that is not empty/],
    [["login", "", "--issuer", "https://login.example.com", "--client-id", "c"], /PROVIDER needs another value/],
    [["context", "add", ""], /NAME needs another value/],
    [["context", "add", "x", ""], /PROVIDER needs another value/],
    [["status", "--context", ""], /--context needs another value/],
    [["status", "--config", ""], /--config needs another value/],
    [["context", "use"], /argument NAME is missing/],
    [["login", "x", "--issuer", "https://login.example.com"], /needs --issuer and --client-id/],
    [["login", "x", "--client-secret-stdin", "--client-secret-file", "f"], /exclude each other/],
    [["verify", "canary", "--issuer", "https://login.example.com"], /needs --audience/]
  ]
  for (const [args, message] of wrong) {
    it.live(
      `keyfob ${args.join(" ")}: exit 2, one sentence, the hint, no value repeated`,
      () =>
        Effect.gen(function* () {
          const { run } = yield* Keyfob.make
          const ran = yield* run(args)
          Keyfob.failsWith(ran, 2, message)
          assert.notInclude(ran.stderr, "canary")
          if (args.includes("-o")) return
          const error = Keyfob.errorOf(yield* run([...args, "-o", "json"]), 2)
          assert.strictEqual(error.tag, "UsageError")
        }).pipe(Effect.scoped),
      120_000
    )
  }

  it.live(
    "names that are not there: exit 2, and what there is",
    () =>
      Effect.gen(function* () {
        const { run } = yield* configured
        Keyfob.failsWith(
          yield* run(["token", "nope"]),
          2,
          /no such name: provider nope in context work; there is api, other/
        )
        Keyfob.failsWith(yield* run(["status", "--context", "nope"]), 2, /context nope; there is work, lab/)
        Keyfob.failsWith(yield* run(["context", "use", "nope"]), 2, /nope/)
        Keyfob.failsWith(yield* run(["token"]), 2, /say which provider; context work has api, other/)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "a type that nobody has registered is named, with those there are: exit 2",
    () =>
      Effect.gen(function* () {
        const { run } = yield* configured
        Keyfob.failsWith(
          yield* run(["token", "arnica", "--context", "lab"]),
          2,
          /type kerberos of provider arnica; this keyfob knows oauth/
        )
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "nobody is signed in: exit 3 and the command to run, with the context where it is not the current one",
    () =>
      Effect.gen(function* () {
        const { run, write } = yield* configured
        yield* write(
          "config.toml",
          config.replace('"kerberos"', '"oauth"\nissuer = "https://a.example"\nclient_id = "c"')
        )
        const here = yield* run(["token", "api"])
        Keyfob.failsWith(here, 3, /nobody is signed in/)
        assert.match(here.stderr, /keyfob login api$/m)
        const there = Keyfob.errorOf(yield* run(["header", "--context", "lab", "-o", "json"]), 3)
        assert.strictEqual(there.remedy, "Sign in: keyfob login arnica --context lab")
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "defaults < file < environment < flags",
    () =>
      Effect.gen(function* () {
        const { done, json, write } = yield* configured
        const current = (options?: Keyfob.Options, ...args: ReadonlyArray<string>) =>
          Effect.map(
            json(["status", "--all", ...args], options),
            (rows: ReadonlyArray<Record<string, unknown>>) => rows.find((row) => row["current"] === true)?.["context"]
          )
        const KEYFOB_CONTEXT = "lab"
        assert.strictEqual(yield* current(), "work")
        assert.strictEqual(yield* current({ env: { KEYFOB_CONTEXT } }), "lab")
        assert.strictEqual(yield* current({ env: { KEYFOB_CONTEXT } }, "--context", "work"), "work")
        const { stdout } = yield* done(["status"], { env: { KEYFOB_OUTPUT: "json" } })
        assert.isArray(JSON.parse(stdout))
        const text = yield* done(["status", "-o", "text"], { env: { KEYFOB_OUTPUT: "json" } })
        assert.match(text.stdout, /^PROVIDER +STATUS/)
        yield* write("config.toml", "")
        assert.deepStrictEqual(yield* json(["status"]), [])
      }).pipe(Effect.scoped),
    120_000
  )

  const values: ReadonlyArray<readonly [name: string, value: string, message: RegExp]> = [
    ["KEYFOB_NON_INTERACTIVE", "maybe", /KEYFOB_NON_INTERACTIVE is neither true/],
    ["KEYFOB_OUTPUT", "xml", /KEYFOB_OUTPUT is neither text nor json/]
  ]
  for (const [name, value, message] of values) {
    it.live(
      `R12: ${name}=${value}: exit 2 and what it may be`,
      () =>
        Effect.gen(function* () {
          const { run } = yield* configured
          Keyfob.failsWith(yield* run(["status"], { env: { [name]: value } }), 2, message)
          Keyfob.failsWith(yield* run(["token", "api"], { env: { [name]: value } }), 2, message)
        }).pipe(Effect.scoped),
      120_000
    )
  }

  it.live(
    "contexts: add, list, show, use, remove; what a person wrote stays",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const { done, json, read, write } = keyfob
        yield* done(["context", "add", "one", "--issuer", "https://one.example", "--client-id", "c"])
        yield* write("config.toml", `# mine\n${yield* read("config.toml")}`)
        const add = [
          "context",
          "add",
          "two",
          "api",
          "--issuer",
          "https://two.example",
          "--client-id",
          "c",
          "--scope",
          "a b"
        ]
        assert.deepStrictEqual(yield* json(add), { context: "two", provider: "api" })
        assert.deepStrictEqual(yield* json(["context", "list"]), [
          { context: "one", current: true, providers: ["default"] },
          { context: "two", current: false, providers: ["api"] }
        ])
        yield* done(["context", "use", "two"])
        const shown = yield* json(["context", "show"])
        assert.strictEqual(shown.context, "two")
        assert.include(shown.providers[0], { provider: "api", issuer: "https://two.example", client_id: "c" })
        assert.deepStrictEqual(shown.providers[0].scopes, ["a", "b"])
        assert.match((yield* done(["context", "list"])).stdout, /\* +two +api/)
        assert.match((yield* done(["context", "show", "one"])).stdout, /issuer +https:\/\/one\.example/)
        assert.deepStrictEqual(yield* json(["context", "remove", "one"]), { context: "one", removed: true })
        assert.match(yield* read("config.toml"), /^# mine\n/)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live("context show has every setting of a provider, whatever its type", () =>
    Effect.gen(function* () {
      const { done, json, write } = yield* configured
      const settings = ["dpop = true", 'private_key_passphrase = "canary"', "token_budget = { limit = 10, per = '1d' }"]
      const provider = ['type = "oauth"', 'issuer = "https://id.example"', 'client_id = "c"', ...settings].join("\n")
      const aqt = 'type = "aqt"\nclient_id = "a"\nclient_secret = "canary"\nstore = "memory"'
      yield* write("config.toml", `[contexts.x.providers.api]\n${provider}\n[contexts.x.providers.lab]\n${aqt}\n`)
      const { providers } = yield* json(["context", "show"])
      assert.deepStrictEqual(providers, [
        {
          provider: "api",
          type: "oauth",
          flow: "auto",
          issuer: "https://id.example",
          client_id: "c",
          dpop: true,
          has_private_key_passphrase: true,
          token_budget: { limit: 10, per: "1d" },
          store: "file"
        },
        { provider: "lab", type: "aqt", client_id: "a", has_client_secret: true, store: "memory" }
      ])
      assert.match((yield* done(["context", "show"])).stdout, /^  token_budget +\{"limit":10,"per":"1d"\}$/m)
    }).pipe(Effect.scoped)
  )

  it.live(
    "context show says that there is a secret, and never which",
    () =>
      Effect.gen(function* () {
        const { done, json, write } = yield* configured
        yield* write(
          "config.toml",
          config.replace('client_id = "cli"\n', 'client_id = "cli"\nclient_secret = "canary"\n')
        )
        const text = yield* done(["context", "show"])
        assert.match(text.stdout, /has_client_secret +true/)
        assert.notInclude(text.stdout + text.stderr, "canary")
        assert.notInclude(JSON.stringify(yield* json(["context", "show"])), "canary")
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "R12: the configuration file by flag and by variable, with ~",
    () =>
      Effect.gen(function* () {
        const { done, home, json, write } = yield* configured
        yield* write("../mine.toml", config.replaceAll("work", "mine"))
        const listed = (options?: Keyfob.Options, ...args: ReadonlyArray<string>) =>
          Effect.map(json(["context", "list", ...args], options), (rows) => rows[0].context)
        assert.strictEqual(yield* listed(), "work")
        assert.strictEqual(yield* listed({ env: { KEYFOB_CONFIG: "~/mine.toml" } }), "mine")
        assert.strictEqual(yield* listed({}, "--config", "~/mine.toml"), "mine")
        const named = yield* listed({ env: { KEYFOB_CONFIG: "/nowhere.toml" } }, "--config", `${home}/mine.toml`)
        assert.strictEqual(named, "mine")
        assert.match((yield* done(["status"], { env: { KEYFOB_CONFIG: "~/none.toml" } })).stdout, /No provider/)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "a reader that stops early is no failure; an answer that cannot be written is one",
    () =>
      Effect.gen(function* () {
        const { run } = yield* configured
        const shell = (script: string) => ["sh", "-c", script, "sh"]
        const early = yield* run(["status"], { through: unread('{ "$@" >&5; echo $? >&2; }') })
        assert.strictEqual(early.stderr, "0\n")
        Keyfob.failsWith(
          yield* run(["status"], { through: shell(`exec "$@" > /dev/full`) }),
          5,
          /not be written.*ENOSPC/
        )
      }).pipe(Effect.scoped),
    120_000
  )
})
