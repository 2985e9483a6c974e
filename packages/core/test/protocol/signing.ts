/** Keys, and tokens made with them by hand: a library that signs refuses to make the bad ones. */
import { Clock, Effect, Redacted } from "effect"
import { exportJWK, exportSPKI, generateKeyPair, type JWK, type JSONWebKeySet } from "jose"
import type { Jwks } from "../../src/protocol/Jwks.ts"

export interface Key {
  readonly alg: "RS256" | "ES256" | "EdDSA"
  readonly private: CryptoKey
  readonly jwk: JWK
  /** The public key as text, as it can be downloaded anywhere. */
  readonly pem: string
}

const newKey = async (alg: Key["alg"], kid: string): Promise<Key> => {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), alg, kid, use: "sig" }
  return { alg, private: privateKey, jwk, pem: await exportSPKI(publicKey) }
}

/** `provider` and `next` are the provider's, `stranger` is an attacker's. */
export const keys = {
  provider: await newKey("RS256", "provider"),
  next: await newKey("RS256", "next"),
  elliptic: await newKey("ES256", "elliptic"),
  edwards: await newKey("EdDSA", "edwards"),
  stranger: await newKey("RS256", "provider")
}

export const encode = (data: string | Uint8Array) => Buffer.from(data).toString("base64url")

const parameters: Record<Key["alg"], AlgorithmIdentifier | EcdsaParams> = {
  RS256: { name: "RSASSA-PKCS1-v1_5" },
  ES256: { name: "ECDSA", hash: "SHA-256" },
  EdDSA: { name: "Ed25519" }
}

/** Signs texts as they are: what they say is the test's business. */
export const signText = async (header: string, payload: string | Uint8Array, key: Key) => {
  const input = `${encode(header)}.${encode(payload)}`
  return `${input}.${encode(new Uint8Array(await crypto.subtle.sign(parameters[key.alg], key.private, Buffer.from(input))))}`
}

export interface Options {
  readonly key?: Key
  readonly header?: Readonly<Record<string, unknown>>
}

/** A signed JWT. */
export const sign = (claims: unknown, { header, key = keys.provider }: Options = {}) =>
  Effect.promise(async () =>
    Redacted.make(
      await signText(JSON.stringify({ alg: key.alg, kid: key.jwk.kid, ...header }), JSON.stringify(claims), key)
    )
  )

/** A JWKS that holds these keys, and others once it is asked for again. */
export const jwksOf = (known: ReadonlyArray<JWK>, later = known): Jwks => ({
  keys: Effect.succeed<JSONWebKeySet>({ keys: [...known] }),
  refetched: Effect.succeed<JSONWebKeySet>({ keys: [...later] }),
  clock: { now: Clock.currentTimeMillis }
})
