/** How a client proves who it is, by flags, environment and configuration: sign in, renew, sign out. */
import { assert, describe, it } from "@effect/vitest"
import { clients as clientsOfAll, EmbeddedProvider, type Options, TestAuthority } from "@keyfob/embedded"
import { Effect } from "effect"
import { generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto"
import { chmodSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { importJWK, SignJWT } from "jose"
import * as Keyfob from "./Keyfob.ts"
import * as Misbehaving from "./Misbehaving.ts"

const passphrase = "canary-passphrase"
const secret = "canary secret of thirty-two bytes & more"
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" })
const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" })
const pemOf = (key: KeyObject) => String(key.export({ format: "pem", type: "pkcs8" }))
const encrypted = String(ec.privateKey.export({ format: "pem", type: "sec1", cipher: "aes-256-cbc", passphrase }))

const machine = { grant_types: ["client_credentials"], redirect_uris: [], response_types: [] }
const clients = ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"].map((method) => ({
  ...machine,
  client_id: method,
  token_endpoint_auth_method: method,
  ...(method === "private_key_jwt"
    ? { jwks: { keys: [{ ...ec.publicKey.export({ format: "jwk" }), kid: "one" }] } }
    : { client_secret: secret })
}))

const givenWith = Effect.fnUntraced(function* (options: Options) {
  const keyfob = yield* Keyfob.make
  const { issuer, requests } = yield* EmbeddedProvider.start(options)
  const file = (name: string, text: string, mode = 0o600) => {
    const path = join(keyfob.home, name)
    writeFileSync(path, text)
    chmodSync(path, mode)
    return path
  }
  const login = (clientId: string, ...more: ReadonlyArray<string>) => {
    const who = ["--issuer", issuer, "--client-id", clientId, "--scope", "api:read"]
    return ["login", "m", ...who, "--flow", "client_credentials", "--force", ...more]
  }
  /** Signs in, renews and signs out; nothing secret is said or written. */
  const roundTrip = Effect.fnUntraced(function* (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>) {
    yield* keyfob.done(args, { env })
    yield* keyfob.done(["refresh", "m", "--force"], { env })
    const [row] = yield* keyfob.json(["logout", "m"], { env })
    assert.include(row, { removed: true })
    // Who it is was believed (else 401); what cannot be taken back there are tokens that are JWTs (unsupported_token_type).
    assert.deepInclude((yield* requests).at(-1), { path: "/token/revocation", status: 400 })
    const said = keyfob.ran.flatMap(({ stderr, stdout }) => [stderr, stdout]).join("\n")
    const config = yield* keyfob.read("config.toml")
    for (const canary of ["canary", "PRIVATE KEY-----"]) assert.notInclude(`${said}${config}`, canary)
  })
  return { file, issuer, keyfob, login, roundTrip }
})
const given = givenWith({ clients })

describe.concurrent("client authentication", () => {
  for (const method of ["client_secret_basic", "client_secret_post", "client_secret_jwt"]) {
    it.live(
      `${method} with the secret from the environment`,
      () =>
        Effect.gen(function* () {
          const { login, roundTrip } = yield* given
          yield* roundTrip(login(method, "--client-auth", method), { KEYFOB_CLIENT_SECRET: secret })
        }).pipe(Effect.scoped),
      240_000
    )
  }

  it.live(
    "a key, be it in a file, encrypted, or in the environment, is private_key_jwt without a word about it",
    () =>
      Effect.gen(function* () {
        const { file, keyfob, login, roundTrip } = yield* given
        const key = file("key.pem", encrypted)
        const opens = file("passphrase", `${passphrase}\n`)
        const ofFile = login("private_key_jwt", "--private-key-file", key)
        yield* roundTrip([...ofFile, "--private-key-passphrase-file", opens], {})
        const jwk = JSON.stringify({ ...ec.privateKey.export({ format: "jwk" }), kid: "one" })
        yield* keyfob.done(login("private_key_jwt"), { env: { KEYFOB_PRIVATE_KEY: jwk } })
        chmodSync(key, 0o644)
        const wide = yield* keyfob.done(ofFile, { env: { KEYFOB_PRIVATE_KEY_PASSPHRASE: passphrase } })
        assert.include(wide.stderr, `others can read the secret in ${key}; run: chmod 600 ${key}`)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "a certificate and its key are mutual TLS, be it an authority's or its own",
    () =>
      Effect.gen(function* () {
        const authority = yield* TestAuthority.make
        const own = authority.selfSigned("own.test")
        const x509 = new X509Certificate(readFileSync(own.certFile))
        const jwk = { ...x509.publicKey.export({ format: "jwk" }), x5c: [x509.raw.toString("base64")] }
        const { keyfob, login, roundTrip } = yield* givenWith({
          tls: authority.server,
          clients: [
            {
              ...machine,
              client_id: "tls",
              token_endpoint_auth_method: "tls_client_auth",
              tls_client_auth_san_dns: "app.test",
              tls_client_certificate_bound_access_tokens: true
            },
            {
              ...machine,
              client_id: "self",
              token_endpoint_auth_method: "self_signed_tls_client_auth",
              jwks: { keys: [jwk] }
            }
          ]
        })
        const env = { KEYFOB_CA_FILE: authority.caFile }
        const by = ({ certFile, keyFile }: TestAuthority.Issued) => ["--cert-file", certFile, "--key-file", keyFile]
        const app = ["--client-auth", "tls_client_auth", ...by(authority.client("app.test"))]
        yield* roundTrip(login("tls", ...app), env)
        yield* keyfob.done(login("self", ...by(own)), { env })
        yield* keyfob.done(login("tls", ...app, "--certificate-bound-access-tokens"), { env })
        assert.match(yield* keyfob.read("config.toml"), /^certificate_bound_access_tokens = true$/m)
        const loose = yield* keyfob.run(login("self", "--client-auth", "self_signed_tls_client_auth", ...by(own)), {
          env
        })
        Keyfob.failsWith(loose, 7, /not bound to the client's certificate/)
        const wrong = yield* keyfob.run(login("self", ...by(authority.client("app.test"))), { env })
        Keyfob.failsWith(wrong, 2, /invalid_client/)
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "what a platform says of the client, from a file that it rotates, a URL, or a program",
    () =>
      Effect.gen(function* () {
        const { file, issuer, keyfob, login } = yield* given
        const key = yield* Effect.promise(async () =>
          importJWK({ ...ec.privateKey.export({ format: "jwk" }) }, "ES256")
        )
        let count = 0
        const assertion = Effect.promise(() =>
          new SignJWT({ jti: `canary-${++count}` })
            .setProtectedHeader({ alg: "ES256" })
            .setIssuer("private_key_jwt")
            .setSubject("private_key_jwt")
            .setAudience(issuer)
            .setExpirationTime("1 hour")
            .sign(key)
        )
        const path = file("token", yield* assertion)
        const server = yield* Misbehaving.make
        yield* server.set("/identity", { body: { value: yield* assertion } })
        const printing = file("printed", yield* assertion)
        yield* keyfob.done(login("billing"), { env: { KEYFOB_CLIENT_SECRET: clientsOfAll.billing.secret } })
        const config = (yield* keyfob.read("config.toml")).replace(/client_id = .*/, 'client_id = "private_key_jwt"')
        const signsIn = Effect.fnUntraced(function* (line: string) {
          yield* keyfob.write("config.toml", `${config.trimEnd()}\n${line}\n`)
          return yield* keyfob.run(["login", "m", "--force"])
        })
        const byFile = `client_assertion_file = ${JSON.stringify(path)}`
        assert.strictEqual((yield* signsIn(byFile)).code, 0)
        Keyfob.failsWith(yield* signsIn(byFile), 2, /invalid_client/) // which is spent now
        writeFileSync(path, yield* assertion)
        assert.strictEqual((yield* signsIn(byFile)).code, 0)
        assert.strictEqual((yield* signsIn(`client_assertion_url = "${server.issuer}/identity"`)).code, 0)
        const program = JSON.stringify(["cat", printing])
        assert.strictEqual((yield* signsIn(`client_assertion_command = ${program}`)).code, 0)
        Keyfob.failsWith(yield* signsIn('client_assertion_platform = "github_actions"'), 2, /id-token: write/)
        Keyfob.failsWith(yield* signsIn('client_assertion_file = "~/none"'), 2, /none cannot be read/)
        for (const { stderr, stdout } of keyfob.ran) assert.notInclude(`${stderr}${stdout}`, "eyJhbGciOiJFUzI1NiJ9.")
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "a provider that was configured once is asked to revoke without the secret of the one that is now",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const [before, now] = [yield* Misbehaving.make, yield* Misbehaving.make]
        for (const { discovery, issuer, metadata, set } of [before, now]) {
          yield* set(discovery, { body: { ...metadata, revocation_endpoint: `${issuer}/revoke` } })
          yield* set("/token", { body: { access_token: "at", token_type: "Bearer", expires_in: 3600 } })
          yield* set("/revoke", { body: {} })
        }
        const env = { KEYFOB_CLIENT_SECRET: secret }
        const login = ["login", "m", "--issuer", before.issuer, "--client-id", "c", "--flow", "client_credentials"]
        yield* keyfob.done(login, { env })
        const config = yield* keyfob.read("config.toml")
        yield* keyfob.write("config.toml", config.replace(before.issuer, now.issuer))
        yield* keyfob.done(["logout", "m"], { env })
        const at = before.asked.indexOf("/revoke")
        assert.isAtLeast(at, 0)
        assert.isUndefined(before.authorizations[at])
        assert.isDefined(before.authorizations[before.asked.indexOf("/token")])
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "who lost the key of their certificate is still shown where their session at the provider ends",
    () =>
      Effect.gen(function* () {
        const keyfob = yield* Keyfob.make
        const { discovery, issuer, metadata, set } = yield* Misbehaving.make
        yield* set(discovery, { body: { ...metadata, end_session_endpoint: `${issuer}/end` } })
        yield* keyfob.done(["context", "add", "default"])
        const settings = { type: "oauth", issuer, client_id: "c", cert_file: "~/lost.pem", key_file: "~/lost.key" }
        const lines = Object.entries(settings).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
        yield* keyfob.write("config.toml", ["[contexts.default.providers.m]", ...lines].join("\n"))
        const [row] = yield* keyfob.json(["logout", "m", "--end-session"])
        assert.include(row, { removed: false, end_session_url: `${issuer}/end?client_id=c` })
      }).pipe(Effect.scoped),
    240_000
  )

  it.live(
    "what is missing, wrong or not offered is a configuration error (2) that says what would do",
    () =>
      Effect.gen(function* () {
        const { file, keyfob, login } = yield* given
        const byKey = (...more: ReadonlyArray<string>) => login("private_key_jwt", ...more)
        const fails = Effect.fnUntraced(function* (args: ReadonlyArray<string>, message: RegExp, env = {}) {
          Keyfob.failsWith(yield* keyfob.run(args, { env }), 2, message)
        })
        yield* fails(byKey("--client-auth", "private_key_jwt"), /private key \(KEYFOB_PRIVATE_KEY/)
        yield* fails(byKey("--private-key-file", file("a", pemOf(stranger.privateKey))), /invalid_client/)
        yield* fails(byKey("--private-key-file", file("b", encrypted)), /b: the passphrase of the private key/)
        yield* fails(byKey("--private-key-file", file("b", encrypted)), /does not open/, {
          KEYFOB_PRIVATE_KEY_PASSPHRASE: "canary-wrong"
        })
        yield* fails(byKey("--private-key-file", file("c", "canary")), /c: .*no private key/)
        yield* fails(byKey("--private-key-file", "~/missing"), /missing cannot be read/)
        yield* fails(byKey("--client-auth", "client_secret_jwt"), /client secret/)
        yield* fails(byKey("--client-auth", "tls_client_auth"), /client certificate \(--cert-file and --key-file/)
        const { certFile, keyFile } = (yield* TestAuthority.make).client("app.test")
        yield* fails(
          ["login", "t", ...byKey("--cert-file", certFile, "--key-file", keyFile).slice(2)],
          /tls_client_auth or self_signed_tls_client_auth; .* offers none, client_secret_basic, .*private_key_jwt/
        )
        for (const { stderr } of keyfob.ran) assert.notInclude(stderr, "canary")
      }).pipe(Effect.scoped),
    240_000
  )
})
