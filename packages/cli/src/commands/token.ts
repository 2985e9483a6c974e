import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { notSupported } from "../provider.ts"
import * as duration from "../duration.ts"
import { credentialOf, tokenOf } from "../fresh.ts"
import { answer } from "../output.ts"
import * as secret from "../secret.ts"
import * as target from "../target.ts"
import { iso } from "../text/time.ts"

export const token = Command.make(
  "token",
  {
    provider: target.argument,
    minValidity: duration
      .flag("min-validity")
      .pipe(Flag.withDescription("Renew it first if it ends sooner: 90s, 5m, 2h"), Flag.withDefault(Duration.zero)),
    idToken: Flag.Boolean("id-token").pipe(
      Flag.withoutNegation,
      Flag.withDescription("Print the ID token instead"),
      Flag.withDefault(false)
    ),
    ...secret.flags
  },
  Effect.fnUntraced(function* (flags) {
    if (flags.idToken) {
      const { idToken } = (yield* credentialOf(flags)).credential
      if (idToken === undefined) {
        return yield* notSupported("there is no ID token; sign in with the scope openid to get one")
      }
      const value = Redacted.value(idToken)
      return yield* answer({ id_token: value }, () => value)
    }
    const token = yield* tokenOf(flags)
    const value = Redacted.value(token.value)
    yield* answer(
      { access_token: value, token_type: token.type, expires_at: iso(token.expiresAt), scopes: token.scopes },
      () => value
    )
  })
).pipe(Command.withDescription("Print a valid token, renewed first if needed"))
