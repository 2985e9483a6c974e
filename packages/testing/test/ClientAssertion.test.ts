/** Clients that sign who they are, against the provider that checks it (RFC 7523 section 3). */
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Logger, Redacted } from "effect"
import { ClientAuthentication, ClientCredentials, CredentialStore, TokenSource } from "keyfob"
import { decodeJwt, decodeProtectedHeader, exportJWK, exportPKCS8, generateKeyPair } from "jose"
import { inspect } from "node:util"
import { Fault, patiently, SimulatedProvider } from "../src/provider.ts"
import type { ClientMetadata } from "../src/model/Settings.ts"

const issuer = "https://id.simulated.test"
const secret = "canary-secret-of-thirty-two-bytes-or-more"

const pairOf = async (alg: string) => {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = JSON.stringify({ ...(await exportJWK(privateKey)), kid: "one", alg })
  return { pem: await exportPKCS8(privateKey), jwk, public: { ...(await exportJWK(publicKey)), kid: "one", alg } }
}
const ec = await pairOf("ES256")
const rsa = await pairOf("RS256")
const other = await pairOf("ES256")

const machine = { grant_types: ["client_credentials"], scope: "api:read" }
const clients: ReadonlyArray<ClientMetadata> = [
  { ...machine, client_id: "ec", token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [ec.public] } },
  { ...machine, client_id: "rsa", token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [rsa.public] } },
  { ...machine, client_id: "mac", token_endpoint_auth_method: "client_secret_jwt", client_secret: secret }
]
const layer = SimulatedProvider.layer({ clients }).pipe(Layer.provideMerge(CredentialStore.layerMemory))

const token = (clientId: string, authentication: ClientAuthentication.ClientAuthentication) =>
  TokenSource.make(ClientCredentials.make({ issuer, clientId, authentication, scopes: ["api:read"] })).pipe(
    Effect.flatMap((source) => patiently(source.token)),
    Effect.scoped
  )
const byKey = (text: string) => ClientAuthentication.privateKeyJwt(Redacted.make(text))

const ways = [
  ["ES256 by a JWK", "ec", byKey(ec.jwk)],
  ["ES256 by a PEM", "ec", byKey(ec.pem)],
  ["RS256 by a JWK", "rsa", byKey(rsa.jwk)],
  ["RS256 by a PEM", "rsa", byKey(rsa.pem)],
  ["HS256 by a secret", "mac", ClientAuthentication.secretJwt(Redacted.make(secret))]
] as const

it.effect.each(ways)("signs in with %s", ([, clientId, authentication]) =>
  Effect.gen(function* () {
    const idp = yield* SimulatedProvider
    assert.isTrue(yield* idp.accepts(yield* token(clientId, authentication)))
  }).pipe(Effect.provide(layer))
)

it.effect.each([
  ["10 minutes behind", Fault.clockAhead("10 minutes")],
  ["10 minutes ahead", Fault.clockBehind("10 minutes")],
  ["a second ahead, which no answer's Date can tell", Fault.clockBehind("1 second")]
] as const)("signs in on a machine whose clock is %s", ([, fault]) =>
  Effect.gen(function* () {
    const idp = yield* SimulatedProvider
    yield* idp.faults(fault)
    assert.isTrue(yield* idp.accepts(yield* token("ec", byKey(ec.jwk))))
  }).pipe(Effect.provide(layer))
)

it.effect("each attempt has an assertion of its own, to the issuer, for a minute, with the key's id", () =>
  Effect.gen(function* () {
    const idp = yield* SimulatedProvider
    yield* idp.faults(Fault.onRequest({ endpoint: "token", times: 2 }, Fault.answer({ status: 503 })))
    yield* token("ec", byKey(ec.jwk))
    const assertions = (yield* idp.requests).flatMap(({ params }) => {
      const value = params["client_assertion"]
      return value === undefined ? [] : [Redacted.isRedacted(value) ? String(Redacted.value(value)) : value]
    })
    assert.lengthOf(assertions, 3)
    assert.lengthOf(new Set(assertions.map((one) => decodeJwt(one).jti)), 3)
    const [first = ""] = assertions
    const { aud, exp = 0, iat = 0, iss, sub } = decodeJwt(first)
    assert.deepStrictEqual({ aud, iss, sub, lasts: exp - iat }, { aud: issuer, iss: "ec", sub: "ec", lasts: 60 })
    assert.deepStrictEqual(decodeProtectedHeader(first), { alg: "ES256", kid: "one" })
  }).pipe(Effect.provide(layer))
)

it.effect.each([
  ["another's key", byKey(other.jwk), "ProviderRefused"],
  ["a public key", byKey(JSON.stringify(ec.public)), "ConfigurationInvalid"],
  ["no key", byKey("canary-no-key"), "ConfigurationInvalid"],
  ["an algorithm nobody takes", byKey(ec.jwk.replace('"ES256"', '"none"')), "ConfigurationInvalid"],
  ["another secret", ClientAuthentication.secretJwt(Redacted.make(`${secret}!`)), "ProviderRefused"]
] as const)("refuses %s, and says nothing of it", ([what, authentication, tag]) =>
  Effect.gen(function* () {
    const logged: Array<string> = []
    const listener = Logger.layer([Logger.make((entry) => logged.push(inspect(entry, { depth: 9 })))])
    const clientId = what === "another secret" ? "mac" : "ec"
    const exit = yield* Effect.exit(Effect.provide(token(clientId, authentication), listener))
    assert.isTrue(Exit.isFailure(exit))
    const cause = Exit.isFailure(exit) ? exit.cause : Cause.empty
    const [failure] = cause.reasons.flatMap((reason) => (reason._tag === "Fail" ? [reason.error] : []))
    assert.strictEqual(failure?._tag, tag)
    const said = `${Cause.pretty(cause)} ${inspect(exit, { depth: 9 })} ${logged.join("\n")}`
    for (const text of ["canary", JSON.parse(ec.jwk).d, JSON.parse(other.jwk).d]) assert.notInclude(said, text)
  }).pipe(Effect.provide(layer))
)
