/** Every form a client's key may be kept in, and what is said where it is not one. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Redacted } from "effect"
import { type ConfigurationInvalid, SigningKey } from "keyfob"
import { PrivateKey } from "@keyfob/node"
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto"
import { decodeProtectedHeader, jwtVerify } from "jose"
import { execFileSync } from "node:child_process"
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"

const passphrase = "canary-passphrase"
const right = { passphrase: Redacted.make(passphrase) }
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey
const [p256, p384, p521] = (["P-256", "P-384", "P-521"] as const).map(
  (namedCurve) => generateKeyPairSync("ec", { namedCurve }).privateKey
) as [KeyObject, KeyObject, KeyObject] // as many as there are curves
const ed25519 = generateKeyPairSync("ed25519").privateKey

const pem = (key: KeyObject, type: "pkcs8" | "pkcs1" | "sec1", cipher?: string) =>
  String(key.export({ format: "pem", type, ...(cipher === undefined ? {} : { cipher, passphrase }) }))
const jwk = (key: KeyObject, more: object = {}) => JSON.stringify({ ...key.export({ format: "jwk" }), ...more })

const rs = ["RS256", "PS256", "RS384", "PS384", "RS512", "PS512"] as const
const forms = [
  ["RSA PKCS#8", rsa, pem(rsa, "pkcs8"), rs],
  ["RSA PKCS#1", rsa, pem(rsa, "pkcs1"), rs],
  ["RSA PKCS#8, encrypted", rsa, pem(rsa, "pkcs8", "aes-256-cbc"), rs],
  ["RSA PKCS#1, encrypted as PEM once was", rsa, pem(rsa, "pkcs1", "aes-128-cbc"), rs],
  ["RSA JWK", rsa, jwk(rsa), rs],
  ["RSA JWK with alg", rsa, jwk(rsa, { alg: "PS256" }), ["PS256"]],
  ["P-256 PKCS#8", p256, pem(p256, "pkcs8"), ["ES256"]],
  ["P-256 SEC1", p256, pem(p256, "sec1"), ["ES256"]],
  ["P-256 SEC1, encrypted as PEM once was", p256, pem(p256, "sec1", "aes-256-cbc"), ["ES256"]],
  ["P-384 PKCS#8, encrypted", p384, pem(p384, "pkcs8", "aes-256-cbc"), ["ES384"]],
  ["P-521 JWK", p521, jwk(p521), ["ES512"]],
  ["Ed25519 PKCS#8", ed25519, pem(ed25519, "pkcs8"), ["EdDSA", "Ed25519"]],
  ["Ed25519 JWK", ed25519, jwk(ed25519, { alg: "Ed25519" }), ["Ed25519"]]
] as const

describe("PrivateKey", () => {
  it.effect.each(forms)("%s signs what its public half verifies", ([, original, text, algorithms]) =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromText(Redacted.make(text), right)
      assert.deepStrictEqual(SigningKey.algorithmsOf(key), algorithms)
      for (const algorithm of algorithms) {
        const jwt = yield* SigningKey.sign(key, algorithm, { sub: "app" })
        const { payload } = yield* Effect.promise(() =>
          jwtVerify(jwt, createPublicKey(original), { algorithms: [algorithm] })
        )
        assert.deepStrictEqual(payload, { sub: "app" })
      }
    })
  )

  const refused = (text: string, options?: PrivateKey.Options) =>
    Effect.flip(PrivateKey.fromText(Redacted.make(text), options))
  const encrypted = pem(rsa, "pkcs8", "aes-256-cbc")
  const small = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey
  const public256 = createPublicKey(p256)
  const secp256k1 = generateKeyPairSync("ec", { namedCurve: "secp256k1" }).privateKey
  const rsaPss = generateKeyPairSync("rsa-pss", { modulusLength: 2048 }).privateKey
  const x25519 = generateKeyPairSync("x25519").privateKey
  const secret = Buffer.from("canary-hmac").toString("base64url")
  const wrong = { passphrase: Redacted.make("canary-wrong") }

  it.effect.each([
    ["an encrypted key without its passphrase", encrypted, undefined, "MissingValue", "passphrase"],
    ["an encrypted key with another's passphrase", encrypted, wrong, "InvalidValue", "does not open"],
    ["the same, in the old form", pem(p256, "sec1", "aes-256-cbc"), wrong, "InvalidValue", "does not open"],
    [
      "a public key",
      String(public256.export({ format: "pem", type: "spki" })),
      right,
      "InvalidValue",
      "no private key"
    ],
    ["a public JWK", JSON.stringify(public256.export({ format: "jwk" })), right, "InvalidValue", "no private key"],
    ["a JWK that names no algorithm at all", jwk(p256, { alg: "none" }), right, "InvalidValue", "no private key"],
    ["a JWK that names an HMAC", jwk(p256, { alg: "HS256" }), right, "InvalidValue", "no private key"],
    ["a JWK of another algorithm's kind", jwk(p256, { alg: "RS256" }), right, "InvalidValue", "no private key"],
    ["a secret as JWK", JSON.stringify({ kty: "oct", k: secret }), right, "InvalidValue", "no private key"],
    ["a key for encryption", jwk(p256, { use: "enc" }), right, "InvalidValue", "no private key"],
    ["a key that is too short", pem(small, "pkcs8"), right, "InvalidValue", "2048 bits"],
    ["a curve nobody signs JWTs with", pem(secp256k1, "sec1"), right, "InvalidValue", "P-256"],
    ["a key that signs no JWT", pem(rsaPss, "pkcs8"), right, "InvalidValue", "rsa-pss key signs no JWT"],
    ["a key that signs nothing", pem(x25519, "pkcs8"), right, "InvalidValue", "Ed25519"],
    ["a damaged JWK", jwk(p256).slice(0, -9), right, "InvalidValue", "no private key"],
    ["numbers that are no key", jwk(p256, { x: "canary-x" }), right, "InvalidValue", "no private key"],
    ["anything else", "canary-nonsense", right, "InvalidValue", "no private key"]
  ] as const)("refuses %s at the start, and shows nothing of it", ([, text, options, reason, said]) =>
    Effect.gen(function* () {
      const error: ConfigurationInvalid = yield* refused(text, options)
      assert.strictEqual(error.reason, reason)
      assert.include(error.message, said)
      const shown = `${error.message}${inspect(error, { depth: 9, showHidden: true })}`
      const middle = Math.floor(text.length / 2)
      for (const canary of ["canary", text.slice(middle, middle + 12)]) assert.notInclude(shown, canary)
    })
  )

  it.effect("a key that is printed shows nothing of itself", () =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromText(Redacted.make(jwk(p256)))
      assert.notInclude(`${inspect(key, { depth: 9, showHidden: true })}${JSON.stringify(key)}`, "P-256")
    })
  )

  const folder = Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "keyfob-key-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )

  it.effect("a file is read with the id it has at the provider, and others that can read it are a warning", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "key.pem")
      writeFileSync(path, pem(p256, "sec1"), { mode: 0o600 })
      const said: Array<string> = []
      const read = PrivateKey.file(path, { keyId: "one" }).pipe(
        Effect.provide(Logger.layer([Logger.make(({ message }) => void said.push(String(message)))]))
      )
      const key = yield* read
      assert.deepStrictEqual(said, [])
      assert.deepStrictEqual(decodeProtectedHeader(yield* SigningKey.sign(key, "ES256", {})), {
        alg: "ES256",
        kid: "one"
      })
      chmodSync(path, 0o640)
      yield* read
      assert.deepStrictEqual(said, [`others can read the secret in ${path}; run: chmod 600 ${path}`])
    })
  )

  it.effect("what is no file, too large, empty or not there is said with its path, and never waited for", () =>
    Effect.gen(function* () {
      const at = yield* folder
      execFileSync("mkfifo", [join(at, "fifo")])
      writeFileSync(join(at, "large"), "x".repeat(300_000), { mode: 0o600 })
      writeFileSync(join(at, "empty"), "\n", { mode: 0o600 })
      writeFileSync(join(at, "nonsense"), "canary", { mode: 0o600 })
      for (const [path, why] of [
        [join(at, "fifo"), "no file"],
        ["/dev/zero", "no file"],
        [at, "no file"],
        [join(at, "large"), "larger"],
        [join(at, "empty"), "empty"],
        [join(at, "missing"), "ENOENT"],
        [join(at, "nonsense"), "no private key"]
      ] as const) {
        const { message } = yield* Effect.flip(PrivateKey.file(path))
        assert.include(message, path)
        assert.include(message, why)
        assert.notInclude(message, "canary")
      }
    })
  )

  it.effect("with its certificate, what it signs says which one (x5t#S256); another's certificate is refused", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const certificateOf = (key: KeyObject) => {
        writeFileSync(join(at, "key.pem"), pem(key, "pkcs8"), { mode: 0o600 })
        execFileSync("openssl", "req -x509 -key key.pem -days 2 -subj /CN=app -out cert.pem".split(" "), { cwd: at })
        const der = execFileSync("openssl", "x509 -in cert.pem -outform DER -out cert.der".split(" "), { cwd: at })
        assert.isEmpty(der)
        const hash = execFileSync("openssl", "dgst -sha256 -binary cert.der".split(" "), { cwd: at })
        return { certificate: readFileSync(join(at, "cert.pem"), "utf8"), thumbprint: hash.toString("base64url") }
      }
      const { certificate, thumbprint } = certificateOf(p256)
      const key = yield* PrivateKey.fromText(Redacted.make(pem(p256, "pkcs8")), { certificate })
      const header = decodeProtectedHeader(yield* SigningKey.sign(key, "ES256", {}))
      assert.deepStrictEqual(header, { alg: "ES256", "x5t#S256": thumbprint })
      const other = yield* refused(pem(p384, "pkcs8"), { certificate })
      assert.include(other.message, "another key's")
      const none = yield* refused(pem(p384, "pkcs8"), { certificate: "canary" })
      assert.include(none.message, "no certificate")
    })
  )
})
