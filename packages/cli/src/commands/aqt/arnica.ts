/** Which provider a command of these is about: never one whose token is not for Arnica. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { printable } from "keyfob"
import { Failure } from "../../failure.ts"
import { notSupported } from "../../provider.ts"
import type * as secret from "../../secret.ts"
import * as target from "../../target.ts"
import type { Workspace } from "../../workspace.ts"

/** The one of that name, or the context's only one of type aqt. */
export const arnica = Effect.fnUntraced(function* (
  opened: Workspace,
  name: Option.Option<string>,
  flags: secret.Flags
) {
  const all = opened.configuration.contexts.get(opened.context)?.providers ?? []
  const aqt = [...all].filter(([, { type }]) => type === "aqt").map(([one]) => one)
  const only = aqt.length === 1 ? Option.fromUndefinedOr(aqt[0]) : Option.none()
  const provider = yield* target.one(
    opened,
    Option.orElse(name, () => only),
    flags
  )
  if (provider.type === "aqt") return provider
  const sentence = `provider ${printable(provider.name)} is of type ${printable(provider.type)}, not aqt`
  const remedy = "Name one of type aqt; keyfob context import aqt adds the connector's"
  return yield* new Failure({ error: notSupported(sentence), sentence, remedy })
})
