import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { CompactEncrypt, exportJWK, generateKeyPair, type JWK } from "jose"
import { createHash, createHmac } from "node:crypto"
import { Jwt } from "keyfob"
import { issuer, named } from "../scripted.ts"
import { encode, jwksOf, keys, type Options, sign, signText } from "./signing.ts"

const now = 1_800_000_000
const claims = { iss: issuer, sub: "alice", aud: "app", exp: now + 300, iat: now }
const expected: Jwt.Expected = { jwks: jwksOf([keys.provider.jwk]), issuer, audience: "app" }

const atNow = <A, E, R>(test: Effect.Effect<A, E, R>) => Effect.andThen(TestClock.setTime(now * 1000), test)
const at = (seconds: number) => TestClock.setTime(seconds * 1000)

const verify = (changes: object, options: Options = {}, against: Partial<Jwt.Expected> = {}) =>
  Effect.flatMap(sign({ ...claims, ...changes }, options), (jwt) => Jwt.verify(jwt, { ...expected, ...against }))

const reasonFor = (changes: object, options?: Options, against?: Partial<Jwt.Expected>) =>
  Effect.map(Effect.flip(verify(changes, options, against)), named)

/** Why a JWT, given as text, is refused. */
const refusal = (jwt: string, against: Partial<Jwt.Expected> = {}) =>
  Effect.map(Effect.flip(Jwt.verify(Redacted.make(jwt), { ...expected, ...against })), named)

const without = (name: keyof typeof claims) => ({ [name]: undefined })

describe("Jwt.verify: signature", () => {
  for (const key of [keys.provider, keys.elliptic, keys.edwards]) {
    it.effect(`accepts ${key.alg} and gives the claims`, () =>
      Effect.gen(function* () {
        yield* at(now)
        const verified = yield* verify({ extra: [1] }, { key }, { jwks: jwksOf([key.jwk]) })
        assert.deepStrictEqual(verified, { ...claims, extra: [1] })
      })
    )
  }

  for (const alg of ["none", "None", "NONE", "nOnE", ""]) {
    it.effect(`A-12 R9 refuses an unsigned token that says alg ${JSON.stringify(alg)}`, () =>
      Effect.gen(function* () {
        yield* at(now)
        const input = `${encode(JSON.stringify({ alg, kid: "provider" }))}.${encode(JSON.stringify(claims))}`
        for (const signature of ["", encode("x")]) {
          assert.strictEqual(
            yield* refusal(`${input}.${signature}`),
            alg === "" ? "TokenRejected.Malformed" : "TokenRejected.Algorithm"
          )
        }
      })
    )
  }

  for (const [name, secret] of [
    ["PEM", keys.provider.pem],
    ["PEM without its last line break", keys.provider.pem.trimEnd()],
    ["modulus", Buffer.from(keys.provider.jwk.n ?? "", "base64url")],
    ["JWK", JSON.stringify(keys.provider.jwk)]
  ] as const) {
    it.effect(`R9 refuses HS256 with the public key as its secret: ${name}`, () =>
      Effect.gen(function* () {
        yield* at(now)
        const input = `${encode(JSON.stringify({ alg: "HS256", kid: "provider" }))}.${encode(JSON.stringify(claims))}`
        const forged = `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`
        assert.strictEqual(yield* refusal(forged), "TokenRejected.Algorithm")
      })
    )
  }

  it.effect("R9 refuses HS256 even with an oct key in the set and the algorithm forced in", () =>
    Effect.gen(function* () {
      yield* at(now)
      const input = `${encode(JSON.stringify({ alg: "HS256", kid: "shared" }))}.${encode(JSON.stringify(claims))}`
      const forged = `${input}.${createHmac("sha256", "guessed").update(input).digest("base64url")}`
      const jwks = jwksOf([{ kty: "oct", k: encode("guessed"), kid: "shared", alg: "HS256" }])
      const algorithms = ["HS256"] as unknown as ReadonlyArray<Jwt.Algorithm> // what the types forbid
      assert.strictEqual(yield* refusal(forged, { jwks, algorithms }), "TokenRejected.Algorithm")
    })
  )

  it.effect("R9 refuses an algorithm that is not on the caller's list", () =>
    Effect.gen(function* () {
      yield* at(now)
      assert.strictEqual(yield* reasonFor({}, {}, { algorithms: ["ES256"] }), "TokenRejected.Algorithm")
    })
  )

  it.effect("refuses a key whose own alg is another one", () =>
    Effect.gen(function* () {
      yield* at(now)
      const jwks = jwksOf([{ ...keys.provider.jwk, alg: "PS256" }])
      assert.strictEqual(yield* reasonFor({}, {}, { jwks }), "TokenRejected.UnknownKey")
    })
  )

  it.effect("refuses a signature made with a stranger's key under the provider's kid", () =>
    Effect.gen(function* () {
      yield* at(now)
      assert.strictEqual(yield* reasonFor({}, { key: keys.stranger }), "TokenRejected.Signature")
    })
  )

  for (const [name, header] of Object.entries({
    jwk: { jwk: keys.stranger.jwk },
    jku: { jku: "https://evil.example/jwks" },
    x5u: { x5u: "https://evil.example/cert" },
    x5c: { x5c: ["MIIB"] }
  })) {
    it.effect(`R9 ignores a key that the token brings itself: ${name}`, () =>
      Effect.gen(function* () {
        yield* at(now)
        assert.strictEqual(yield* reasonFor({}, { key: keys.stranger, header }), "TokenRejected.Signature")
        const noKid = { ...header, kid: undefined }
        assert.strictEqual(yield* reasonFor({}, { key: keys.stranger, header: noKid }), "TokenRejected.Signature")
      })
    )
  }

  for (const kid of [
    "../../etc/passwd",
    "' OR 1=1 --",
    "\u0000",
    "__proto__",
    "constructor",
    "",
    1,
    null,
    ["provider"],
    { a: 1 }
  ]) {
    it.effect(`A-50 a kid is compared and nothing else: ${JSON.stringify(kid)}`, () =>
      Effect.gen(function* () {
        yield* at(now)
        assert.strictEqual(yield* reasonFor({}, { header: { kid } }), "TokenRejected.UnknownKey")
      })
    )
  }

  it.effect("A-48 refuses a payload that was changed after signing", () =>
    Effect.gen(function* () {
      yield* at(now)
      const [header, , signature] = Redacted.value(yield* sign(claims)).split(".")
      const tampered = `${header}.${encode(JSON.stringify({ ...claims, sub: "mallory" }))}.${signature}`
      assert.strictEqual(yield* refusal(tampered), "TokenRejected.Signature")
    })
  )

  it.effect("a token without kid may be signed by any of the keys, and by no other", () =>
    Effect.gen(function* () {
      yield* at(now)
      const jwks = jwksOf([keys.next.jwk, keys.provider.jwk])
      const header = { kid: undefined }
      assert.strictEqual((yield* verify({}, { header }, { jwks })).sub, "alice")
      assert.strictEqual(yield* reasonFor({}, { header, key: keys.stranger }, { jwks }), "TokenRejected.Signature")
    })
  )

  it.effect("one unusable key among several does not stop the others", () =>
    Effect.gen(function* () {
      yield* at(now)
      const small: JWK = { kty: "RSA", n: encode(new Uint8Array(64).fill(0xc1)), e: "AQAB" }
      const damaged: JWK = { kty: "RSA", n: "!!", e: "AQAB" }
      const jwks = jwksOf([small, damaged, keys.provider.jwk])
      assert.strictEqual((yield* verify({}, { header: { kid: undefined } }, { jwks })).sub, "alice")
    })
  )

  it.effect("a key for encryption is not one for signatures", () =>
    Effect.gen(function* () {
      yield* at(now)
      const jwks = jwksOf([{ ...keys.provider.jwk, use: "enc" }])
      assert.strictEqual(yield* reasonFor({}, {}, { jwks }), "TokenRejected.UnknownKey")
    })
  )

  for (const [name, header] of Object.entries({
    unknown: { crit: ["policy"], policy: 1 },
    "a registered name": { crit: ["exp"], exp: now },
    empty: { crit: [] },
    "no list": { crit: "exp" }
  })) {
    it.effect(`refuses a critical header it does not understand: ${name}`, () =>
      Effect.gen(function* () {
        yield* at(now)
        assert.strictEqual(yield* reasonFor({}, { header }), "TokenRejected.Malformed")
      })
    )
  }

  it.effect("refuses an unencoded payload (RFC 7797 section 7: not for JWTs)", () =>
    Effect.gen(function* () {
      yield* at(now)
      const header = encode(JSON.stringify({ alg: "RS256", kid: "provider", b64: false, crit: ["b64"] }))
      const payload = JSON.stringify({ ...claims, iss: "https://id" }) // no dot in it
      const against = { issuer: "https://id" }
      const signature = yield* Effect.promise(() =>
        crypto.subtle.sign("RSASSA-PKCS1-v1_5", keys.provider.private, Buffer.from(`${header}.${payload}`))
      )
      const jwt = `${header}.${payload}.${encode(new Uint8Array(signature))}`
      assert.strictEqual(yield* refusal(jwt, against), "TokenRejected.Malformed")
    })
  )

  it.effect("refuses a JWE", () =>
    Effect.gen(function* () {
      yield* at(now)
      const jwe = yield* Effect.promise(async () => {
        const { publicKey } = await generateKeyPair("RSA-OAEP-256")
        return new CompactEncrypt(Buffer.from(JSON.stringify(claims)))
          .setProtectedHeader({ alg: "RSA-OAEP-256", enc: "A256GCM", kid: "provider" })
          .encrypt(publicKey)
      })
      assert.strictEqual(yield* refusal(jwe), "TokenRejected.Malformed")
    })
  )

  for (const broken of [
    "",
    ".",
    "..",
    "a.b",
    "a.b.c",
    "a.b.c.d",
    "opaque-token",
    `${encode("[]")}.${encode("{}")}.x`,
    " ",
    "é.é.é"
  ]) {
    it.effect(`refuses what is no JWT: ${JSON.stringify(broken)}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* refusal(broken), "TokenRejected.Malformed")
      })
    )
  }

  for (const payload of ["", "[]", "null", "1", "{", "\u0000"]) {
    it.effect(`refuses a signed payload that is no set of claims: ${JSON.stringify(payload)}`, () =>
      Effect.gen(function* () {
        const jwt = yield* Effect.promise(() => signText(`{"alg":"RS256","kid":"provider"}`, payload, keys.provider))
        assert.include(["TokenRejected.Malformed", "TokenRejected.MissingClaim"], yield* refusal(jwt))
      })
    )
  }

  it.effect("refuses a payload that is not UTF-8", () =>
    Effect.gen(function* () {
      const bytes = Buffer.concat([Buffer.from(`{"iss":"`), Buffer.from([0xff]), Buffer.from(`"}`)])
      const jwt = yield* Effect.promise(() => signText(`{"alg":"RS256","kid":"provider"}`, bytes, keys.provider))
      assert.strictEqual(yield* refusal(jwt), "TokenRejected.Malformed")
    })
  )

  it.effect("of a claim that is there twice only the last counts, for every check (RFC 7519 section 4)", () =>
    Effect.gen(function* () {
      yield* at(now)
      const twice = (name: string, first: unknown, last: unknown) =>
        Effect.promise(() => {
          const { [name as keyof typeof claims]: _, ...rest } = claims
          const text = JSON.stringify(rest)
          const payload = `{${JSON.stringify(name)}:${JSON.stringify(first)},${text.slice(1, -1)},${JSON.stringify(name)}:${JSON.stringify(last)}}`
          return signText(`{"alg":"RS256","kid":"provider"}`, payload, keys.provider)
        })
      assert.strictEqual(yield* refusal(yield* twice("aud", "app", "other")), "TokenRejected.Audience")
      assert.strictEqual(yield* refusal(yield* twice("exp", now + 300, now - 300)), "TokenRejected.Expired")
      const good = yield* Jwt.verify(Redacted.make(yield* twice("sub", "mallory", "alice")), expected)
      assert.strictEqual(good.sub, "alice")
    })
  )

  it.effect("an alg that is there twice is checked as it is used", () =>
    Effect.gen(function* () {
      yield* at(now)
      const header = `{"alg":"RS256","kid":"provider","alg":"none"}`
      const jwt = yield* Effect.promise(() => signText(header, JSON.stringify(claims), keys.provider))
      assert.strictEqual(yield* refusal(jwt), "TokenRejected.Algorithm")
    })
  )
})

describe("Jwt.verify: claims", () => {
  it.effect("A-52 an issuer without its slash is another issuer", () =>
    Effect.gen(function* () {
      yield* at(now)
      assert.strictEqual(yield* reasonFor({ iss: `${issuer}/` }), "TokenRejected.Issuer")
      assert.strictEqual(yield* reasonFor({}, {}, { issuer: `${issuer}/` }), "TokenRejected.Issuer")
      assert.strictEqual(yield* reasonFor({ iss: issuer.toUpperCase() }), "TokenRejected.Issuer")
    })
  )

  it.effect("A-47 the audience may be a string or one of a list", () =>
    Effect.gen(function* () {
      yield* at(now)
      assert.strictEqual((yield* verify({ aud: ["app"] })).sub, "alice")
      assert.strictEqual((yield* verify({ aud: ["other", "app"] })).sub, "alice")
    })
  )

  it.effect("A-47 any of the audiences a resource allows will do", () =>
    Effect.gen(function* () {
      yield* at(now)
      const against = { audience: ["https://api.example", "app"] }
      assert.strictEqual((yield* verify({}, {}, against)).sub, "alice")
      assert.strictEqual((yield* verify({ aud: ["x", "https://api.example"] }, {}, against)).sub, "alice")
      assert.strictEqual(yield* reasonFor({ aud: "other" }, {}, against), "TokenRejected.Audience")
      assert.strictEqual(yield* reasonFor({}, {}, { audience: [] }), "TokenRejected.Audience")
    })
  )

  for (const aud of ["other", "ap", "app ", "APP", [], ["other"], "", "app,other"]) {
    it.effect(`A-51 refuses the audience ${JSON.stringify(aud)}`, () =>
      Effect.gen(function* () {
        yield* at(now)
        assert.strictEqual(yield* reasonFor({ aud }), "TokenRejected.Audience")
      })
    )
  }

  for (const [name, changes] of Object.entries({
    "no iss": without("iss"),
    "no aud": without("aud"),
    "no exp": without("exp"),
    "exp as text": { exp: String(now + 300) },
    "exp null": { exp: null },
    "nbf as text": { nbf: "0" },
    "iat as text": { iat: String(now) },
    "iss as list": { iss: [issuer] },
    "aud with a number": { aud: ["app", 1] }
  })) {
    it.effect(`A-12 a claim that is missing or of a wrong type is named: ${name}`, () =>
      Effect.gen(function* () {
        yield* at(now)
        const error = yield* Effect.flip(verify(changes))
        assert.strictEqual(named(error), "TokenRejected.MissingClaim")
        assert.strictEqual("detail" in error ? error.detail : "", Object.keys(changes)[0])
      })
    )
  }

  it.effect("exp beyond any number is not a time", () =>
    Effect.gen(function* () {
      const payload = JSON.stringify(claims).replace(String(claims.exp), "1e999")
      const jwt = yield* Effect.promise(() => signText(`{"alg":"RS256","kid":"provider"}`, payload, keys.provider))
      assert.strictEqual(yield* refusal(jwt), "TokenRejected.MissingClaim")
    })
  )

  it.effect("R9 the leeway is 30 seconds to the millisecond: exp", () =>
    Effect.gen(function* () {
      const jwt = yield* sign(claims)
      yield* at(claims.exp + 29.999)
      assert.strictEqual((yield* Jwt.verify(jwt, expected)).sub, "alice")
      yield* at(claims.exp + 30)
      assert.strictEqual(named(yield* Effect.flip(Jwt.verify(jwt, expected))), "TokenRejected.Expired")
    })
  )

  it.effect("R9 the leeway is 30 seconds to the millisecond: nbf", () =>
    Effect.gen(function* () {
      const jwt = yield* sign({ ...claims, nbf: now + 100 })
      yield* at(now + 69.999)
      assert.strictEqual(named(yield* Effect.flip(Jwt.verify(jwt, expected))), "TokenRejected.NotYetValid")
      yield* at(now + 70)
      assert.strictEqual((yield* Jwt.verify(jwt, expected)).sub, "alice")
    })
  )

  it.effect("R9 the leeway is 30 seconds to the millisecond: iat", () =>
    Effect.gen(function* () {
      const jwt = yield* sign({ ...claims, iat: now + 100 })
      yield* at(now + 69.999)
      assert.strictEqual(named(yield* Effect.flip(Jwt.verify(jwt, expected))), "TokenRejected.IssuedInFuture")
      yield* at(now + 70)
      assert.strictEqual((yield* Jwt.verify(jwt, expected)).sub, "alice")
    })
  )

  it.effect("the leeway can be set, down to none", () =>
    Effect.gen(function* () {
      const jwt = yield* sign(claims)
      const strictly = Effect.provideService(Jwt.ClockTolerance, Duration.zero)
      yield* at(claims.exp - 0.001)
      assert.strictEqual((yield* strictly(Jwt.verify(jwt, expected))).sub, "alice")
      yield* at(claims.exp)
      assert.strictEqual(named(yield* Effect.flip(strictly(Jwt.verify(jwt, expected)))), "TokenRejected.Expired")
    })
  )

  it.effect("a time out of range is refused, not a defect", () =>
    Effect.gen(function* () {
      yield* at(now)
      assert.strictEqual(yield* reasonFor({ nbf: 1e300 }), "TokenRejected.NotYetValid")
      assert.strictEqual(yield* reasonFor({ exp: -1e300 }), "TokenRejected.Expired")
    })
  )

  it.effect("a claim that is shown holds no terminal escapes", () =>
    Effect.gen(function* () {
      yield* at(now)
      const error = yield* Effect.flip(verify({ iss: "\u001b[2Jhttps://evil\u202e" }))
      assert.strictEqual(named(error), "TokenRejected.Issuer")
      for (const escape of ["\u001b", "\u202e"]) assert.notInclude(error.message, escape)
    })
  )

  it.effect("R13 no error repeats the token", () =>
    Effect.gen(function* () {
      yield* at(now)
      for (const jwt of [yield* sign({ ...claims, exp: 1 }), yield* sign(claims, { key: keys.stranger })]) {
        const error = yield* Effect.flip(Jwt.verify(jwt, expected))
        for (const part of Redacted.value(jwt).split("."))
          assert.notInclude(`${error.stack} ${JSON.stringify(error)}`, part)
      }
    })
  )
})

describe("Jwt.verify: keys", () => {
  it.effect("A-50 R9 a key that is not there is looked for once more", () =>
    Effect.gen(function* () {
      yield* at(now)
      const rotated = jwksOf([keys.provider.jwk], [keys.provider.jwk, keys.next.jwk])
      assert.strictEqual((yield* verify({}, { key: keys.next }, { jwks: rotated })).sub, "alice")
      const never = jwksOf([keys.provider.jwk])
      assert.strictEqual(yield* reasonFor({}, { key: keys.next }, { jwks: never }), "TokenRejected.UnknownKey")
    })
  )

  it.effect("only an unknown key is a reason to ask again", () =>
    Effect.gen(function* () {
      yield* at(now)
      const jwks = { ...expected.jwks, refetched: Effect.die(new Error("asked again")) }
      assert.strictEqual(yield* reasonFor({}, { key: keys.stranger }, { jwks }), "TokenRejected.Signature")
      assert.strictEqual(yield* reasonFor({ exp: 1 }, {}, { jwks }), "TokenRejected.Expired")
    })
  )

  it.effect("a private key in the provider's set verifies nothing", () =>
    Effect.gen(function* () {
      yield* at(now)
      const leaked = yield* Effect.promise(() => exportJWK(keys.provider.private))
      const jwks = jwksOf([{ ...leaked, kid: "provider" }])
      assert.strictEqual(yield* reasonFor({}, {}, { jwks }), "TokenRejected.Signature")
    })
  )
})

describe("Jwt.verifyIdToken", () => {
  type Expected = Parameters<typeof Jwt.verifyIdToken>[1]
  const clientExpected = { ...expected, audience: "app" }
  const verifyId = (changes: object, against: Partial<Expected> = {}, options: Options = {}) =>
    Effect.flatMap(sign({ ...claims, ...changes }, options), (jwt) =>
      Jwt.verifyIdToken(jwt, { ...clientExpected, ...against })
    )
  const reasonForId = (changes: object, against?: Partial<Expected>) =>
    Effect.map(Effect.flip(verifyId(changes, against)), named)
  const accessToken = Redacted.make("the-access-token")
  const hashOf = (text: string, hash = "sha256") => {
    const digest = createHash(hash).update(text).digest()
    return encode(digest.subarray(0, digest.length / 2))
  }

  it.effect("accepts an ID token for this client", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* verifyId({ azp: "app", name: "Alice" }), { ...claims, azp: "app", name: "Alice" })
    }).pipe(atNow)
  )

  for (const [name, changes] of Object.entries({
    "no sub": without("sub"),
    "empty sub": { sub: "" },
    "sub as number": { sub: 1 },
    "no iat": without("iat")
  })) {
    it.effect(`A-12 refuses an ID token with ${name}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* reasonForId(changes), "TokenRejected.MissingClaim")
      }).pipe(atNow)
    )
  }

  it.effect("R9 two audiences need an azp, and it must be this client", () =>
    Effect.gen(function* () {
      const aud = ["app", "other"]
      assert.strictEqual(yield* reasonForId({ aud }), "TokenRejected.AuthorizedParty")
      assert.strictEqual(yield* reasonForId({ aud, azp: "other" }), "TokenRejected.AuthorizedParty")
      assert.strictEqual((yield* verifyId({ aud, azp: "app" })).sub, "alice")
    }).pipe(atNow)
  )

  for (const azp of ["other", "", "APP"]) {
    it.effect(`R9 refuses the azp ${JSON.stringify(azp)} with one audience too`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* reasonForId({ azp }), "TokenRejected.AuthorizedParty")
      }).pipe(atNow)
    )
  }

  it.effect("the nonce that was sent must come back", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* verifyId({ nonce: "n1" }, { nonce: "n1" })).sub, "alice")
      assert.strictEqual(yield* reasonForId({ nonce: "n2" }, { nonce: "n1" }), "TokenRejected.Nonce")
      assert.strictEqual(yield* reasonForId({}, { nonce: "n1" }), "TokenRejected.Nonce")
    }).pipe(atNow)
  )

  it.effect("at_hash ties it to its access token", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* verifyId({ at_hash: hashOf("the-access-token") }, { accessToken })).sub, "alice")
      for (const at_hash of [
        hashOf("another"),
        "",
        hashOf("the-access-token").slice(1),
        createHash("sha256").update("the-access-token").digest("base64url")
      ]) {
        assert.strictEqual(yield* reasonForId({ at_hash }, { accessToken }), "TokenRejected.AccessTokenHash")
      }
      assert.strictEqual((yield* verifyId({}, { accessToken })).sub, "alice")
    }).pipe(atNow)
  )

  it.effect("at_hash under EdDSA is made with SHA-512", () =>
    Effect.gen(function* () {
      const against = { accessToken, jwks: jwksOf([keys.edwards.jwk]) }
      const at_hash = hashOf("the-access-token", "sha512")
      assert.strictEqual((yield* verifyId({ at_hash }, against, { key: keys.edwards })).sub, "alice")
    }).pipe(atNow)
  )

  it.effect("A-12 what is wrong with an ID token says so", () =>
    Effect.gen(function* () {
      assert.include((yield* Effect.flip(verifyId({ exp: 1 }))).message, "ID token")
    }).pipe(atNow)
  )
})

describe("Jwt.decode", () => {
  it.effect("reads header and claims without trust", () =>
    Effect.gen(function* () {
      const jwt = Redacted.value(yield* sign(claims, { key: keys.stranger }))
      assert.deepStrictEqual(yield* Jwt.decode(jwt), { header: { alg: "RS256", kid: "provider" }, claims })
    })
  )

  for (const broken of ["", "opaque", "a.b.c", "..", `${encode("{}")}.${encode("[]")}.`]) {
    it.effect(`says Malformed of ${JSON.stringify(broken)}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(named(yield* Effect.flip(Jwt.decode(broken))), "TokenRejected.Malformed")
      })
    )
  }
})
