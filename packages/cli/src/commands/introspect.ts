import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { TokenRejected } from "keyfob"
import * as fresh from "../fresh.ts"
import { here } from "../here.ts"
import { answer, stringify } from "../output.ts"
import { withRemedy } from "../provider.ts"
import * as secret from "../secret.ts"
import * as target from "../target.ts"

/** A token that is not active is an answer, and no success: it ends as a token that `verify` refuses. */
export const introspect = Command.make(
  "introspect",
  { provider: target.argument, ...secret.flags },
  Effect.fnUntraced(function* (flags) {
    const opened = yield* here
    const provider = yield* target.one(opened, flags.provider, flags)
    const { token } = yield* fresh.credential(opened, provider)
    const online = yield* Effect.promise(() => import("../online.ts"))
    const claims = yield* online.introspect(provider, opened.globals, token).pipe(withRemedy(opened, provider))
    yield* answer(opened.globals, claims, () => stringify(claims, 2))
    if (!claims.active) {
      return yield* Effect.fail(new TokenRejected({ reason: "Inactive", token: "token" })).pipe(
        withRemedy(opened, provider)
      )
    }
  })
).pipe(Command.withDescription("Ask the provider about the token: whose it is, what for, and whether it is good"))
