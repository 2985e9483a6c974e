import * as Effect from "effect/Effect"
import * as Digest from "effect/crypto/Digest"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Promised from "./Promised.ts"

/** SHA-256 over a text in UTF-8, base64url without padding. */
export const sha256 = (text: string): Effect.Effect<string> =>
  Digest.Digest.use(({ digest }) => digest(Digest.sha256, new TextEncoder().encode(text))).pipe(
    Effect.map(Base64Url.encode),
    Effect.orDie, // every Web Crypto has SHA-256
    Effect.provide(Digest.layerWebCrypto),
    Promised.run
  )
