import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Chance from "./Chance.ts"
import { sha256 } from "./Sha256.ts"

/** A proof key (RFC 7636): who has the verifier is who sent the challenge. The method is S256, and no other. */
export interface Pkce {
  readonly verifier: Redacted.Redacted
  readonly challenge: string
}

/** 256 bits of chance, as text that needs no escape anywhere. They come from effect's `WebCrypto` reference. */
export const random: Effect.Effect<Redacted.Redacted> = SecureRandom.SecureRandom.use(({ randomBytes }) =>
  Effect.map(randomBytes(32), Base64Url.encode)
).pipe(Effect.provide(SecureRandom.layerWebCrypto), Chance.draw, Effect.map(Redacted.make))

/** What a verifier is shown as before it is told (RFC 7636 section 4.2). */
export const challengeOf = (verifier: Redacted.Redacted): Effect.Effect<string> => sha256(Redacted.value(verifier))

export const make: Effect.Effect<Pkce> = Effect.flatMap(random, (verifier) =>
  Effect.map(challengeOf(verifier), (challenge) => ({ verifier, challenge }))
)
