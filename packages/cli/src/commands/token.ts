import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { printable } from "keyfob"
import * as duration from "../duration.ts"
import { Failure, UsageError } from "../failure.ts"
import * as fresh from "../fresh.ts"
import { here } from "../here.ts"
import * as level from "../level.ts"
import { answer } from "../output.ts"
import { notSupported } from "../provider.ts"
import * as secret from "../secret.ts"
import * as target from "../target.ts"
import { tokenJson, tokenText } from "../text/token.ts"

// A fresh token is printed without coming here, as long as the command line is plain: see cached.ts.
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
    ...level.flags,
    ...secret.flags
  },
  Effect.fnUntraced(function* (flags) {
    const opened = yield* here
    const provider = yield* target.one(opened, flags.provider, flags)
    const at = yield* level.of(flags)
    if (flags.idToken && Option.isSome(at)) {
      const message = "--id-token goes with the provider's own token, not with one of --level or --domain"
      return yield* new UsageError({ message, remedy: "Give one of them" })
    }
    if (Option.isSome(at)) {
      const derived = yield* fresh.derived(opened, provider, at.value, flags.minValidity)
      return yield* answer(opened.globals, tokenJson(derived), () => tokenText(derived))
    }
    const { idToken, token } = yield* fresh.credential(opened, provider, flags.minValidity)
    if (!flags.idToken) return yield* answer(opened.globals, tokenJson(token), () => tokenText(token))
    if (idToken === undefined) {
      const sentence = `there is no ID token of ${printable(provider.name)}`
      return yield* new Failure({
        error: notSupported(sentence),
        sentence,
        remedy: "Sign in with the scope openid to get one"
      })
    }
    const value = Redacted.value(idToken)
    yield* answer(opened.globals, { id_token: value }, () => value)
  })
).pipe(Command.withDescription("Print a valid token, renewed first if needed"))
