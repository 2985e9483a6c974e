/**
 * Keyfob's command, as built, against a real OpenID provider: `npm run demo`. Stops at the first step that is not what
 * it should be. With `--interactive` the provider stays up for a person to try the command by hand.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Duration, Effect, FileSystem, Path, Schema } from "effect"
import { clients } from "./Directory.ts"
import { EmbeddedProvider } from "./EmbeddedProvider.ts"
import * as Keyfob from "./Keyfob.ts"
import * as Person from "./Person.ts"
import { CheckFailed, make as makeTranscript } from "./Transcript.ts"

const personScope = "openid profile email offline_access"

// What the command promises to print with `-o json`, as far as the demo looks at it.
const Login = Schema.Struct({
  account: Schema.optionalKey(Schema.Struct({ sub: Schema.String })),
  scopes: Schema.Array(Schema.String),
  refreshable: Schema.Boolean
})
const Status = Schema.Tuple([Schema.Struct({ provider: Schema.String, status: Schema.String })])
const Refresh = Schema.Tuple([Schema.Struct({ outcome: Schema.String })])
const Logout = Schema.Tuple([Schema.Struct({ revoked: Schema.Boolean, removed: Schema.Boolean })])
const Claims = Schema.Struct({ sub: Schema.String })

const demo = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const provider = yield* EmbeddedProvider
  const transcript = makeTranscript()
  const { check, heading } = transcript

  const HOME = yield* fs.makeTempDirectoryScoped({ prefix: "keyfob-demo-" })
  const KEYFOB_HOME = path.join(HOME, "keyfob")
  const run = Keyfob.make({ HOME, KEYFOB_HOME })
  yield* transcript.secret(clients.billing.secret)

  const ran: Array<Keyfob.Output & { readonly command: string; readonly meantToPrintToken: boolean }> = []

  /** Runs one command, shows it, and expects it to end as it should. */
  const keyfob = Effect.fnUntraced(function* <E extends Error = never>(
    args: ReadonlyArray<string>,
    options: Keyfob.Input<E> & { readonly exitCode?: number; readonly printsToken?: boolean } = {}
  ) {
    const command = ["keyfob", ...args.map((arg) => (/[\s"]/.test(arg) ? JSON.stringify(arg) : arg))].join(" ")
    yield* transcript.line(`$ ${command}`)
    const output = yield* run(args, options).pipe(
      Effect.timeout("60 seconds"),
      Effect.mapError((cause) => new CheckFailed({ expected: `${command} runs and ends (${cause.message})` }))
    )
    ran.push({ ...output, command, meantToPrintToken: options.printsToken ?? false })
    if (options.printsToken) yield* transcript.secret(output.stdout.replace("Authorization: Bearer ", ""))
    const printed = [output.stderr, output.stdout].join("\n").trim()
    if (printed !== "") yield* transcript.line(printed.replace(/^/gm, "  "))
    const { exitCode = 0 } = options
    yield* check(output.exitCode === exitCode, `exit code ${exitCode}`)
    return output.stdout
  })

  const json = <A>(schema: Schema.Codec<A>, text: string) =>
    Schema.decodeUnknownEffect(Schema.fromJsonString(schema))(text).pipe(
      Effect.tapError((error) => transcript.line(String(error))),
      Effect.mapError(() => new CheckFailed({ expected: "JSON as the command's contract has it" }))
    )

  const callApi = Effect.fnUntraced(function* (token: string, expected: number) {
    yield* transcript.line(`$ curl -H "Authorization: Bearer ${token}" ${provider.apiUrl}`)
    const { status, body } = yield* Effect.tryPromise({
      try: async (signal) => {
        const response = await fetch(provider.apiUrl, { signal, headers: { authorization: `Bearer ${token}` } })
        return { status: response.status, body: await response.text() }
      },
      catch: () => new CheckFailed({ expected: "the API answers" })
    })
    yield* transcript.line(`  ${body}`)
    yield* check(status === expected, `the API answers ${expected}`)
    return body
  })

  const asked = (path: string, grantType?: string) =>
    Effect.map(provider.requests, (requests) =>
      requests.filter((request) => request.path === path && request.status === 200 && request.grantType === grantType)
    )

  const loginArgs = (name: string, clientId: string, flow: string, scope: string) =>
    // oxfmt-ignore
    ["login", name, "--issuer", provider.issuer, "--client-id", clientId, "--flow", flow, "--scope", scope, "-o", "json"]

  /** Everything under KEYFOB_HOME. */
  const kept = Effect.gen(function* () {
    const names = yield* fs.readDirectory(KEYFOB_HOME, { recursive: true })
    return yield* Effect.forEach(["", ...names], (name) =>
      Effect.map(fs.stat(path.join(KEYFOB_HOME, name)), (info) => ({ name, type: info.type, mode: info.mode & 0o777 }))
    )
  })
  const checkModes = Effect.gen(function* () {
    const entries = yield* kept
    const open = entries.filter(({ mode, type }) => mode !== (type === "Directory" ? 0o700 : 0o600))
    for (const { mode, name } of open) yield* transcript.line(`  ${mode.toString(8)} ${name || "."}`)
    yield* check(
      open.length === 0 && entries.some(({ type }) => type === "File"),
      "what is kept on disk is for its owner only (files 0600, directories 0700)"
    )
  })

  yield* heading("1. Alice signs in, on another device")
  const login = yield* keyfob(loginArgs("demo", clients.cli.id, "device", personScope), {
    onDeviceCode: (code) => Person.approve(code.verification_uri_complete ?? typed(code))
  })
  const signedIn = yield* json(Login, login)
  yield* check(signedIn.account?.sub === "alice", "alice is signed in")
  yield* check(signedIn.refreshable, "and will stay so: there is a refresh token")
  yield* checkModes

  yield* heading("2. What is signed in")
  yield* keyfob(["status"])
  const [status] = yield* json(Status, yield* keyfob(["status", "demo", "-o", "json"]))
  yield* check(status.provider === "demo" && status.status === "authenticated", "demo is authenticated")

  yield* heading("3. A token, and an API that takes it")
  const first = yield* keyfob(["token", "demo"], { printsToken: true })
  yield* check(/^\S+$/.test(first), "stdout is a token and nothing else")
  yield* check((yield* callApi(first, 200)).includes('"alice"'), "and knows alice")

  yield* heading("4. A new token before the old one ends")
  const [renewed] = yield* json(Refresh, yield* keyfob(["refresh", "demo", "--force", "-o", "json"]))
  yield* check(renewed.outcome === "renewed", "renewed")
  const second = yield* keyfob(["token", "demo"], { printsToken: true })
  yield* check(second !== first, "the token is another one")
  yield* callApi(second, 200)
  // the provider ends the whole grant when a refresh token comes a second time, so this works only with the new one
  yield* json(Refresh, yield* keyfob(["refresh", "demo", "--force", "-o", "json"]))
  const third = yield* keyfob(["token", "demo"], { printsToken: true })
  yield* callApi(third, 200)
  yield* check(
    (yield* asked("/token", "refresh_token")).length === 2,
    "two refreshes, each with the refresh token of its turn"
  )

  yield* heading("5. Who the provider says this is")
  const userinfo = yield* json(Claims, yield* keyfob(["userinfo", "demo", "-o", "json"]))
  yield* check(userinfo.sub === "alice", "alice")

  yield* heading("6. Signing out ends it at the provider too")
  const [left] = yield* json(Logout, yield* keyfob(["logout", "demo", "-o", "json"]))
  yield* check(left.revoked && left.removed, "revoked and removed")
  yield* check((yield* asked("/token/revocation")).length > 0, "the provider was told")
  yield* callApi(third, 401)
  yield* keyfob(["token", "demo"], { exitCode: 3 })

  yield* heading("7. A machine signs in, with a secret that HTTP Basic must encode")
  const env = { KEYFOB_CLIENT_SECRET: clients.billing.secret }
  yield* keyfob(loginArgs("machine", clients.billing.id, "client_credentials", "api:read"), { env })
  const machine = yield* keyfob(["token", "machine"], { env, printsToken: true })
  const header = yield* keyfob(["header", "machine"], { env, printsToken: true })
  yield* check(header === `Authorization: Bearer ${machine}`, "a header, ready to use, with the same token")
  const verify = ["verify", "-", "--issuer", provider.issuer, "--audience", provider.audience, "-o", "json"]
  const claims = yield* json(Claims, yield* keyfob(verify, { stdin: machine }))
  yield* check(claims.sub === clients.billing.id, "the signature holds, and it is billing's")
  const [head, payload, signature = ""] = machine.split(".")
  const forged = [head, payload, signature.split("").toReversed().join("")].join(".")
  yield* transcript.secret(forged)
  yield* keyfob(verify, { stdin: forged, exitCode: 7 })
  yield* check((yield* callApi(machine, 200)).includes('"billing"'), "and knows billing")
  yield* checkModes

  yield* heading("8. The machine signs out")
  // this provider's JWTs cannot be revoked, so only what is kept here goes
  const [gone] = yield* json(Logout, yield* keyfob(["logout", "machine", "-o", "json"], { env }))
  yield* check(gone.removed, "removed")

  yield* heading("All in all")
  const onStderr = ran.filter(({ stderr }) => transcript.leaks(stderr))
  yield* check(onStderr.length === 0, `no token or secret on stderr${namesOf(onStderr)}`)
  const onStdout = ran.filter(({ meantToPrintToken, stdout }) => !meantToPrintToken && transcript.leaks(stdout))
  yield* check(onStdout.length === 0, `none on stdout where none was asked for${namesOf(onStdout)}`)
  const files = (yield* kept).filter(({ type }) => type === "File")
  const remains = yield* Effect.filter(files, ({ name }) =>
    Effect.map(fs.readFileString(path.join(KEYFOB_HOME, name)), transcript.leaks)
  )
  yield* check(remains.length === 0, "none left on disk")
  const elsewhere = (yield* fs.readDirectory(HOME)).filter((name) => name !== "keyfob")
  yield* check(elsewhere.length === 0, "nothing written outside KEYFOB_HOME")
})

const typed = (code: typeof Keyfob.DeviceCode.Type): Person.Target => ({
  verificationUri: code.verification_uri,
  userCode: code.user_code
})

const namesOf = (outputs: ReadonlyArray<{ readonly command: string }>) =>
  outputs.length === 0 ? "" : `, but: ${outputs.map(({ command }) => command).join("; ")}`

/** For a person: the provider, its sign-in page in the browser, and what to type. */
const interactive = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { apiUrl, issuer } = yield* EmbeddedProvider
  const home = path.join(yield* fs.makeTempDirectoryScoped({ prefix: "keyfob-demo-" }), "keyfob")
  yield* Console.log(`A provider is running at ${issuer} until you press Ctrl-C. It knows alice and bob, without passwords.
In another terminal (what is signed in there is forgotten when this one ends):

  export KEYFOB_HOME='${home}'
  keyfob() { '${process.execPath}' '${Keyfob.path}' "$@"; }

  # a person, by a code to type on another device
  keyfob login demo --issuer ${issuer} --client-id ${clients.cli.id} --flow device --scope "${personScope}"
  keyfob status
  keyfob curl demo -- ${apiUrl}
  keyfob refresh demo --force
  keyfob logout --all

  # a machine
  export KEYFOB_CLIENT_SECRET='${clients.billing.secret}'
  keyfob login machine --issuer ${issuer} --client-id ${clients.billing.id} --flow client_credentials --scope api:read
  keyfob token machine | keyfob decode -
  keyfob curl machine -- ${apiUrl}
`)
  return yield* Effect.never
})

const program = process.argv.includes("--interactive")
  ? interactive
  : Effect.timed(demo).pipe(
      Effect.tap(([time]) => Console.log(`\nEverything held, in ${Duration.toSeconds(time).toFixed(1)} s.`))
    )

program.pipe(
  Effect.provide([EmbeddedProvider.layer({ deviceInterval: "1 second" }), NodeServices.layer]),
  Effect.scoped,
  Effect.tapError((error) => Console.error(`\nThe demo stopped: ${error.message}`)),
  Effect.tapDefect((defect) => Console.error("\nThe demo has a bug:", defect)),
  NodeRuntime.runMain({ disableErrorReporting: true }) // said above, in our words
)
