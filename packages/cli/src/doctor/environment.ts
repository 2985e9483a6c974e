/** What the environment changes about the way to a provider. A proxy's URL may hold a password: only its host is told. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type { Globals } from "../globals.ts"
import { type Finding, ok } from "./finding.ts"

const variable = (name: string) =>
  Config.String(name.toLowerCase()).pipe(
    Config.orElse(() => Config.String(name)),
    Config.withDefault("")
  )

export const environment = Effect.fnUntraced(
  function* ({ caFile }: Globals) {
    const proxies = yield* Effect.forEach(["HTTPS_PROXY", "HTTP_PROXY"], (name) =>
      Effect.map(variable(name), (value): ReadonlyArray<Finding> =>
        value === "" ? [] : [ok("proxy", `${name} leads through ${hostOf(value)}`)]
      )
    )
    const ca = caFile === undefined ? [] : [ok("certificates", `also trusted: ${caFile}`)]
    const found = [...proxies.flat(), ...ca]
    return found.length === 0 ? [ok("proxy", "no proxy, the usual certificates")] : found
  },
  Effect.orElseSucceed((): ReadonlyArray<Finding> => [])
)

const hostOf = (value: string) =>
  URL.parse(value.includes("://") ? value : `http://${value}`)?.host ?? "an unreadable URL"
