/**
 * A credential as the text that stores keep: `{"version":1,"credential":{…}}`, its secrets in clear. What cannot be read
 * is said without a word of it.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Credential } from "../Credential.ts"

const Version = Schema.fromJsonString(Schema.Struct({ version: Schema.Int }))
const Content = Schema.fromJsonString(
  Schema.Struct({ version: Schema.Literal(1), credential: Schema.toCodecJson(Credential) })
)

export const encode = (credential: Credential): Effect.Effect<string> =>
  Effect.orDie(Schema.encodeEffect(Content)({ version: 1, credential }))

/** Fails with what is wrong with the text. */
export const decode = Effect.fnUntraced(function* (text: string): Effect.fn.Return<Credential, string> {
  const { version } = yield* Effect.mapError(Schema.decodeEffect(Version)(text), () => "no JSON object with a version")
  if (version !== 1) return yield* Effect.fail(`version ${version}, this keyfob knows version 1`)
  const { credential } = yield* Effect.mapError(Schema.decodeEffect(Content)(text), () => "not a credential")
  return credential
})
