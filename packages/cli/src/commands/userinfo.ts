import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { credentialOf } from "../fresh.ts"
import { answer, stringify } from "../output.ts"
import * as secret from "../secret.ts"
import * as target from "../target.ts"

export const userinfo = Command.make(
  "userinfo",
  { provider: target.argument, ...secret.flags },
  Effect.fnUntraced(function* (flags) {
    const { credential, opened, provider } = yield* credentialOf(flags)
    const online = yield* Effect.promise(() => import("../online.ts"))
    const claims = yield* online.userinfo(provider, opened.globals, credential.token, credential.account?.sub)
    yield* answer(claims, () => stringify(claims, 2))
  })
).pipe(Command.withDescription("Ask the provider who is signed in"))
