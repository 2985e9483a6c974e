import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Equal, Redacted } from "effect"
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from "jose"
import { AccessToken, type DpopKey, type OAuthClient, Userinfo } from "keyfob"
import { inspect } from "node:util"
import * as Dpop from "../../src/protocol/Dpop.ts"
import { grant } from "../../src/protocol/TokenEndpoint.ts"
import { json, metadata, named, openIdLocation, type Recorded, refused, type Reply, status } from "../scripted.ts"
import { asClient } from "./client.ts"
import { encode } from "./signing.ts"

const bound = { access_token: "at", token_type: "DPoP", expires_in: 60 }
const ask = (client: OAuthClient.OAuthClient, dpopKey?: DpopKey) =>
  grant(client, { grant_type: "client_credentials" }, { scopes: [], repeat: "idempotent", dpopKey })

/** A token request, and what it brought. */
const asked = (replies: Reply | ReadonlyArray<Reply>, options: Partial<OAuthClient.ClientOptions> = { dpop: true }) =>
  asClient({ [metadata.token_endpoint]: replies }, (client) => ask(client), options)

/** A proof, verified with the key that is in it. */
const proofOf = (request: Recorded | undefined) =>
  Effect.promise(async () => {
    const { payload, protectedHeader } = await jwtVerify(request?.headers["dpop"] ?? "", EmbeddedJWK, {
      currentDate: new Date(0),
      typ: "dpop+jwt",
      algorithms: ["ES256"]
    })
    const thumbprint = await calculateJwkThumbprint(protectedHeader.jwk ?? {})
    return { claims: payload, thumbprint, jwk: protectedHeader.jwk ?? {} }
  })

const thumbprintOf = ({ dpopKey }: AccessToken) =>
  Effect.promise(() => calculateJwkThumbprint(dpopKey === undefined ? {} : Redacted.value(dpopKey)))

describe("Dpop", () => {
  it.effect("a token request carries a proof of the key that the token is kept with, the public half of it", () =>
    Effect.gen(function* () {
      const { result, to } = asked(json(bound))
      const { token } = yield* result
      assert.strictEqual(token.type, "DPoP")
      assert.strictEqual(Redacted.value(token.authorization), "DPoP at")
      const { claims, jwk, thumbprint } = yield* proofOf(to(metadata.token_endpoint)[0])
      const { jti, ...others } = claims
      assert.deepStrictEqual(others, { htm: "POST", htu: metadata.token_endpoint, iat: 0 })
      assert.match(jti ?? "", /^[\w-]{43}$/)
      assert.sameMembers(Object.keys(jwk), ["kty", "crv", "x", "y"])
      assert.strictEqual(thumbprint, yield* thumbprintOf(token))
    })
  )

  it.effect("nobody asked for it: no proof, and a token that would need one is refused", () =>
    Effect.gen(function* () {
      const { result, to } = asked(json(bound), {})
      assert.strictEqual(named(yield* Effect.flip(result)), "AnswerRejected.Malformed")
      assert.isUndefined(to(metadata.token_endpoint)[0]?.headers["dpop"])
    })
  )

  it.effect.each(["Bearer", "bearer", "", null, undefined, "mac", "DPoP Bearer"])(
    "a token that is not bound to the key is refused: token_type %j",
    (token_type) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(asked(json({ ...bound, token_type })).result)
        assert.strictEqual(named(error), "AnswerRejected.Malformed")
        assert.match(error.message, /token_type is missing or wrong$/)
      })
  )

  it.effect("a key that is given is used, and kept", () =>
    Effect.gen(function* () {
      const key = yield* Dpop.makeKey
      const { result } = asClient({ [metadata.token_endpoint]: json(bound) }, (client) => ask(client, key))
      assert.isTrue(Equal.equals((yield* result).token.dpopKey, key))
    })
  )

  it.effect("a provider that lists other algorithms is asked for nothing", () =>
    Effect.gen(function* () {
      const lists = json({ ...metadata, dpop_signing_alg_values_supported: ["RS256"] })
      const { result, to } = asClient({ [openIdLocation]: lists }, (client) => ask(client), { dpop: true })
      assert.strictEqual(named(yield* Effect.flip(result)), "ConfigurationInvalid.NotSupported")
      assert.lengthOf(to(metadata.token_endpoint), 0)
    })
  )

  describe("nonces", () => {
    const wants = (nonce: string) =>
      json({ error: "use_dpop_nonce" }, { status: 400, headers: { "dpop-nonce": nonce } })

    it.effect("a provider that wants one gets it, in a proof of its own", () =>
      Effect.gen(function* () {
        const { result, to } = asked([wants("n1"), json(bound)])
        yield* result
        const proofs = yield* Effect.forEach(to(metadata.token_endpoint), proofOf)
        assert.deepStrictEqual(
          proofs.map(({ claims }) => claims["nonce"]),
          [undefined, "n1"]
        )
        assert.notStrictEqual(proofs[0]?.claims.jti, proofs[1]?.claims.jti)
      })
    )

    it.effect("once: who wants another and another is told as refusing", () =>
      Effect.gen(function* () {
        const { result, to } = asked([wants("n1"), wants("n2")])
        assert.strictEqual(named(yield* Effect.flip(result)), "ProviderRefused.InvalidProof")
        assert.lengthOf(to(metadata.token_endpoint), 2)
      })
    )

    it.effect("who wants one and gives none is not asked again", () =>
      Effect.gen(function* () {
        const { result, to } = asked([refused("use_dpop_nonce")])
        assert.strictEqual(named(yield* Effect.flip(result)), "ProviderRefused.InvalidProof")
        assert.lengthOf(to(metadata.token_endpoint), 1)
      })
    )

    it.effect("the one of a good answer is for the next request; what is no nonce is not taken", () =>
      Effect.gen(function* () {
        const good = (nonce: string) => json(bound, { headers: { "dpop-nonce": nonce } })
        const { result, to } = asClient(
          { [metadata.token_endpoint]: [good("n1"), good('"\\ n2'), good("n3")] },
          (client) => Effect.all([ask(client), ask(client), ask(client)]),
          { dpop: true }
        )
        yield* result
        const proofs = yield* Effect.forEach(to(metadata.token_endpoint), proofOf)
        assert.deepStrictEqual(
          proofs.map(({ claims }) => claims["nonce"]),
          [undefined, "n1", "n1"]
        )
      })
    )
  })

  it.effect("an attempt that is repeated has a proof of its own: servers remember those they have seen", () =>
    Effect.gen(function* () {
      const { result, to } = asked([status(503), status(503), json(bound)])
      yield* result
      const proofs = yield* Effect.forEach(to(metadata.token_endpoint), proofOf)
      assert.lengthOf(new Set(proofs.map(({ claims }) => claims.jti)), 3)
    })
  )

  it.effect(
    "a proof that is refused for its date, by a clock that was not known, is made again; for another reason not",
    () =>
      Effect.gen(function* () {
        const refusing = (ahead: number): Reply =>
          json({ error: "invalid_dpop_proof" }, { status: 400, headers: { date: new Date(ahead).toUTCString() } })
        const { result, to } = asked([refusing(600_000), json(bound)])
        yield* result
        assert.lengthOf(to(metadata.token_endpoint), 2)
        const other = asked([refusing(0)])
        assert.strictEqual(named(yield* Effect.flip(other.result)), "ProviderRefused.InvalidProof")
        assert.lengthOf(other.to(metadata.token_endpoint), 1)
        const undated = asked([refused("invalid_dpop_proof")])
        assert.strictEqual(named(yield* Effect.flip(undated.result)), "ProviderRefused.InvalidProof")
      })
  )

  it.effect("a proof is dated by the provider's clock", () =>
    Effect.gen(function* () {
      const ahead: Reply = (request) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          json(bound, { headers: { date: new Date(now + 600_000).toUTCString() } })(request)
        )
      const { result, to } = asClient(
        { [metadata.token_endpoint]: ahead },
        (client) => Effect.all([ask(client), ask(client)]),
        { dpop: true }
      )
      yield* result
      const [first, second] = yield* Effect.forEach(to(metadata.token_endpoint), proofOf)
      assert.strictEqual(first?.claims.iat, 0)
      assert.closeTo(second?.claims.iat ?? 0, 600, 1)
    })
  )

  it.effect("userinfo is asked with token and proof, about that token; its nonce is heeded", () =>
    Effect.gen(function* () {
      const token = AccessToken.make({
        value: Redacted.make("at"),
        type: "DPoP",
        dpopKey: yield* Dpop.makeKey,
        scopes: []
      })
      const wants = status(401, { "dpop-nonce": "n1", "www-authenticate": 'DPoP error="use_dpop_nonce"' })
      const { result, to } = asClient({ [metadata.userinfo_endpoint]: [wants, json({ sub: "alice" })] }, (client) =>
        Userinfo.request(client, token)
      )
      yield* result
      const requests = to(metadata.userinfo_endpoint)
      const proofs = yield* Effect.forEach(requests, proofOf)
      const ath = encode(
        new Uint8Array(yield* Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode("at"))))
      )
      for (const [index, { claims, thumbprint }] of proofs.entries()) {
        assert.strictEqual(requests[index]?.headers["authorization"], "DPoP at")
        assert.deepInclude(claims, { htm: "GET", htu: metadata.userinfo_endpoint, ath })
        assert.strictEqual(thumbprint, yield* thumbprintOf(token))
      }
      assert.strictEqual(proofs[1]?.claims["nonce"], "n1")
    })
  )

  it.effect("a key that somebody has changed is a typed error that does not show it", () =>
    Effect.gen(function* () {
      const good = yield* Dpop.makeKey
      const key = Redacted.make({ ...Redacted.value(good), x: "A".repeat(43) })
      const { result, to } = asClient({ [metadata.token_endpoint]: json(bound) }, (client) => ask(client, key))
      const error = yield* Effect.flip(result)
      assert.strictEqual(named(error), "ConfigurationInvalid.InvalidValue")
      assert.notInclude(`${error.message}${JSON.stringify(error)}`, Redacted.value(good).d)
      assert.lengthOf(to(metadata.token_endpoint), 0)
    })
  )

  it.effect("a key is not shown", () =>
    Effect.gen(function* () {
      const key = yield* Dpop.makeKey
      const token = AccessToken.make({ value: Redacted.make("at"), type: "DPoP", dpopKey: key, scopes: [] })
      for (const shown of [String(token), JSON.stringify(token), inspect(token, { depth: 9 })]) {
        assert.notInclude(shown, Redacted.value(key).d)
      }
    })
  )
})
