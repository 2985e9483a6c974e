import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { printable } from "keyfob"
import { Failure } from "../failure.ts"
import * as fresh from "../fresh.ts"
import { here } from "../here.ts"
import { answer, stringify } from "../output.ts"
import { notSupported, withRemedy } from "../provider.ts"
import * as secret from "../secret.ts"
import * as target from "../target.ts"
import { commandFor } from "../workspace.ts"

export const userinfo = Command.make(
  "userinfo",
  { provider: target.argument, ...secret.flags },
  Effect.fnUntraced(function* (flags) {
    const opened = yield* here
    const provider = yield* target.one(opened, flags.provider, flags)
    if (provider.key.bearer === "id_token") {
      const sentence = `userinfo is asked with an access token, and of ${printable(provider.name)} there are ID tokens alone`
      const remedy = `Read what the ID token says: ${commandFor(opened, "decode --provider", provider)}`
      return yield* new Failure({ error: notSupported(sentence), sentence, remedy })
    }
    const { account, token } = yield* fresh.credential(opened, provider)
    const online = yield* Effect.promise(() => import("../online.ts"))
    const claims = yield* online
      .userinfo(provider, opened.globals, token, account?.sub)
      .pipe(withRemedy(opened, provider))
    yield* answer(opened.globals, claims, () => stringify(claims, 2))
  })
).pipe(Command.withDescription("Ask the provider who is signed in"))
