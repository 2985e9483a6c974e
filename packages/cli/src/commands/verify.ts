import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { UsageError } from "../failure.ts"
import * as jwtArgument from "../jwtArgument.ts"
import { answer, stringify } from "../output.ts"
import { here } from "../here.ts"
import { oauthOf, serverOf } from "../provider.ts"
import * as workspace from "../workspace.ts"

const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.optional)

export const verify = Command.make(
  "verify",
  {
    ...jwtArgument.parameters,
    issuer: text("issuer", "URL", "Who must have issued it; default: the provider's issuer"),
    audience: text("audience", "A", "Whom it must be for; default: the provider's audience, else its client id")
  },
  Effect.fnUntraced(function* (flags) {
    const opened = yield* here
    const jwt = yield* jwtArgument.read(opened, flags)
    const expected = yield* expectations(opened, flags)
    const server = yield* Effect.promise(() => import("../server.ts"))
    const claims = yield* server.verify(jwt, expected, opened.globals)
    yield* answer(opened.globals, claims, () => stringify(claims, 2))
  })
).pipe(Command.withDescription("Verify a JWT: signature, issuer, audience, times"))

const expectations = Effect.fnUntraced(function* (
  opened: workspace.Workspace,
  given: { readonly [name in "issuer" | "audience" | "provider"]: Option.Option<string> }
) {
  const issuer = Option.getOrUndefined(given.issuer)
  const audience = Option.getOrUndefined(given.audience)
  if (issuer !== undefined && audience !== undefined) return { server: { issuer }, audience }
  if (issuer !== undefined && Option.isNone(given.provider)) {
    return yield* new UsageError({
      message: "--issuer needs --audience: whom must the token be for?",
      remedy: "Give both, or name a provider that is configured"
    })
  }
  const { settings } = yield* workspace.provider(opened, Option.getOrUndefined(given.provider))
  const known = oauthOf(settings)
  const server = issuer === undefined ? known && serverOf(known) : { issuer }
  const whom = audience ?? known?.audience ?? known?.clientId
  if (server === undefined || whom === undefined) {
    return yield* new UsageError({
      message: "a provider of this type says neither issuer nor audience",
      remedy: "Give --issuer and --audience"
    })
  }
  return { server, audience: whom }
})
