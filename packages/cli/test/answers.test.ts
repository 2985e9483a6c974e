import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Keyfob from "./Keyfob.ts"
import * as Misbehaving from "./Misbehaving.ts"

type Server = Effect.Success<typeof Misbehaving.make>
interface Case {
  readonly name: string
  readonly exitCode: number
  readonly message: RegExp
  readonly answers: (server: Server) => ReadonlyArray<readonly [path: string, reply: Misbehaving.Reply]>
}

const token = (reply: Misbehaving.Reply) => () => [["/token", reply]] as const
const discovery = (reply: Misbehaving.Reply) => (server: Server) => [[server.discovery, reply]] as const
const good = { access_token: "canary-access", token_type: "Bearer", expires_in: 3600 }

const cases: ReadonlyArray<Case> = [
  {
    name: "another issuer in the document",
    exitCode: 7,
    message: /states another issuer.*evil\.example/,
    answers: (server) => [[server.discovery, { body: { ...server.metadata, issuer: "https://evil.example" } }]]
  },
  {
    name: "an endpoint without TLS",
    exitCode: 7,
    message: /endpoint that must not be used.*token_endpoint/,
    answers: (server) => [[server.discovery, { body: { ...server.metadata, token_endpoint: "http://a.example/t" } }]]
  },
  {
    name: "HTML instead of JSON",
    exitCode: 5,
    message: /not JSON.*text\/html/,
    answers: discovery({ type: "text/html", body: "<html>Please sign in to the network</html>" })
  },
  { name: "truncated JSON", exitCode: 5, message: /cut off/, answers: discovery({ body: '{"issuer":"http' }) },
  { name: "no discovery document", exitCode: 5, message: /status 404/, answers: discovery({ status: 404, body: {} }) },
  { name: "truncated JSON of the token endpoint", exitCode: 5, message: /cut off/, answers: token({ body: '{"acc' }) },
  {
    name: "200 with an error body",
    exitCode: 2,
    message: /does not accept the scopes.*invalid_scope/,
    answers: token({ body: { error: "invalid_scope" } })
  },
  { name: "no access_token", exitCode: 5, message: /access_token/, answers: token({ body: { token_type: "Bearer" } }) },
  {
    name: "a negative expires_in",
    exitCode: 5,
    message: /expires_in/,
    answers: token({ body: { ...good, expires_in: -1 } })
  },
  {
    name: "an expires_in that is no number",
    exitCode: 5,
    message: /expires_in/,
    answers: token({ body: { ...good, expires_in: "soon" } })
  },
  {
    name: "an unknown error code",
    exitCode: 4,
    message: /refused.*teapot/,
    answers: token({ status: 400, body: { error: "teapot", error_description: "canary-description" } })
  },
  {
    name: "R14: a wrong client secret",
    exitCode: 2,
    message: /does not accept the client.*invalid_client/,
    answers: token({ status: 401, body: { error: "invalid_client" } })
  },
  {
    name: "a redirect",
    exitCode: 5,
    message: /redirect/,
    answers: token({ status: 302, headers: { location: "https://evil.example/" }, body: "" })
  },
  {
    name: "an overloaded provider",
    exitCode: 5,
    message: /fewer requests.*429/,
    answers: token({ status: 429, headers: { "retry-after": "3600" }, body: {} })
  }
]

const login = (issuer: string) => ["login", "m", "--issuer", issuer, "--client-id", "c", "--flow", "client_credentials"]
const env = { KEYFOB_CLIENT_SECRET: "canary-secret" }

describe.concurrent("R14: what a provider may answer", () => {
  for (const { answers, exitCode, message, name } of cases) {
    it.live(
      `${name}: exit ${exitCode}, a sentence, a remedy, nothing kept`,
      () =>
        Effect.gen(function* () {
          const keyfob = yield* Keyfob.make
          const server = yield* Misbehaving.make
          for (const [path, reply] of answers(server)) yield* server.set(path, reply)
          const ran = yield* keyfob.run(login(server.issuer), { env })
          Keyfob.failsWith(ran, exitCode, message)
          const error = Keyfob.errorOf(yield* keyfob.run([...login(server.issuer), "-o", "json"], { env }), exitCode)
          assert.match(error.message, message)
          assert.deepStrictEqual(yield* keyfob.files, [])
          for (const { stderr } of keyfob.ran) assert.notInclude(stderr, "canary")
        }).pipe(Effect.scoped),
      120_000
    )
  }

  it.live(
    "an issuer that is out of reach: exit 5",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        Keyfob.failsWith(yield* keyfob.run(login("http://127.0.0.1:1"), { env }), 5, /cannot be reached.*ECONNREFUSED/)
        assert.deepStrictEqual(yield* keyfob.files, [])
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "how long to wait is in the JSON",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const server = yield* Misbehaving.make
        yield* server.set("/token", { status: 429, headers: { "retry-after": "3600" }, body: {} })
        const error = Keyfob.errorOf(yield* keyfob.run([...login(server.issuer), "-o", "json"], { env }), 5)
        assert.include(error, { tag: "ProviderUnavailable", endpoint: "token", retry: "wait", retry_after: 3600 })
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "R4: trouble at a renewal takes nothing away",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const server = yield* Misbehaving.make
        yield* server.set("/token", { body: good })
        yield* keyfob.done(login(server.issuer), { env })
        const before = yield* Effect.flatMap(keyfob.files, Effect.forEach(keyfob.read))
        yield* server.set("/token", { body: { token_type: "Bearer" } })
        Keyfob.failsWith(yield* keyfob.run(["refresh", "m", "--force"], { env }), 5, /access_token/)
        const rows = yield* keyfob.json(["refresh", "--force"], { env })
        assert.strictEqual(rows[0].outcome, "failed")
        assert.strictEqual(rows[0].error.tag, "AnswerRejected")
        assert.strictEqual((yield* keyfob.done(["token"])).stdout, "canary-access\n")
        assert.deepStrictEqual(yield* Effect.flatMap(keyfob.files, Effect.forEach(keyfob.read)), before)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "R8: a provider with neither a page for browsers nor device flow: exit 2 says what is missing",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const server = yield* Misbehaving.make
        const { device_authorization_endpoint: _, ...metadata } = server.metadata
        yield* server.set(server.discovery, { body: metadata })
        const ran = yield* keyfob.run(["login", "--issuer", server.issuer, "--client-id", "c"])
        Keyfob.failsWith(ran, 2, /not on offer: .* has no authorization_endpoint/)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "R8: a verification page that is no web page is not shown: exit 7",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const server = yield* Misbehaving.make
        const body = {
          device_code: "canary",
          user_code: "A-B",
          verification_uri: "javascript:canary()",
          expires_in: 60
        }
        yield* server.set("/device", { body })
        const ran = yield* keyfob.run(["login", "--issuer", server.issuer, "--client-id", "c"])
        Keyfob.failsWith(ran, 7, /verification_uri/)
      }).pipe(Effect.scoped),
    120_000
  )
})
