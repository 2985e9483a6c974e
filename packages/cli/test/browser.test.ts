/** Sign-in by browser, with the built command: what opens is a real one, and it signs in at the provider's own pages. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { LoopbackReceiver } from "@keyfob/node"
import { Effect, Layer, Schema } from "effect"
import { AuthorizationCode, CredentialStore, Login, UserPrompt } from "keyfob"
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { connect } from "node:net"
import { fileURLToPath } from "node:url"
import { freePort } from "../../embedded/src/server.ts"
import * as Chromium from "./Chromium.ts"
import * as Keyfob from "./Keyfob.ts"

const login = (issuer: string, ...more: ReadonlyArray<string>) => [
  "login",
  "demo",
  "--issuer",
  issuer,
  "--client-id",
  clients.cli.id,
  "--scope",
  "openid profile offline_access",
  ...more
]

const fixture = fileURLToPath(new URL("fixtures/browser.ts", import.meta.url))

/** A browser in which this account signs in. */
const personal = (account: string) =>
  `${process.execPath} ${fileURLToPath(new URL("fixtures/person.ts", import.meta.url))} ${account} %s`

/** What the person saw last, as the fixture wrote it. */
const Seen = Schema.fromJsonString(
  Schema.Struct({
    title: Schema.String,
    address: Schema.String,
    text: Schema.String,
    html: Schema.String,
    background: Schema.String,
    back: Schema.Finite,
    complaints: Schema.Array(Schema.String),
    referrers: Schema.Array(Schema.String)
  })
)

/** A browser for `--browser`, and what is seen in it. */
const chromium = (home: string, decision: "yes" | "no") => {
  const file = `${home}/seen.json`
  const seen = Effect.gen(function* () {
    while (!existsSync(file)) yield* Effect.sleep("100 millis")
    return yield* Schema.decodeEffect(Seen)(readFileSync(file, "utf8"))
  })
  return { command: `${process.execPath} ${fixture} ${file} ${decision} %s`, seen }
}

/** Does something with the first page that `-o json` shows. */
const onPage = (act: (page: { readonly url: string; readonly redirect_uri: string }) => void) => {
  let isFirst = true
  return (line: string) => {
    const event = line.startsWith("{") ? JSON.parse(line) : {}
    if (!isFirst || event.event !== "browser") return
    isFirst = false
    act(event)
  }
}

const pageIn = (line: string) => /http:\S+\/auth\?\S+/.exec(line)?.[0]

/** Signs in at the page that is shown to a person. */
const approvePage = (line: string) => {
  const url = pageIn(line)
  if (url !== undefined) Effect.runFork(Person.approve(url))
}

const isOpen = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed(true))
    })
    socket.once("error", () => resume(Effect.succeed(false)))
  })

describe("a person signs in in their browser", () => {
  it.live(
    "Chromium opens, they sign in and allow, and are back in the terminal; the page has nothing of what came with it",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start()
        const { command, seen } = chromium(keyfob.home, "yes")
        const ran = yield* keyfob.done(login(provider.issuer, "--flow", "browser", "--browser", command))
        assert.match(ran.stdout, /^Signed in to demo as alice, the token ends in \d+ min and is renewed by itself\.\n$/)
        assert.include(ran.stderr, `${provider.issuer}/auth?`)
        const page = yield* seen
        assert.strictEqual(page.title, "You are signed in")
        assert.match(page.address, /^http:\/\/127\.0\.0\.1:\d+\/callback$/)
        assert.notMatch(page.html, /code=|state=/)
        assert.notStrictEqual(page.background, "rgb(255, 255, 255)", "dark where dark is wanted")
        // Of the landing page the browser complains about nothing: its policy fits it.
        assert.deepStrictEqual(
          page.complaints.filter((text) => !/404/.test(text)),
          []
        )
        for (const referrer of page.referrers) assert.notMatch(referrer, /code=/)
        yield* keyfob.done(["token", "demo"])
        const exchanges = (yield* provider.requests).filter(({ grantType }) => grantType === "authorization_code")
        assert.lengthOf(exchanges, 1)
        const [row] = yield* keyfob.json(["logout", "demo", "--end-session"])
        assert.deepInclude(row, { revoked: true, removed: true })
        // No ID token in it: it stands on a screen.
        assert.strictEqual(row.end_session_url, `${provider.issuer}/session/end?client_id=keyfob-cli`)
        const ending = yield* Effect.promise(() => fetch(row.end_session_url))
        // Of who has no session there, the provider asks nothing more.
        assert.include(yield* Effect.promise(() => ending.text()), `${provider.issuer}/session/end/confirm`)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "they cancel: exit 4, and the page says so",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start()
        const { command, seen } = chromium(keyfob.home, "no")
        // With a browser at hand that is what `auto` means; a denial is no reason to try another way.
        const ran = yield* keyfob.run(login(provider.issuer, "--browser", command, "-o", "json"))
        assert.strictEqual(Keyfob.errorOf(ran, 4).reason, "Denied")
        const page = yield* seen
        assert.strictEqual(page.title, "You are not signed in")
        assert.include(page.text, "The login was denied.")
        assert.isFalse((yield* provider.requests).some(({ path }) => path.startsWith("/device")))
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "the answer comes as a form that the provider's page posts (form_post); the account of login_hint is chosen there",
    () =>
      Effect.gen(function* () {
        const { issuer } = yield* EmbeddedProvider.start()
        const { page } = yield* Chromium.open()
        const visit = (url: string) =>
          Effect.promise(async () => {
            await page.goto(url)
            for (const name of ["Sign in", "Allow"]) await page.getByRole("button", { name }).click()
          })
        const flow = AuthorizationCode.make({
          issuer,
          clientId: clients.cli.id,
          scopes: ["openid"],
          loginHint: "bob@example.com",
          responseMode: "form_post"
        })
        const prompt = Layer.mock(UserPrompt, { browser: ({ url }) => Effect.asVoid(Effect.forkScoped(visit(url))) })
        const { account } = yield* Login.login(flow).pipe(
          Effect.provide([prompt, LoopbackReceiver.layer(), CredentialStore.layerMemory, NodeHttpClient.layerUndici])
        )
        assert.strictEqual(account?.sub, "bob")
        yield* Effect.promise(() => page.getByRole("heading", { name: "You are signed in" }).waitFor())
        assert.match(page.url(), /\/callback$/)
        // What somebody hears who does not see it, and in which language.
        assert.match(
          yield* Effect.promise(() => page.locator("body").ariaSnapshot()),
          /^- main:\n {2}- heading "You are signed in" \[level=1\]\n {2}- paragraph: You can close this page/
        )
        assert.strictEqual(yield* Effect.promise(() => page.evaluate("document.documentElement.lang")), "en")
        const background = yield* Effect.promise(() => page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert.strictEqual(background, "rgb(255, 255, 255)", "light where light is wanted")
      }).pipe(Effect.scoped),
    120_000
  )
})

describe.concurrent("login --flow browser", () => {
  it.live(
    "with -o json: events on stderr; --redirect-port, --prompt and --login-hint reach the provider",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start()
        let shown = ""
        const onLine = onPage(({ url }) => {
          shown = url
          Effect.runFork(Person.approve(url))
        })
        const port = String(yield* freePort)
        const browser = ["--flow", "browser", "--no-browser", "--redirect-port", port, "-o", "json"]
        const flags = [...browser, "--prompt", "login", "--login-hint", "alice@example.com"]
        const ran = yield* keyfob.done(login(provider.issuer, ...flags), { onLine })
        const events = ran.stderr
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line).event)
        assert.deepStrictEqual(events, ["browser", "waiting", "authorized"])
        assert.strictEqual(JSON.parse(ran.stdout).account.sub, "alice")
        const query = new URL(shown).searchParams
        assert.strictEqual(query.get("prompt"), "login consent")
        assert.strictEqual(query.get("login_hint"), "alice@example.com")
        assert.strictEqual(query.get("redirect_uri"), `http://127.0.0.1:${port}/callback`)
        // The port is free again, so that the next login can ask for it.
        const again = onPage(({ redirect_uri, url }) => {
          shown = redirect_uri
          Effect.runFork(Person.approve(url))
        })
        yield* keyfob.done(login(provider.issuer, ...browser, "--force"), { onLine: again })
        assert.strictEqual(shown, `http://127.0.0.1:${port}/callback`)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "law 11: who may ask nobody opens nothing: --non-interactive and CI end with 3",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start()
        const opener = `${keyfob.home}/opener`
        writeFileSync(opener, `#!/bin/sh\n: > '${keyfob.home}/opened'\n`, { mode: 0o700 })
        for (const flow of ["browser", "auto"]) {
          const args = login(provider.issuer, "--flow", flow, "--browser", opener)
          Keyfob.failsWith(yield* keyfob.run([...args, "--non-interactive"]), 3, /nobody is signed in/)
          Keyfob.failsWith(yield* keyfob.run(args, { env: { CI: "true" } }), 3, /nobody is signed in/)
        }
        assert.isFalse(existsSync(`${keyfob.home}/opened`))
        assert.deepStrictEqual(yield* provider.requests, [])
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "Ctrl-C: exit 130, and the port is closed",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start()
        // None that the system gives to somebody else after it.
        const port = yield* freePort
        let wasOpen = false
        const ran = yield* Effect.callback<Keyfob.Ran>((resume) => {
          const onLine = (line: string, signal: (name: NodeJS.Signals) => void) =>
            onPage(() => {
              Effect.runFork(
                Effect.map(isOpen(port), (open) => {
                  wasOpen = open
                  signal("SIGINT")
                })
              )
            })(line)
          const at = ["--redirect-port", String(port)]
          const args = login(provider.issuer, "--flow", "browser", "--no-browser", ...at, "-o", "json")
          Effect.runFork(Effect.map(keyfob.run(args, { onLine }), (ran) => resume(Effect.succeed(ran))))
        })
        assert.strictEqual(ran.code, 130)
        assert.isTrue(wasOpen)
        assert.isFalse(yield* isOpen(port))
        assert.deepStrictEqual(yield* keyfob.files, [])
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "over SSH: auto shows a device code; --flow browser the line that brings the port to the person",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start({ deviceInterval: "1 second" })
        const env = { SSH_CONNECTION: "203.0.113.7 51515 198.51.100.4 2222", SSH_TTY: "/dev/pts/0", DISPLAY: ":10" }
        const approveDevice = (line: string) => {
          const [uri] = /http:\S+user_code=\S+/.exec(line) ?? []
          if (uri !== undefined) Effect.runFork(Person.approve(uri))
        }
        const device = yield* keyfob.done(login(provider.issuer), { env, onLine: approveDevice })
        assert.include(device.stderr, `${provider.issuer}/device`)
        const { stderr } = yield* keyfob.done(login(provider.issuer, "--flow", "browser", "--force"), {
          env,
          onLine: approvePage
        })
        const port = /redirect_uri=http%3A%2F%2F127\.0\.0\.1%3A(\d+)/.exec(stderr)?.[1]
        assert.match(
          stderr,
          new RegExp(`    ssh -N -L ${port}:127\\.0\\.0\\.1:${port} -p 2222 \\S+@198\\.51\\.100\\.4\n`)
        )
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "BROWSER names what opens, the first that works; --browser comes before it, and --no-browser opens nothing",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const { issuer } = yield* EmbeddedProvider.start()
        // Without a PATH: the system's own opener would read BROWSER as well.
        const env = { PATH: "", BROWSER: `/nowhere/browser:${personal("bob")}` }
        const signIn = (more: ReadonlyArray<string>, onLine?: Keyfob.Options["onLine"]) =>
          Effect.map(
            keyfob.done(login(issuer, "--flow", "browser", "--force", ...more), onLine ? { env, onLine } : { env }),
            ({ stderr, stdout }) => {
              assert.notInclude(stderr, "Warning")
              return /Signed in to demo as (\w+),/.exec(stdout)?.[1]
            }
          )
        assert.strictEqual(yield* signIn([]), "bob")
        assert.strictEqual(yield* signIn(["--browser", personal("alice")]), "alice")
        assert.strictEqual(yield* signIn(["--no-browser"], approvePage), "alice")
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "a browser that hangs is not waited for, neither by the login nor at its end",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const { issuer } = yield* EmbeddedProvider.start()
        const opener = `${keyfob.home}/opener`
        const pid = `${keyfob.home}/pid`
        const tell = `echo $$ > '${pid}.part'\nmv '${pid}.part' '${pid}'`
        writeFileSync(opener, `#!/bin/sh\n${tell}\nexec sleep 600\n`, { mode: 0o700 })
        const hanging = Effect.gen(function* () {
          while (!existsSync(pid)) yield* Effect.sleep("50 millis")
        })
        const onLine = (line: string) => {
          const url = pageIn(line)
          if (url !== undefined) Effect.runFork(Effect.andThen(hanging, Person.approve(url)))
        }
        const send = (signal: NodeJS.Signals | 0) => process.kill(Number(readFileSync(pid, "utf8")), signal)
        yield* Effect.addFinalizer(() => Effect.sync(() => send("SIGTERM")))
        yield* keyfob.done(login(issuer, "--flow", "browser", "--browser", opener), { onLine })
        assert.isTrue(send(0), "it is there still")
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "a browser that does not open is a warning, and the login goes on",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start()
        const onLine = (line: string) => {
          // Said after the page was shown: the login has gone on.
          if (line.startsWith("Warning: no browser could be opened")) Effect.runFork(Person.approve(url))
          else url = pageIn(line) ?? url
        }
        let url = ""
        yield* keyfob.done(login(provider.issuer, "--flow", "browser", "--browser", "/nowhere/browser"), { onLine })
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "on a terminal: the address the browser ended at is pasted, and the command ends by itself",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const provider = yield* EmbeddedProvider.start()
        const typescript = `${keyfob.home}/typescript`
        const keyboard = `${keyfob.home}/keyboard`
        execFileSync("mkfifo", [keyboard])
        const person = Effect.gen(function* () {
          for (;;) {
            yield* Effect.sleep("200 millis")
            const screen = existsSync(typescript) ? readFileSync(typescript, "utf8") : ""
            const url = pageIn(screen)
            if (url === undefined || !screen.includes("paste the address")) continue
            const visit = yield* Person.approve(url, { followRedirect: false })
            return yield* Effect.promise(() => writeFile(keyboard, `wrong\n${visit.url}\n`))
          }
        })
        const env = { TERM: "xterm-256color", NO_COLOR: "" }
        const through = ["sh", "-c", `exec script -qefc "$*" '${typescript}' <>'${keyboard}'`, "sh"]
        const quoted = login(provider.issuer, "--flow", "browser", "--no-browser").map((word) => `'${word}'`)
        const [{ code }] = yield* Effect.all([keyfob.run(quoted, { env, through }), person], {
          concurrency: "unbounded"
        })
        assert.strictEqual(code, 0)
        const screen = readFileSync(typescript, "utf8")
        assert.include(screen, "That is not the answer to this login")
        assert.include(screen, "Signed in to demo as alice")
      }).pipe(Effect.scoped),
    120_000
  )
})
